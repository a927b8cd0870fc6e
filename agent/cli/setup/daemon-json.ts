import { membersOf } from './json-members.ts';
import { refused } from './plan.ts';

const KEY = 'registry-mirrors';

/**
 * Docker's daemon.json with `url` among its `registry-mirrors`, before those that are there: they are asked in order.
 * All else stays as it is, to the letter.
 * @throws AgentError SETUP_REFUSED
 */
export function withMirror(path: string, text: string | undefined, url: string): string {
  // An empty file is to dockerd what an empty object is.
  if (text === undefined || text.trim() === '') return `{\n  "${KEY}": ["${url}"]\n}\n`;
  if (!isObject(parsed(path, text))) throw refused(path, 'holds no JSON object');
  const members = membersOf(text);
  const mirrors = members.findLast(({ key }) => key === KEY);
  if (mirrors === undefined) {
    const last = members.at(-1);
    // As far from the brace or the comma as the first member is.
    const open = text.indexOf('{') + 1;
    const gap = /^\s*/.exec(text.slice(open))?.[0] ?? '';
    if (last === undefined)
      return `${text.slice(0, open)}\n  "${KEY}": ["${url}"]\n${text.slice(text.lastIndexOf('}'))}`;
    return `${text.slice(0, last.end)},${gap || ' '}"${KEY}": ["${url}"]${text.slice(last.end)}`;
  }
  const listed: unknown = JSON.parse(text.slice(mirrors.start, mirrors.end));
  if (!Array.isArray(listed) || !listed.every((one) => typeof one === 'string')) {
    throw refused(path, `has a ${KEY} that is no list of URLs`);
  }
  if (listed.some((one) => one.replace(/\/+$/, '') === url)) return text;
  const first = mirrors.start + 1;
  const gap = /^\s*/.exec(text.slice(first))?.[0] ?? '';
  if (listed.length === 0) return `${text.slice(0, first)}"${url}"${text.slice(mirrors.end - 1)}`;
  return `${text.slice(0, first)}${gap}"${url}",${gap || ' '}${text.slice(first + gap.length)}`;
}

function parsed(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/,? ?(?:\.{3})?"[\s\S]*$/, '') : String(error);
    throw refused(path, `is not JSON (${why})`);
  }
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

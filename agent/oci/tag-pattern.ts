/** As long as a tag may be, and its stars. */
const MAX_LENGTH = 256;

const PATTERN = /^[a-zA-Z0-9._*-]+$/;

/** Whether `text` is a pattern of tags: a tag in which `*` stands for any characters, or none. */
export function isTagPattern(text: string): boolean {
  // `$` also matches before a final newline.
  return text.length <= MAX_LENGTH && !text.endsWith('\n') && PATTERN.test(text);
}

/**
 * Whether the whole of `tag` fits `pattern`. By hand: a regular expression of many stars can take longer than anybody
 * waits.
 */
export function tagFits(pattern: string, tag: string): boolean {
  const [head = '', ...parts] = pattern.split('*');
  const tail = parts.pop();
  if (tail === undefined) return tag === pattern;
  if (tag.length < head.length + tail.length || !tag.startsWith(head) || !tag.endsWith(tail)) return false;
  const end = tag.length - tail.length;
  let at = head.length;
  // Where each part is taken as early as it can be, no other way would leave more for those that follow.
  for (const part of parts) {
    const found = tag.indexOf(part, at);
    if (found === -1 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}

/** How much a pattern says: the number of its characters that are no star. */
export function precisionOf(pattern: string): number {
  return pattern.replaceAll('*', '').length;
}

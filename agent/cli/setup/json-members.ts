/** A member of a JSON text's outermost object: where its value stands. Offsets. */
export interface Member {
  readonly key: string;
  readonly start: number;
  /** Past its last character. */
  readonly end: number;
}

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/**
 * The members of the outermost object, in order. A file is changed at such a place and nowhere else: writing it anew
 * would round its long numbers, move keys that look like numbers and lay it out in another way.
 * @param text an object that JSON.parse takes
 */
export function membersOf(text: string): Member[] {
  const members: Member[] = [];
  let depth = 0;
  let key: string | undefined;
  let start: number | undefined;
  let end = 0;
  const close = () => {
    if (key !== undefined && start !== undefined) members.push({ key, start, end });
    key = undefined;
    start = undefined;
  };
  for (const match of text.matchAll(TOKEN)) {
    const [token] = match;
    const isClosing = token === '}' || token === ']';
    if (isClosing) depth -= 1;
    if (depth === 0 && isClosing) close();
    else if (depth === 1 && token === ',') close();
    else if (depth === 1 && token === ':') start = undefined;
    else if (depth === 1 && key === undefined) key = JSON.parse(token) as string;
    else if (depth > 0) start ??= match.index;
    if (token === '{' || token === '[') depth += 1;
    end = match.index + token.length;
  }
  return members;
}

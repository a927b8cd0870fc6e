/** What a repository's name is made of, and the star. */
const PATTERN = /^[a-z0-9._/*-]+$/;

/** Whether `text` could match any repository at all: one in capitals, or with a tag, never would. */
export function isRepositoryPattern(text: string): boolean {
  return !text.endsWith('\n') && PATTERN.test(text);
}

/**
 * Whether a name matches a pattern as a whole. `*` stands for any characters, also none, also slashes. The time it
 * takes grows with the name's length alone: no pattern makes it try one way after the other, as a regular expression
 * would.
 */
export function matchesPattern(pattern: string, name: string): boolean {
  const [first = '', ...parts] = pattern.split('*');
  const last = parts.pop();
  if (last === undefined) return name === first;
  if (!name.startsWith(first)) return false;
  let at = first.length;
  for (const part of parts) {
    const found = name.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}

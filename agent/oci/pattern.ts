/** What a repository's name is made of, and the star. */
const REPOSITORY_PATTERN = /^[a-z0-9._/*-]+$/;

/** The same of a tag. */
const TAG_PATTERN = /^[a-zA-Z0-9._*-]+$/;

/** As long as a tag may be, and its stars. */
const MAX_TAG_PATTERN = 256;

/** Whether `text` could match any repository at all: one in capitals, or with a tag, never would. */
export function isRepositoryPattern(text: string): boolean {
  // `$` also matches before a final newline.
  return !text.endsWith('\n') && REPOSITORY_PATTERN.test(text);
}

/** Whether `text` is a pattern of tags: a tag in which `*` stands for any characters, or none. */
export function isTagPattern(text: string): boolean {
  return text.length <= MAX_TAG_PATTERN && !text.endsWith('\n') && TAG_PATTERN.test(text);
}

/**
 * Whether a name or a tag matches a pattern as a whole. `*` stands for any characters, also none, also slashes. The time
 * it takes grows with the text's length alone: no pattern makes it try one way after the other, as a regular expression
 * would.
 */
export function matchesPattern(pattern: string, text: string): boolean {
  const [first = '', ...parts] = pattern.split('*');
  const last = parts.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  // Where each part is taken as early as it can be, no other way would leave more for those that follow.
  for (const part of parts) {
    const found = text.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}

/** How much a pattern says: the number of its characters that are no star. */
export function precisionOf(pattern: string): number {
  return pattern.replaceAll('*', '').length;
}

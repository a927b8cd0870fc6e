import { z } from 'zod';
import { isTagPattern } from '../oci/pattern.ts';
import { duration, mustBe } from './values.ts';

/** No timer waits for it. Milliseconds: ten years. */
const LONGEST_FRESH = 3650 * 86_400_000;

const NO_PATTERN = 'must be a pattern of tags such as v1.* or *-nightly';

/** What `registries.<name>.tags` may hold. */
export const TAGS_SHAPE = {
  /**
   * How long what upstream said of a tag is not asked again; 0s: every request asks. A duration for all tags, or one for
   * each pattern: the pattern that says most counts. A list of patterns with milliseconds here.
   * @default 60s
   */
  fresh: freshTimes().prefault('60s'),
  /**
   * Patterns of tags that never move: once known they are not asked again.
   * @default []
   */
  immutable: z
    .array(
      z.string(mustBe('a pattern of tags')).refine(isTagPattern, { error: NO_PATTERN }),
      mustBe('a list of patterns'),
    )
    .default([]),
};

function freshTimes() {
  const time = duration({ most: LONGEST_FRESH });
  return z.unknown().transform((value, context) => {
    const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
    return Object.entries(isMap ? value : { '*': value }).flatMap(([pattern, given]) => {
      const path = isMap ? [pattern] : [];
      if (!isTagPattern(pattern)) {
        context.addIssue({ code: 'custom', path, message: NO_PATTERN });
        return [];
      }
      const parsed = time.safeParse(given);
      if (parsed.success) return [{ pattern, time: parsed.data }];
      for (const { message } of parsed.error.issues) context.addIssue({ code: 'custom', path, message });
      return [];
    });
  });
}

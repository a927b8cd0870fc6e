import { imageText, parseImage } from '../oci/image.ts';
import type { Content, LocalCommand } from './ports.ts';

/** Answers `layerlan refresh`: what the tag was and is, by a question upstream now. */
export function createRefresh(content: Pick<Content, 'refreshTag'>): LocalCommand {
  return async function refresh({ one, admit, signal }) {
    const wanted = parseImage(one('image'));
    admit(wanted.repository);
    const { was, is } = await content.refreshTag(wanted, signal);
    return {
      image: imageText(wanted),
      was: was === undefined ? null : { digest: was.digest, checkedAt: new Date(was.checkedAt).toISOString() },
      is: { digest: is.digest, mediaType: is.mediaType, size: is.size },
    };
  };
}

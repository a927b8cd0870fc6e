import type { FastifyReply, FastifyRequest } from 'fastify';
import { AgentError } from '../errors.ts';
import { imageText, parseImage } from '../oci/image.ts';
import type { ServeInit } from './init.ts';
import { isLocalCaller } from './local.ts';
import type { Content } from './ports.ts';
import { clientSignal } from './send.ts';

/** Where the agent is asked to look at a tag upstream now: `POST /agent/refresh?image=IMAGE`. */
export const REFRESH_PATH = '/agent/refresh';

/**
 * Answers `layerlan refresh`: what the tag was and is. Whoever may pull may not make the agent ask upstream at will, so
 * only callers on this machine are served; web pages in its browsers are refused as they are everywhere.
 */
export function createRefresh(
  content: Pick<Content, 'refreshTag'>,
  { closing, admit }: Pick<ServeInit, 'closing' | 'admit'>,
) {
  return async function refresh(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { remoteAddress, localAddress } = request.socket;
    if (!isLocalCaller(remoteAddress, localAddress)) {
      throw new AgentError('REQUEST_DENIED', 'Only a caller on this machine may have a tag looked at.');
    }
    const { image } = request.query as Record<string, unknown>;
    if (typeof image !== 'string') throw new AgentError('REQUEST_INVALID', 'One image parameter is needed.');
    const wanted = parseImage(image);
    admit(wanted.repository);
    const { was, is } = await content.refreshTag(wanted, clientSignal(reply.raw, closing));
    const answer = {
      image: imageText(wanted),
      was: was === undefined ? null : { digest: was.digest, checkedAt: new Date(was.checkedAt).toISOString() },
      is: { digest: is.digest, mediaType: is.mediaType, size: is.size },
    };
    return reply.header('Content-Type', 'application/json').send(Buffer.from(`${JSON.stringify(answer)}\n`));
  };
}

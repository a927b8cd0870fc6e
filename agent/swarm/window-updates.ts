import type { yamux } from '@libp2p/yamux';
import { StreamState, type YamuxStream } from '@libp2p/yamux/stream';

type CreateMuxers = ReturnType<typeof yamux>;
type Muxer = ReturnType<ReturnType<CreateMuxers>['createStreamMuxer']>;

/** What a yamux stream knows of the window it gives the peer, in bytes. */
interface Window {
  readonly recvWindow: number;
  readonly recvWindowCapacity: number;
}

/**
 * The same muxers, whose streams tell the peer of more window once half of it is used, as yamux's specification and other
 * implementations have it. This one tells it of each frame, so that every message of a few bytes is answered by a frame
 * of its own: encrypted, sent, received and decrypted, for nothing.
 */
export function withFewWindowUpdates(create: CreateMuxers): CreateMuxers {
  return () => {
    const factory = create();
    const createStreamMuxer = factory.createStreamMuxer.bind(factory);
    factory.createStreamMuxer = (connection) => spareAll(createStreamMuxer(connection));
    return factory;
  };
}

function spareAll(muxer: Muxer): Muxer {
  const onCreateStream = muxer.onCreateStream.bind(muxer);
  muxer.onCreateStream = () => spare(onCreateStream());
  const onRemoteStream = muxer.onRemoteStream.bind(muxer);
  muxer.onRemoteStream = (stream) => onRemoteStream(spare(stream));
  return muxer;
}

function spare(stream: YamuxStream): YamuxStream {
  const sendWindowUpdate = stream.sendWindowUpdate.bind(stream);
  stream.sendWindowUpdate = () => {
    const { recvWindow, recvWindowCapacity } = stream as unknown as Window;
    // In any other state it opens or answers the stream.
    const isSpared = stream.state === StreamState.Established && recvWindowCapacity > recvWindow / 2;
    if (!isSpared) sendWindowUpdate();
  };
  return stream;
}

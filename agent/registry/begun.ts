/**
 * `body`, once its first piece is here, or after `patience` milliseconds without one: what fails before it has brought
 * anything can still be told with a status of its own, rather than by a body that ends short.
 * @throws what the body throws before its first piece
 */
export async function begun<Piece>(body: AsyncIterable<Piece>, patience: number): Promise<AsyncIterable<Piece>> {
  const iterator = body[Symbol.asyncIterator]();
  const first = iterator.next();
  // It may fail after the wait and before anybody reads on.
  first.catch(() => {});
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, patience);
  });
  try {
    await Promise.race([first, late]);
  } finally {
    clearTimeout(timer);
  }
  return resumed(first, iterator);
}

async function* resumed<Piece>(
  first: Promise<IteratorResult<Piece>>,
  iterator: AsyncIterator<Piece>,
): AsyncGenerator<Piece, void> {
  try {
    for (let next = await first; !next.done; next = await iterator.next()) yield next.value;
  } finally {
    await iterator.return?.();
  }
}

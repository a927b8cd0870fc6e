/** Rows read from the index at a time: a page takes a millisecond of the main thread or less. */
const PAGE = 200;

/** Everything, a page at a time: between two of them others have their turn, and may change what comes next. */
export async function* paged<Row, After>(
  page: (after: After | undefined, limit: number) => readonly Row[],
  afterOf: (row: Row) => After,
): AsyncGenerator<Row, void> {
  let after: After | undefined;
  for (;;) {
    const rows = page(after, PAGE);
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined) return;
    after = afterOf(last);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

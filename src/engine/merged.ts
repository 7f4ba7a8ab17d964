/** Lists of all partitions: one bounded call per partition at a time, merged into one order. */

/** Rows of a page, and where the next one begins. */
export interface Page<Row> {
  readonly rows: readonly Row[];
  readonly nextCursor: string | undefined;
}

/** Reads a page of one list. */
export type ReadPage<Row> = (page: { cursor: string | undefined; limit: number }) => Promise<Page<Row>>;

/** Size of the first page: most readers look at the beginning only. */
const FIRST_PAGE = 10;
const MAX_PAGE = 100;

/** One list, read page by page. */
class Source<Row> {
  private rows: readonly Row[] = [];
  private at = 0;
  private limit = FIRST_PAGE;
  private atEnd = false;

  constructor(
    private readonly read: ReadPage<Row>,
    private cursor: string | undefined,
  ) {}

  get head(): Row | undefined {
    return this.rows[this.at];
  }

  take(): void {
    this.at++;
  }

  /** Resolves when there is a head, or at the end. A page can be empty and not the last. */
  async ready(): Promise<void> {
    while (this.head === undefined && !this.atEnd) {
      const { rows, nextCursor } = await this.read({ cursor: this.cursor, limit: this.limit });
      this.rows = rows;
      this.at = 0;
      this.cursor = nextCursor;
      this.atEnd = nextCursor === undefined;
      this.limit = Math.min(MAX_PAGE, this.limit * 2);
    }
  }
}

/** Ordered lists merged into one list of the same order. Each continues after `after`, a cursor. */
export async function* mergedLists<Row extends { readonly executionId: string }>(
  lists: readonly ReadPage<Row>[],
  isBefore: (a: Row, b: Row) => boolean,
  after?: string,
): AsyncGenerator<Row, void, undefined> {
  const sources = lists.map((read) => new Source(read, after));
  let last: string | undefined;
  for (;;) {
    // Reads only lists without a head.
    await Promise.all(sources.filter(({ head }) => head === undefined).map((source) => source.ready()));
    let first: Source<Row> | undefined;
    for (const source of sources) {
      if (source.head === undefined) continue;
      if (first?.head === undefined || isBefore(source.head, first.head)) first = source;
    }
    const row = first?.head;
    if (first === undefined || row === undefined) return;
    first.take();
    // An execution can move between two lists while they are read.
    if (row.executionId !== last) yield row;
    last = row.executionId;
  }
}

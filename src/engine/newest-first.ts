/** Lists of executions over all partitions: one bounded call per partition at a time, merged, newest first. */
import type { ExecutionSummary } from '../../model/listing/list.js';
import type { ArgsOf } from '../../model/machine.js';
import { partitionKeyOf } from '../../model/ids.js';
import type { Backend } from '../backend.js';

/** What executions of a list have in common. */
export type ListQuery = Omit<ArgsOf<'listExecutionSummaries'>, 'partition' | 'cursor' | 'limit'>;

/** Rows of a first page: most readers look at the beginning only. */
const FIRST_PAGE = 10;
const MAX_PAGE = 100;

const UUID_LENGTH = 36;
/** What a list over partitions is in the order of. */
const orderOf = ({ executionId }: ExecutionSummary): string => executionId.slice(-UUID_LENGTH);

/** One list of one partition, read page by page. */
class Source {
  private rows: readonly ExecutionSummary[] = [];
  private at = 0;
  private limit = FIRST_PAGE;
  private atEnd = false;

  constructor(
    private readonly read: (page: { cursor: string | undefined; limit: number }) => Promise<{
      readonly executions: readonly ExecutionSummary[];
      readonly nextCursor: string | undefined;
    }>,
    private cursor: string | undefined,
  ) {}

  get head(): ExecutionSummary | undefined {
    return this.rows[this.at];
  }

  take(): void {
    this.at++;
  }

  /** Resolves when there is a head, or the end. Pages can be empty and not the last. */
  async ready(): Promise<void> {
    while (this.head === undefined && !this.atEnd) {
      const { executions, nextCursor } = await this.read({ cursor: this.cursor, limit: this.limit });
      this.rows = executions;
      this.at = 0;
      this.cursor = nextCursor;
      this.atEnd = nextCursor === undefined;
      this.limit = Math.min(MAX_PAGE, this.limit * 2);
    }
  }
}

/**
 * Executions that match one of the queries, newest first. What stays as it is while the list is read is told once; what
 * changes meanwhile is told or not. `after`: an id; the list goes on behind it.
 */
export async function* newestFirst(
  backend: Backend,
  queries: readonly ListQuery[],
  {
    after,
    call = (read) => read(),
  }: { readonly after?: string | undefined; call?<T>(read: () => Promise<T>): Promise<T> },
): AsyncGenerator<ExecutionSummary, void, undefined> {
  const partitions = Array.from({ length: backend.partitions.count }, (_, index) => partitionKeyOf(index));
  const sources = partitions.flatMap((partition) =>
    queries.map(
      (query) =>
        new Source((page) => call(() => backend.listExecutionSummaries({ ...query, ...page, partition })), after),
    ),
  );
  let last: string | undefined;
  for (;;) {
    // Only those without a head are asked.
    await Promise.all(sources.filter(({ head }) => head === undefined).map((source) => source.ready()));
    let newest: Source | undefined;
    for (const source of sources) {
      if (source.head === undefined) continue;
      if (newest?.head === undefined || orderOf(source.head) > orderOf(newest.head)) newest = source;
    }
    const row = newest?.head;
    if (newest === undefined || row === undefined) return;
    newest.take();
    // It can have changed from one list to another while they were read.
    if (row.executionId !== last) yield row;
    last = row.executionId;
  }
}

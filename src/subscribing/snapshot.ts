/**
 * Where to begin when the log does not reach back far enough: the current executions and flows, then the events after
 * them. Nothing is locked. Pages are read at different moments; a subscription from the snapshot skips, per execution,
 * the events that its rows include (see `model/partition/snapshot.ts`).
 */
import { EngineError } from '../../model/errors.js';
import { subjectOf, type LogEntry } from '../../model/events.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { stateVector, type PublicState } from '../../model/execution/situation.js';
import type { ReadonlyFlow } from '../../model/flow/facts.js';
import { partitionKeyOf } from '../../model/ids.js';
import { LIMITS } from '../../model/limits.js';
import { decodeCursor, isExactCursor, NOW } from '../../model/partition/cursor.js';
import { SnapshotSpans, type SnapshotPage } from '../../model/partition/snapshot.js';
import type { Backend } from '../backend/backend.js';
import { brand } from '../util/brand.js';

interface Read {
  /** Number of the partition. */
  readonly partition: number;
  /** Position in the log of the partition: the row includes the events up to it. */
  readonly sequence: number;
}

/** An execution or a flow. Facts are named as in the events; times are ms since the epoch. */
export type SnapshotRow =
  | (Read & { readonly kind: 'execution'; readonly execution: ReadonlyExecution; readonly publicState: PublicState })
  | (Read & { readonly kind: 'flow'; readonly flowId: string; readonly flow: ReadonlyFlow });

export class Snapshot implements AsyncIterableIterator<SnapshotRow> {
  static {
    brand(Snapshot, 'snapshot');
  }

  private readonly spans: readonly SnapshotSpans[];
  /** For each partition, the entries at which pages were read: sequences and times. */
  private readonly times: readonly Map<number, number>[];
  /** For each partition, the position of the last page. */
  private readonly ends: string[];
  private rows: SnapshotRow[] = [];
  /** The partition that is being read, and where in it. */
  private partition = 0;
  private page: string | undefined;
  private pulling: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly backend: Pick<Backend, 'readSnapshot'>,
    /** For each partition, the end of its log before the first read. */
    readonly cursors: readonly string[],
  ) {
    this.spans = cursors.map(() => new SnapshotSpans());
    this.times = cursors.map(() => new Map());
    this.ends = [...cursors];
  }

  /** Whether every row was returned, so that a subscription can begin after the snapshot. */
  get isWhole(): boolean {
    return this.partition === this.cursors.length && this.rows.length === 0;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next row; after an error it can be requested again. @throws every error of the backend */
  next(): Promise<IteratorResult<SnapshotRow, undefined>> {
    const next = this.pulling.then(() => this.pull());
    this.pulling = next.catch(() => undefined);
    return next;
  }

  private async pull(): Promise<IteratorResult<SnapshotRow, undefined>> {
    while (this.rows.length === 0 && this.partition < this.cursors.length) await this.fill();
    const value = this.rows.shift();
    return value === undefined ? { done: true, value } : { done: false, value };
  }

  private async fill(): Promise<void> {
    const { partition, page: cursor } = this;
    const key = partitionKeyOf(partition);
    const page = await this.backend.readSnapshot({ partition: key, cursor, limit: LIMITS.maxListPage });
    const { sequence, time } = decodeCursor(page.position);
    this.spans[partition]?.note(cursor, page);
    this.times[partition]?.set(sequence, time);
    this.ends[partition] = page.position;
    this.rows = rowsOf(page, partition);
    this.page = page.nextCursor;
    if (page.nextCursor === undefined) this.partition += 1;
  }

  /** @throws EngineError `cursor_lost` when a log has lost events that the rows include; every error of the backend */
  async check(backend: Pick<Backend, 'readLog'>): Promise<void> {
    const looks = this.ends.map((after, i) => backend.readLog({ partition: partitionKeyOf(i), after, limit: 1 }));
    await Promise.all(looks);
  }

  /**
   * Whether the rows include an entry of the log.
   * @throws EngineError `cursor_lost` when the entry is not the one at which they were read, because a failover lost a
   *   tail
   */
  has({ sequence, event }: LogEntry, partition: number): boolean {
    const time = this.times[partition]?.get(sequence);
    if (time !== undefined && time !== event.at)
      throw new EngineError('cursor_lost', 'The log has lost what the rows of the snapshot have in them.');
    // The effect of an event of a newer build is unknown: it is passed on.
    if (event.type === 'unknown') return false;
    const { kind, id } = subjectOf(event);
    if (kind !== 'execution' && kind !== 'flow') return false;
    const name = kind === 'flow' ? `${partitionKeyOf(partition)}:${id}` : id;
    return sequence <= (this.spans[partition]?.sequenceOf(kind, name) ?? 0);
  }
}

function rowsOf({ flows, executions, position }: SnapshotPage, partition: number): SnapshotRow[] {
  const read = { partition, sequence: decodeCursor(position).sequence };
  return [
    ...flows.map((flow) => ({
      ...read,
      ...{ kind: 'flow' as const, flowId: `${partitionKeyOf(partition)}:${flow.flow}`, flow },
    })),
    ...executions.map((execution) => {
      const { publicState } = stateVector(execution);
      return { ...read, kind: 'execution' as const, execution, publicState };
    }),
  ];
}

/** A snapshot that begins now. A named group is registered here from now on, so that the logs are kept for it. */
export async function beginSnapshot(backend: Backend, count: number, group: string | undefined): Promise<Snapshot> {
  const cursors = await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const partition = partitionKeyOf(i);
      const { end } = await backend.readLog({ partition, after: NOW, limit: 1 });
      if (group !== undefined && isExactCursor(end))
        await backend.commitReader({ partition, readerId: group, position: end });
      return end;
    }),
  );
  return new Snapshot(backend, cursors);
}

/** @throws EngineError `invalid_input` when rows are missing, because later events would refer to them */
export function checkWhole(snapshot: Snapshot): void {
  if (snapshot.isWhole) return;
  throw new EngineError('invalid_input', 'from: the snapshot must be read to its end first.', {
    detail: { field: 'from' },
  });
}

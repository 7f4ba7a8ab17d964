/**
 * Snapshots that are read during a run, one page now and then, and then updated by the log: the result must equal the
 * state of the partition.
 */
import { canonicalTables } from '../src/testing/canonical/index.js';
import type { TestEngine } from '../src/testing/engine.js';
import { isKnown } from '../model/events.js';
import { LIMITS } from '../model/limits.js';
import { SnapshotFold } from '../model/specification/fold-snapshot.js';
import { SNAPSHOT_KINDS } from '../model/partition/snapshot.js';
import type { PartitionState } from '../model/state.js';

interface Open {
  readonly fold: SnapshotFold;
  /** Position of the first page: the log is read from here. */
  from: string | undefined;
  cursor: string | undefined;
}

/** The snapshot of one partition that is being read. */
export class RunningSnapshot {
  private open: Open | undefined;

  constructor(
    /** Returns the current subject, which may restart between two pages. */
    private readonly engine: Pick<TestEngine, 'backend'>,
    private readonly partition: string,
  ) {}

  /** Reads one page; returns the state after the last one. */
  async step(limit: number): Promise<unknown> {
    const { partition } = this;
    this.open ??= { fold: new SnapshotFold(partition), from: undefined, cursor: undefined };
    const { open } = this;
    const page = await this.engine.backend.readSnapshot({ partition, cursor: open.cursor, limit });
    open.fold.take(open.cursor, page);
    open.from ??= page.position;
    open.cursor = page.nextCursor;
    if (page.nextCursor !== undefined) return undefined;
    await this.foldBehind(open);
    this.open = undefined;
    return snapshotTables(open.fold.state);
  }

  private async foldBehind({ fold, from }: Open): Promise<void> {
    const { partition } = this;
    for (let after = from; ; ) {
      const page = await this.engine.backend.readLog({ partition, after, limit: LIMITS.maxPageSize });
      for (const entry of page.events.filter(isKnown)) fold.fold(entry);
      if (page.atEnd) return;
      after = page.next;
    }
  }

  /** Reads to the end. */
  async finish(): Promise<unknown> {
    for (;;) {
      const tables = await this.step(1);
      if (tables !== undefined) return tables;
    }
  }
}

/** The entities of a state that snapshots contain, in comparable form. */
export function snapshotTables(state: PartitionState): unknown {
  const tables = canonicalTables({ state }, Number.NEGATIVE_INFINITY);
  return Object.fromEntries(SNAPSHOT_KINDS.map((kind) => [kind, tables[kind]]));
}

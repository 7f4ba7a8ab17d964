/**
 * readSnapshot: executions and flows of a partition as they are, page by page, each page with the position of the log at
 * which it was read. It is where a reader begins whose place in the log is gone: state first, then what happens to it.
 *
 * Pages are read at different moments, and each is whole at its own. So an event is in the state of an entity already when
 * its sequence is not above that of the page that has, or would have, the entity. A reader that leaves such events out and
 * applies the others has the state of the partition (`SnapshotSpans`; `model/specification/fold-snapshot.ts` proves it).
 *
 * What is not in it: bytes, which the facts name (sizes and encodings; `readExecutionContext`, `getExecutionResult`,
 * `readStream` and `readSteps` read them); and what other reads tell whole: lanes, readers, signing keys.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query } from '../core/operation.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import type { ReadonlyFlow } from '../flow/facts.js';
import { compareBytes, isExecutionId, uuidOfExecution } from '../ids.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import { decodeCursor, encodeCursor } from './cursor.js';

/** Kinds of entities that a snapshot has, in the order in which it has them. */
export const SNAPSHOT_KINDS = ['flow', 'execution'] as const;
export type SnapshotKind = (typeof SNAPSHOT_KINDS)[number];

export interface SnapshotPage {
  /** By UUID, ascending. A page has entities of one kind. */
  readonly flows: readonly ReadonlyFlow[];
  /** By id, ascending. Those whose records cannot be read are left out; `listQuarantined` shows them. */
  readonly executions: readonly ReadonlyExecution[];
  /** Cursor of the log: what the page says holds behind this entry, and before the next one. */
  readonly position: string;
  /** Present when more may follow: the `cursor` of the next page. */
  readonly nextCursor: string | undefined;
}

/** `<kind>:`, and behind it the id after which the page begins. */
const CURSOR = /^(flow|execution):(.*)$/;

interface SnapshotPlace {
  readonly kind: SnapshotKind;
  /** In the form of the id of an execution, that of a flow too; absent before the first. */
  readonly after: string | undefined;
}

function placeIn(cursor: string): SnapshotPlace | undefined {
  const [, kind, id = ''] = CURSOR.exec(cursor) ?? [];
  if (kind === undefined || (id !== '' && !isExecutionId(id))) return undefined;
  return { kind: kind as SnapshotKind, after: id === '' ? undefined : id };
}

/** Where a page begins. @param cursor one that was checked */
export const snapshotPlaceOf = (cursor: string | undefined): SnapshotPlace =>
  (cursor === undefined ? undefined : placeIn(cursor)) ?? { kind: SNAPSHOT_KINDS[0], after: undefined };

export const readSnapshot = query({
  name: 'readSnapshot',
  args: z.object({
    partition: field.partitionKey,
    /** The `nextCursor` of the page before. */
    cursor: z
      .string()
      .refine((text) => placeIn(text) !== undefined, { error: 'must be a cursor that a page answered' })
      .optional(),
    limit: field.integer(1, LIMITS.maxListPage).default(DEFAULTS.pageSize),
  }),
  rejects: [],
  partition: ({ partition }) => partition,
  read(view, { partition, cursor, limit }) {
    const { kind, after } = snapshotPlaceOf(cursor);
    const { generation, sequence, time } = view.log.header;
    const position = encodeCursor({ generation, sequence, time });
    if (kind === 'flow') {
      const ids = view.flows.ids(after && uuidOfExecution(after), limit + 1);
      const page = ids.slice(0, limit);
      const last = ids.length > limit ? `${partition}:${page.at(-1)}` : '';
      return accept<SnapshotPage>({
        flows: page.flatMap((id) => structuredClone(view.flows.get(id)) ?? []),
        executions: [],
        position,
        nextCursor: last === '' ? 'execution:' : `flow:${last}`,
      });
    }
    const { executions, next } = view.executions.whole(after && `${partition}:${uuidOfExecution(after)}`, limit);
    return accept<SnapshotPage>({
      flows: [],
      // They go on changing where the state is kept in this process.
      executions: structuredClone(executions),
      position,
      nextCursor: next === undefined ? undefined : `execution:${next}`,
    });
  },
});

/** What one page of a snapshot covers: entities of its kind up to an id, and at which sequence it was read. */
interface Span {
  /** The last id; absent when it reaches the end of the kind. */
  readonly upTo: string | undefined;
  readonly sequence: number;
}

/** Which entries of a log the pages of a snapshot have in them. It grows with the pages: a number and an id for each. */
export class SnapshotSpans {
  private readonly spans: Record<SnapshotKind, Span[]> = { flow: [], execution: [] };

  /** @param cursor with which the page was asked for. Pages come in order. */
  note(cursor: string | undefined, { nextCursor, position }: SnapshotPage): void {
    const { kind } = snapshotPlaceOf(cursor);
    const next = nextCursor === undefined ? undefined : snapshotPlaceOf(nextCursor);
    const upTo = next?.kind === kind ? next.after : undefined;
    this.spans[kind].push({ upTo, sequence: decodeCursor(position).sequence });
  }

  /**
   * The sequence up to which an entity has what happened to it; 0 when no page covers it.
   * @param id the id of an execution, or that of a flow in the same form
   */
  sequenceOf(kind: SnapshotKind, id: string): number {
    const spans = this.spans[kind];
    let [low, high] = [0, spans.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const { upTo } = spans[middle] as Span;
      if (upTo === undefined || compareBytes(id, upTo) <= 0) high = middle;
      else low = middle + 1;
    }
    return spans[low]?.sequence ?? 0;
  }
}

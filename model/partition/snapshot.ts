/**
 * readSnapshot: the executions and flows of a partition, page by page, each page with the log position at which it was
 * read. A reader whose log position is gone starts here: state first, then the log. Pages are read at different
 * moments, and each is consistent by itself. An event is already in an entity if its sequence is not above that of the
 * page that contains, or would contain, the entity. A reader that skips such events and applies the others arrives at
 * the state of the partition (`SnapshotSpans`; `model/specification/fold-snapshot.ts` proves it). Not in a snapshot:
 * bytes (`readExecutionContext`, `getExecutionResult`, `readStream` and `readSteps` return them), and lanes, readers
 * and signing keys, which have complete reads of their own.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query } from '../operation.js';
import { present } from '../core/present.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import type { ReadonlyFlow } from '../flow/facts.js';
import { compareBytes, isExecutionId, uuidOfExecution } from '../ids.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import { decodeCursor, encodeCursor } from './cursor.js';

/** The kinds of entities in a snapshot, in order. */
export const SNAPSHOT_KINDS = ['flow', 'execution'] as const;
export type SnapshotKind = (typeof SNAPSHOT_KINDS)[number];

export interface SnapshotPage {
  /** By UUID, ascending. All entities of a page are of one kind. */
  readonly flows: readonly ReadonlyFlow[];
  /** By id, ascending. Unreadable ones are left out; `listQuarantined` shows them. */
  readonly executions: readonly ReadonlyExecution[];
  /** Cursor of the log: the page is the state after this entry. */
  readonly position: string;
  /** Present when more may follow: the `cursor` of the next page. */
  readonly nextCursor: string | undefined;
}

/** `<kind>:` and the id after which the page begins. */
const CURSOR = /^(flow|execution):(.*)$/;

interface SnapshotPlace {
  readonly kind: SnapshotKind;
  /** In the form of an execution id, also for flows; absent before the first. */
  readonly after: string | undefined;
}

function placeIn(cursor: string): SnapshotPlace | undefined {
  const [, kind, id = ''] = CURSOR.exec(cursor) ?? [];
  if (kind === undefined || (id !== '' && !isExecutionId(id))) return undefined;
  return { kind: kind as SnapshotKind, after: id === '' ? undefined : id };
}

/** Where a page begins. @param cursor a validated cursor */
export const snapshotPlaceOf = (cursor: string | undefined): SnapshotPlace =>
  (cursor === undefined ? undefined : placeIn(cursor)) ?? { kind: SNAPSHOT_KINDS[0], after: undefined };

export const readSnapshot = query({
  name: 'readSnapshot',
  args: z.strictObject({
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
      // A copy, because the entities in this process continue to change.
      executions: structuredClone(executions),
      position,
      nextCursor: next === undefined ? undefined : `execution:${next}`,
    });
  },
});

/** What one page covers: entities of its kind up to an id, at a sequence. */
interface Span {
  /** The last id; absent when the page reaches the end of the kind. */
  readonly upTo: string | undefined;
  readonly sequence: number;
}

/** Which log entries the pages of a snapshot include. Stores a number and an id per page. */
export class SnapshotSpans {
  private readonly spans: Record<SnapshotKind, Span[]> = { flow: [], execution: [] };

  /** @param cursor the cursor that requested the page. Pages must come in order. */
  note(cursor: string | undefined, { nextCursor, position }: SnapshotPage): void {
    const { kind } = snapshotPlaceOf(cursor);
    const next = nextCursor === undefined ? undefined : snapshotPlaceOf(nextCursor);
    const upTo = next?.kind === kind ? next.after : undefined;
    this.spans[kind].push({ upTo, sequence: decodeCursor(position).sequence });
  }

  /**
   * The sequence up to which an entity includes its events; 0 when no page covers it.
   * @param id the id of an execution, or of a flow in the same form
   */
  sequenceOf(kind: SnapshotKind, id: string): number {
    const spans = this.spans[kind];
    let [low, high] = [0, spans.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const { upTo } = present(spans[middle]);
      if (upTo === undefined || compareBytes(id, upTo) <= 0) high = middle;
      else low = middle + 1;
    }
    return spans[low]?.sequence ?? 0;
  }
}

/** The timers of a partition in memory: for each entity, the earliest time at which something is due. */
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { compareBytes } from '../../model/ids.js';
import type { Position as ListPosition } from '../../model/listing/position.js';
import type { DueEntity } from '../../model/schedule/due.js';
import { timerMember } from '../../model/schedule/timers.js';
import { entityNamed, type EntityKind } from '../../model/state.js';
import { OrderedIndex, type Position } from './ordered-index.js';

const NEVER = Number.POSITIVE_INFINITY;

export class Timers {
  /** Executions have an index of their own, because there are many. */
  private readonly executions = new OrderedIndex<ReadonlyExecution>();
  /** Other entities, by kind and id. */
  private readonly others = new OrderedIndex<DueEntity>();
  private readonly timesOfOthers = new Map<string, number>();

  /** @param onFirst called when a timer becomes the earliest of all */
  constructor(private readonly onFirst: (at: number) => void) {}

  add(at: number, execution: ReadonlyExecution): void {
    this.executions.add(at, execution.executionId, execution);
    if (this.executions.first === execution && at < (this.others.firstScore ?? NEVER)) this.onFirst(at);
  }

  remove(at: number, executionId: string): void {
    this.executions.remove(at, executionId);
  }

  /** Updates the timer of an entity of another kind; `entity` is undefined if it was removed. */
  note(kind: EntityKind, id: string, entity: object | undefined): void {
    const declaration = entityNamed(kind);
    if (declaration.timerOf === undefined) return;
    const member = timerMember(kind, id);
    const before = this.timesOfOthers.get(member) ?? NEVER;
    const after = (entity === undefined ? undefined : declaration.timerOf(entity as never)) ?? NEVER;
    if (before !== NEVER) this.others.remove(before, member);
    if (after === NEVER) {
      this.timesOfOthers.delete(member);
      return;
    }
    // The entity object can differ from the indexed one even if its time is the same.
    const item = { kind, entity } as unknown as DueEntity;
    this.timesOfOthers.set(member, after);
    this.others.add(after, member, item);
    const isFirst = this.others.first === item && after < (this.executions.firstScore ?? NEVER);
    if (isFirst && before !== after) this.onFirst(after);
  }

  /** The time of the earliest timer. */
  get firstAt(): number {
    return Math.min(this.executions.firstScore ?? NEVER, this.others.firstScore ?? NEVER);
  }

  /** The time of the earliest timer after a time. */
  firstAfter(time: number): number {
    const [execution] = this.executions.entries(1, NEVER, { score: time + 1, id: '' });
    const [other] = this.others.entries(1, NEVER, { score: time + 1, id: '' });
    return Math.min(execution?.score ?? NEVER, other?.score ?? NEVER);
  }

  /** Due entities ordered by (time, kind, id), after this execution, at most `limit`. */
  due(now: number, limit: number, after?: ListPosition): readonly DueEntity[] {
    if (after === undefined && (this.others.firstScore ?? NEVER) > now)
      return this.executions.head(limit, now).map(asDue);
    const { score = 0, executionId = '' } = after ?? {};
    const executions = this.executions
      .entries(limit, now, after && { score, id: executionId })
      .map(({ score, id, item }) => ({ score, id: timerMember('execution', id), item: asDue(item) }));
    const others = this.others.entries(limit, now, after && { score, id: timerMember('execution', executionId) });
    return [...executions, ...others]
      .sort(inOrder)
      .slice(0, limit)
      .map(({ item }) => item);
  }

  /** Every timer, in order. */
  positions(): Position[] {
    const executions = [...this.executions.positions()].map(({ id, score }) => ({
      id: timerMember('execution', id),
      score,
    }));
    return [...executions, ...this.others.positions()].sort(inOrder);
  }
}

const asDue = (entity: ReadonlyExecution): DueEntity => ({ kind: 'execution', entity });

const inOrder = (a: Position, b: Position): number => a.score - b.score || compareBytes(a.id, b.id);

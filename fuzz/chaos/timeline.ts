/** The log of a partition as a timeline: what was true of each execution from when to when, and what happened then. */
import { evolveInPlace } from '../../model/evolve.js';
import type { LoggedEvent } from '../../model/events.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { isClaimable } from '../../model/execution/situation.js';
import { emptyState, idempotencyId, type PartitionState } from '../../model/state.js';

/** A stretch of time, ms since the epoch by the server. */
export interface Span {
  readonly from: number;
  readonly until: number;
}

/** A stretch in which an execution stayed as it was. */
export interface Moment extends Span {
  /** Nothing before the creation. */
  readonly state: ReadonlyExecution | undefined;
  /** What ended the stretch; the last one has not ended. */
  readonly next: LoggedEvent | undefined;
}

export class Timeline {
  /** What the log folds to. */
  readonly state: PartitionState = emptyState();
  private readonly moments = new Map<string, Moment[]>();
  private readonly keys = new Map<string, { executionId: string; from: number; until: number }[]>();
  private readonly idle = new Map<string, Span[]>();

  constructor(readonly log: readonly LoggedEvent[]) {
    const waiting = new Map<string, { count: number; emptyFrom: number }>();
    const open = new Map<string, { from: number; state: ReadonlyExecution | undefined }>();
    for (const logged of log) {
      const { event } = logged;
      const id = event.executionId;
      const before = open.get(id) ?? { from: -Infinity, state: undefined };
      evolveInPlace(this.state, event);
      const known = this.state.executions.get(id);
      const state = known === undefined ? undefined : { ...known };
      push(this.moments, id, { ...before, until: event.at, next: logged });
      open.set(id, { from: event.at, state });
      if (event.type === 'execution_created' && event.idempotencyKey !== undefined) {
        push(this.keys, idempotencyId(event.namespace, event.idempotencyKey), {
          executionId: id,
          from: event.at,
          until: event.idempotencyExpiresAt ?? 0,
        });
      }
      this.count(waiting, before.state, -1, event.at);
      this.count(waiting, state, 1, event.at);
    }
    for (const [id, last] of open) push(this.moments, id, { ...last, until: Infinity, next: undefined });
    for (const [lane, { count, emptyFrom }] of waiting)
      if (count === 0) push(this.idle, lane, { from: emptyFrom, until: Infinity });
  }

  /** Every stretch of an execution; one that says nothing when it was never created. */
  of(executionId: string): readonly Moment[] {
    return this.moments.get(executionId) ?? [{ from: -Infinity, until: Infinity, state: undefined, next: undefined }];
  }

  get executionIds(): Iterable<string> {
    return this.moments.keys();
  }

  /** The execution, other than the one excepted, that an idempotency key pointed to at a time. */
  idempotent(namespace: string, key: string, at: number, except?: string): string | undefined {
    const entries = this.keys.get(idempotencyId(namespace, key)) ?? [];
    return entries.find(({ executionId, from, until }) => executionId !== except && from <= at && at < until)
      ?.executionId;
  }

  /** Whether a lane was without work that asks for no capability, at some time of the span. */
  wasIdle(laneId: string, { from, until }: Span): boolean {
    const spans = this.idle.get(laneId);
    const everHadWork =
      spans !== undefined || [...this.state.executions.values()].some((execution) => execution.laneId === laneId);
    return !everHadWork || (spans ?? []).some((span) => span.from <= until && span.until >= from);
  }

  private count(
    waiting: Map<string, { count: number; emptyFrom: number }>,
    execution: ReadonlyExecution | undefined,
    by: 1 | -1,
    at: number,
  ): void {
    if (execution === undefined || !isClaimable(execution.situation) || execution.requiredCapabilities.length > 0)
      return;
    const lane = waiting.get(execution.laneId) ?? { count: 0, emptyFrom: -Infinity };
    waiting.set(execution.laneId, lane);
    if (lane.count === 0 && by === 1) push(this.idle, execution.laneId, { from: lane.emptyFrom, until: at });
    lane.count += by;
    if (lane.count === 0) lane.emptyFrom = at;
  }
}

function push<Value>(map: Map<string, Value[]>, key: string, value: Value): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

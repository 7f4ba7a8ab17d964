/** The log of a partition as a timeline: the state of each execution from when to when, and the event that ended it. */
import { fold } from '../../model/evolve.js';
import { isOfExecution, type EventNamed, type LoggedEvent } from '../../model/events.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { isClaimable } from '../../model/execution/situation.js';
import { idempotencyId } from '../../model/execution/idempotency.js';
import { emptyState, type PartitionState } from '../../model/state.js';

/** A span of time, ms since the epoch by the server's clock. */
export interface Span {
  readonly from: number;
  readonly until: number;
}

/** A span in which an execution did not change. */
export interface Moment extends Span {
  /** Undefined before the creation. */
  readonly state: ReadonlyExecution | undefined;
  /** The event that ended the span; absent for the last one. */
  readonly next: LoggedEvent | undefined;
  /** Steps recorded by then. */
  readonly steps: readonly StepAt[];
}

/** A recorded step, with the owner that recorded it. */
export interface StepAt {
  readonly event: EventNamed<'step_recorded'>;
  readonly leaseId: string | undefined;
  readonly leaseEpoch: number;
}

const NO_STEPS: readonly StepAt[] = [];

/** A copy that does not change with the execution. */
const copyOf = (known: ReadonlyExecution): ReadonlyExecution => ({
  ...known,
  ...(known.waiting !== undefined && { waiting: structuredClone(known.waiting) }),
});

export class Timeline {
  /** The folded log. */
  readonly state: PartitionState = emptyState();
  private readonly moments = new Map<string, Moment[]>();
  private readonly keys = new Map<string, { executionId: string; from: number; until: number }[]>();
  /** By queue: when it was empty. */
  private readonly idle = new Map<string, Span[]>();
  /** By lane: the kinds of work that has waited there without required capabilities. */
  private readonly kinds = new Map<string, Set<string>>();

  constructor(readonly log: readonly LoggedEvent[]) {
    const waiting = new Map<string, { count: number; emptyFrom: number }>();
    const open = new Map<string, Pick<Moment, 'from' | 'state' | 'steps'>>();
    for (const logged of log) {
      const { event } = logged;
      if (!isOfExecution(event)) {
        fold(this.state, event);
        continue;
      }
      const id = event.executionId;
      const before = open.get(id) ?? { from: -Infinity, state: undefined, steps: NO_STEPS };
      fold(this.state, event);
      const known = this.state.tables.execution.get(id);
      const state = known && copyOf(known);
      const { currentLeaseId: leaseId, currentLeaseEpoch: leaseEpoch = 0 } = before.state ?? {};
      const steps = event.type === 'step_recorded' ? [...before.steps, { event, leaseId, leaseEpoch }] : before.steps;
      push(this.moments, id, { ...before, until: event.at, next: logged });
      open.set(id, { from: event.at, state, steps });
      if (event.type === 'execution_created' && event.idempotencyKey !== undefined) {
        push(this.keys, idempotencyId(event.namespace, event.idempotencyKey), {
          executionId: id,
          from: event.at,
          until: event.holdsKey ? Infinity : (event.idempotencyExpiresAt ?? 0),
        });
      }
      if (event.type === 'execution_purged') this.freeKeys(id, event.at);
      this.count(waiting, before.state, -1, event.at);
      this.count(waiting, state, 1, event.at);
    }
    for (const [id, last] of open) push(this.moments, id, { ...last, until: Infinity, next: undefined });
    for (const [queue, { count, emptyFrom }] of waiting)
      if (count === 0) push(this.idle, queue, { from: emptyFrom, until: Infinity });
  }

  /** Every span of an execution; one without facts if it was never created. */
  of(executionId: string): readonly Moment[] {
    return (
      this.moments.get(executionId) ?? [
        { from: -Infinity, until: Infinity, state: undefined, next: undefined, steps: NO_STEPS },
      ]
    );
  }

  /** An execution at a time; undefined if there was none. */
  at(executionId: string, at: number): ReadonlyExecution | undefined {
    return this.of(executionId).find(({ from, until }) => from <= at && at < until)?.state;
  }

  get executionIds(): Iterable<string> {
    return this.moments.keys();
  }

  /** A key that an execution holds is free from its purge on. */
  private freeKeys(executionId: string, at: number): void {
    for (const entries of this.keys.values())
      for (const entry of entries) if (entry.executionId === executionId) entry.until = Math.min(entry.until, at);
  }

  /** The execution, other than the excepted one, that an idempotency key pointed to at a time. */
  idempotent(namespace: string, key: string, at: number, except?: string): string | undefined {
    const entries = this.keys.get(idempotencyId(namespace, key)) ?? [];
    return entries.find(({ executionId, from, until }) => executionId !== except && from <= at && at < until)
      ?.executionId;
  }

  /** The requested number of entries after a position; fewer at the end of the log. */
  from(sequence: number, count: number): readonly LoggedEvent[] {
    const at = sequence - (this.log[0]?.sequence ?? 0);
    return this.log.slice(at, at + count);
  }

  /** The span that an entry of the log ended. */
  endedBy({ sequence, event }: LoggedEvent): Moment | undefined {
    if (!isOfExecution(event)) return undefined;
    return this.of(event.executionId).find(({ next }) => next?.sequence === sequence);
  }

  /**
   * Whether a lane had no work without required capabilities, of any of these kinds (default all), at some time of the
   * span.
   */
  wasIdle(laneId: string, kinds: readonly string[] | undefined, span: Span): boolean {
    const wanted = kinds ?? [...(this.kinds.get(laneId) ?? [])];
    let idle: readonly Span[] = [span];
    for (const kind of wanted) {
      if (this.kinds.get(laneId)?.has(kind) !== true) continue;
      idle = intersections(idle, this.idle.get(queueOf(laneId, kind)) ?? []);
    }
    return idle.length > 0;
  }

  private count(
    waiting: Map<string, { count: number; emptyFrom: number }>,
    execution: ReadonlyExecution | undefined,
    by: 1 | -1,
    at: number,
  ): void {
    if (execution === undefined || !isClaimable(execution.situation) || execution.requiredCapabilities.length > 0)
      return;
    const { laneId, executionKind } = execution;
    const name = queueOf(laneId, executionKind);
    const kinds = this.kinds.get(laneId) ?? new Set();
    this.kinds.set(laneId, kinds.add(executionKind));
    const queue = waiting.get(name) ?? { count: 0, emptyFrom: -Infinity };
    waiting.set(name, queue);
    if (queue.count === 0 && by === 1) push(this.idle, name, { from: queue.emptyFrom, until: at });
    queue.count += by;
    if (queue.count === 0) queue.emptyFrom = at;
  }
}

const queueOf = (laneId: string, executionKind: string): string => `${laneId}\t${executionKind}`;

function intersections(some: readonly Span[], others: readonly Span[]): Span[] {
  return some.flatMap((one) =>
    others.flatMap((other) => {
      const [from, until] = [Math.max(one.from, other.from), Math.min(one.until, other.until)];
      return from <= until ? [{ from, until }] : [];
    }),
  );
}

function push<Value>(map: Map<string, Value[]>, key: string, value: Value): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

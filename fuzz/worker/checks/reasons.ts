/** What workers tell handlers and listeners is true: the reasons of aborts, and the outcomes of attempts. */
import type { Event } from '../../../src/engine/index.js';
import type { WorkerEvents } from '../../../src/index.js';
import type { ExecutionFacts, HandlerCall, LeaseFacts } from '../facts.js';
import type { Node, NodeWorker } from '../node.js';
import { short } from '../story.js';
import type { World } from '../world.js';

/** The last part of the time of a drain, in which handlers may be told to stop. */
const STOP_PART = 0.1;

const has = (execution: ExecutionFacts | undefined, wanted: Event['type']): boolean =>
  execution?.events.some(({ type }) => type === wanted) ?? false;

/** A handler is told to stop. @param code the reason */
export function handlerTold(world: World, node: Node, call: HandlerCall, code: string): void {
  const now = world.scheduler.now();
  const execution = world.facts.executions.get(call.executionId);
  const lease = world.facts.leases.get(call.leaseId);
  const isTrue = {
    cancelled: has(execution, 'execution_cancelled'),
    lease_revoked: lease?.endedBy === 'lease_revoked',
    // Of an attempt whose timeout it does not know yet, a worker learns only that the run expired.
    deadline:
      execution?.deadlineAt !== undefined && (execution.deadlineAt <= now || has(execution, 'execution_expired')),
    attempt_timeout: (lease?.attemptTimeoutAt ?? Infinity) <= now,
    shutdown: mayStop(node, lease?.workerInstanceId, now),
    // The checks of leases judge this.
    lease_lost: true,
  }[code];
  if (isTrue !== true)
    world.broken(
      'a handler is told the true reason',
      `call ${call.number} for ${short(call.executionId)} is told ${code} after ${execution?.events.at(-1)?.type}`,
    );
}

/** Whether so much of the time of a drain is over that handlers may be stopped. */
function mayStop({ workers, setup, closing }: Node, instance: string | undefined, now: number): boolean {
  const own = workers.find(({ worker }) => worker.workerInstanceId === instance);
  if (own?.drain !== undefined) return now >= own.drain.at + own.drain.ms * (1 - STOP_PART) - 1;
  return closing && setup.drainMs >= 0;
}

type Outcome = WorkerEvents['finished']['outcome'];

/** The events of the log that each outcome stands for. */
const EVENTS: Readonly<Record<Exclude<Outcome, 'lost' | 'timed_out'>, readonly Event['type'][]>> = {
  completed: ['execution_completed'],
  failed: ['execution_failed'],
  retry_scheduled: ['retry_scheduled'],
  delayed: ['execution_delayed'],
  // The attempt of a handler whose wait is over already is delayed by no time.
  suspended: ['execution_suspended', 'children_awaited', 'execution_delayed'],
  released: ['lease_released'],
  cancelled: ['execution_cancelled'],
};

/** The worker says how an attempt ended. */
export function attemptFinished(
  world: World,
  each: NodeWorker,
  { executionId, outcome }: WorkerEvents['finished'],
): void {
  const key = `${executionId} ${outcome}`;
  const times = (each.outcomes.get(key) ?? 0) + 1;
  each.outcomes.set(key, times);
  const execution = world.facts.executions.get(executionId);
  const possible = execution === undefined ? 0 : endsOf(world, each, execution, outcome);
  if (times > possible)
    world.broken(
      'a worker says how an attempt ended',
      `${short(executionId)} is ${outcome} for time ${times}, and by the log ${possible} times`,
    );
}

/** How many attempts of an execution can have ended like this. */
function endsOf(world: World, { worker }: NodeWorker, execution: ExecutionFacts, outcome: Outcome): number {
  if (outcome !== 'lost' && outcome !== 'timed_out')
    return execution.events.filter(({ type }) => EVENTS[outcome].includes(type)).length;
  const now = world.scheduler.now();
  const outOfTime = new Set(
    world.facts
      .callsOf(execution.executionId)
      .filter(toldOfTime)
      .map(({ leaseId }) => leaseId),
  );
  const isLost = ({ leaseId, endedBy }: LeaseFacts): boolean => endedBy === 'lease_revoked' || !outOfTime.has(leaseId);
  const isOver = ({ attemptTimeoutAt = Infinity }: LeaseFacts): boolean =>
    Math.min(attemptTimeoutAt, execution.deadlineAt ?? Infinity) <= now || has(execution, 'execution_expired');
  return execution.leases.filter(
    (lease) =>
      lease.workerInstanceId === worker.workerInstanceId &&
      world.checks.calls.endings.get(lease.leaseId)?.last !== 'accepted' &&
      (outcome === 'lost' ? isLost(lease) : isOver(lease)),
  ).length;
}

/** Whether a handler was told that its time is up: its attempt is not lost then, unless an operator revoked the lease. */
const toldOfTime = ({ toldCode }: HandlerCall): boolean =>
  toldCode() === 'attempt_timeout' || toldCode() === 'deadline';

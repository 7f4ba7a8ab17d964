/** Obstacles that keep work from running. */
import type { BlockingReason } from '../../model/execution/situation.js';
import type { OperationName } from '../../model/machine.js';
import type { AwaitedSignals } from '../../model/suspension/condition.js';

/** A call that removes an obstacle. */
export interface CallStep {
  readonly kind: 'call';
  readonly call: OperationName;
  /** The id of the execution, flow, budget or quota policy to call it for, or the name of the lane. */
  readonly of: string;
  /** The task, if that is an execution. */
  readonly task?: string | undefined;
}

/** A time to wait for. */
export interface WaitStep {
  readonly kind: 'wait';
  /** Ms since the epoch. */
  readonly until: number;
}

/** A step that makes work run; `kind` distinguishes the two. */
export type UnblockStep = CallStep | WaitStep;

/** A step of an obstacle; by default it concerns the execution with the obstacle. */
export type ObstacleStep = UnblockStep | (Pick<CallStep, 'kind' | 'call'> & { readonly of?: undefined });

/** A call for the execution with the obstacle, or for something else. */
export function callStep(call: OperationName): ObstacleStep;
export function callStep(call: OperationName, of: string, task?: string): CallStep;
export function callStep(call: OperationName, of?: string, task?: string): ObstacleStep {
  if (of === undefined) return { kind: 'call', call };
  return { kind: 'call', call, of, ...(task === undefined ? {} : { task }) };
}

export const waitStep = (until: number): WaitStep => ({ kind: 'wait', until });

/** One obstacle. */
export interface Obstacle {
  /**
   * `nothing` while it runs, `ended` after its end, `hold`, `lane_paused`, `budget`, `quota`, `not_promoted` when its
   * time has come and no loop has applied it, `granted`, `worker` when any capable worker may take it, otherwise the
   * blocking reason of the contract.
   */
  readonly because:
    | 'nothing'
    | 'ended'
    | 'hold'
    | 'lane_paused'
    | 'budget'
    | 'quota'
    | 'not_promoted'
    | 'granted'
    | 'worker'
    | BlockingReason;
  readonly sentence: string;
  /** How to remove it. */
  readonly remedy: string;
  /** When it ends by itself, ms since the epoch, if known. */
  readonly until: number | undefined;
  /** The budget or quota policy without room. */
  readonly meterId: string | undefined;
  /**
   * Names of the signals that its handler waits for, without duplicates; empty if it waits for none, or for an
   * operator.
   */
  readonly signals: readonly string[];
  /** How many of them have come and how many it needs, by part of what it waits for. */
  readonly awaited: readonly AwaitedSignals[];
  /** Steps to remove it, in order; undefined when nothing removes it. */
  readonly steps: readonly ObstacleStep[] | undefined;
}

/** An obstacle with few known facts. */
export const obstacleOf = (
  because: Obstacle['because'],
  sentence: string,
  remedy: string,
  facts: Partial<Pick<Obstacle, 'until' | 'meterId' | 'signals' | 'awaited' | 'steps'>> = {},
): Obstacle => ({
  ...{ because, sentence, remedy, until: undefined, meterId: undefined, signals: [], awaited: [], steps: [] },
  ...facts,
});

/** Its time has come, and no process has applied it. */
export const notApplied = (sentence: string, until: number): Obstacle =>
  obstacleOf('not_promoted', sentence, 'Run a process that applies due work: a worker, or `startTimerLoop`.', {
    until,
    steps: [callStep('applyDue')],
  });

/** A time for people. A time beyond every calendar stays a number. */
export function timeText(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? `${ms} ms after 1970` : date.toISOString();
}

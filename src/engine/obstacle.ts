/** What can keep work from running. */
import type { BlockingReason } from '../../model/execution/situation.js';
import type { OperationName } from '../../model/machine.js';

/** A call of the engine that makes work run. */
export interface CallStep {
  readonly kind: 'call';
  readonly call: OperationName;
  /** What is called for: the id of an execution, a flow, a budget or a quota policy, or the name of a lane. */
  readonly of: string;
  /** The task, where that is an execution. */
  readonly task?: string | undefined;
}

/** A time that has to come. */
export interface WaitStep {
  readonly kind: 'wait';
  /** Ms since the epoch. */
  readonly until: number;
}

/** What makes work run: `kind` says which of the two it is. */
export type UnblockStep = CallStep | WaitStep;

/** A step of an obstacle: where nothing else is said, it is about the execution that has the obstacle. */
export type ObstacleStep = UnblockStep | (Pick<CallStep, 'kind' | 'call'> & { readonly of?: undefined });

/** A call for the execution that has the obstacle, or for something else. */
export function callStep(call: OperationName): ObstacleStep;
export function callStep(call: OperationName, of: string, task?: string): CallStep;
export function callStep(call: OperationName, of?: string, task?: string): ObstacleStep {
  if (of === undefined) return { kind: 'call', call };
  return { kind: 'call', call, of, ...(task === undefined ? {} : { task }) };
}

export const waitStep = (until: number): WaitStep => ({ kind: 'wait', until });

/** One thing that keeps work from running. */
export interface Obstacle {
  /**
   * `nothing` while it runs, `ended` after its end, `hold`, `lane_paused`, `budget`, `quota`, `not_promoted` when its time
   * has come and nobody has applied it, `granted`, `worker` when any worker that can run it may take it, else the blocking
   * reason of the contract.
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
  /** What would take it away. */
  readonly remedy: string;
  /** When it goes by itself, ms since the epoch, where that is known. */
  readonly until: number | undefined;
  /** The budget or quota policy that has no room. */
  readonly meterId: string | undefined;
  /** The names of the signals that its handler waits for, each once; empty where it waits for none, or for an operator. */
  readonly signals: readonly string[];
  /** What takes it away, in order. */
  readonly steps: readonly ObstacleStep[];
}

/** An obstacle, with what little is known of it. */
export const said = (
  because: Obstacle['because'],
  sentence: string,
  remedy: string,
  facts: Partial<Pick<Obstacle, 'until' | 'meterId' | 'signals' | 'steps'>> = {},
): Obstacle => ({ because, sentence, remedy, until: undefined, meterId: undefined, signals: [], steps: [], ...facts });

/** Its time has come, and no process has applied that. */
export const notApplied = (sentence: string, until: number): Obstacle =>
  said('not_promoted', sentence, 'Run a process that applies due work: a worker, or `startTimerLoop`.', {
    until,
    steps: [callStep('applyDue')],
  });

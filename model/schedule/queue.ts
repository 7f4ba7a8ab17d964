/**
 * Queues of claimable work. Each lane of a partition has one queue per kind and set of required capabilities, so that a
 * claim reads only queues whose work its worker can do. Lapsed work is in the same queue, in a band below every
 * priority, so it is taken first. The meter set of metered work is part of the queue's name: a claim takes work of one
 * meter set. Source: spec 05 sections 6.3 and 8.2; rulings 19, 27 and 34.
 */
import type { ReadonlyExecution } from '../execution/facts.js';
import { isReclaimable } from '../execution/situation.js';
import { LIMITS, PRIORITY_STEP, RECLAIM_BAND } from '../limits.js';
import { meterSetOf } from '../metering/meters.js';

/** The capability set of a queue as one text: the tokens joined by commas. */
export type Needs = string;

export function needsOf({ requiredCapabilities }: Pick<ReadonlyExecution, 'requiredCapabilities'>): Needs {
  return requiredCapabilities.length === 0 ? '' : requiredCapabilities.join(',');
}

/** What all executions of a queue have in common. No value contains a tab. */
export interface QueueParts {
  readonly needs: Needs;
  /** The meter set; empty for unmetered work. */
  readonly meters: string;
  readonly executionKind: string;
}

type Queued = Pick<ReadonlyExecution, 'requiredCapabilities' | 'executionKind' | 'meters'>;

/** The queue of an execution in its lane. */
export function partsOf(execution: Queued): QueueParts {
  const { executionKind, meters } = execution;
  return { needs: needsOf(execution), meters: meters.length === 0 ? '' : meterSetOf(meters), executionKind };
}

/** The name of the queue: the needs, the meter set if there is one, and the kind. */
export function queueNameOf(execution: Queued): string {
  return nameOfQueue(partsOf(execution));
}

export function nameOfQueue({ needs, meters, executionKind }: QueueParts): string {
  return meters === '' ? `${needs}\t${executionKind}` : `${needs}\t${meters}\t${executionKind}`;
}

/** Needs, meter set and kind from the name of a queue. */
export function partsOfQueue(name: string): QueueParts {
  const [first, last] = [name.indexOf('\t'), name.lastIndexOf('\t')];
  return {
    needs: name.slice(0, first),
    meters: first === last ? '' : name.slice(first + 1, last),
    executionKind: name.slice(last + 1),
  };
}

/** What a claim can take: kinds (absent: any), capabilities, and the meter set (empty for unmetered work). */
export interface ClaimTerms {
  readonly meters: string;
  readonly kinds: ReadonlySet<string> | undefined;
  readonly capabilities: ReadonlySet<string>;
}

/** Whether a worker with these capabilities can do all work of the queue. */
export function covers(offered: ReadonlySet<string>, needs: Needs): boolean {
  return needs === '' || needs.split(',').every((token) => offered.has(token));
}

/** Whether a claim can take all work of a queue. */
export function serves({ meters, kinds, capabilities }: ClaimTerms, queue: QueueParts): boolean {
  const { needs, executionKind, meters: own } = queue;
  return own === meters && (kinds === undefined || kinds.has(executionKind)) && covers(capabilities, needs);
}

/** A scheduler's filter: kinds (absent: any), and the capabilities that work may need at most (absent: any). */
export interface Wanted {
  readonly kinds: ReadonlySet<string> | undefined;
  readonly capabilities: ReadonlySet<string> | undefined;
}

/** Whether a filter matches the work of a queue. */
export function fits({ kinds, capabilities }: Wanted, { needs, executionKind }: QueueParts): boolean {
  return (
    (kinds === undefined || kinds.has(executionKind)) && (capabilities === undefined || covers(capabilities, needs))
  );
}

/** The boundary between lost work, below it, and waiting work. */
export const FIRST_WAITING_SCORE = -LIMITS.maxPriority * PRIORITY_STEP;

/** Lower scores are served first: lapsed work by the time of its lapse, then higher priority, then older. */
export function queueScore(execution: ReadonlyExecution): number {
  return isReclaimable(execution.situation) ? RECLAIM_BAND + execution.lastTransitionAt : waitingScore(execution);
}

/**
 * Between the scores of waiting work of a priority, below it, and those of less urgent work. Half a step is longer than
 * any wait, and than any time by which a clock that was put back can leave work in the future.
 */
export const lastScoreOf = (priority: number, now: number): number => now - (priority - 0.5) * PRIORITY_STEP;

/** The score of waiting work that was not lost. */
export const waitingScore = ({ createdAt, priority }: Pick<ReadonlyExecution, 'createdAt' | 'priority'>): number =>
  createdAt - priority * PRIORITY_STEP;

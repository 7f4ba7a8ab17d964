/**
 * Where claimable work waits. Each lane of a partition has one queue per kind and set of required capabilities, so that
 * a claim looks only at queues whose work its worker can do. Lapsed work sits in the same queue, in a band below
 * every priority, so that it is taken first. What metered work is metered by is a further part of the name: a claim takes
 * work of one meter set. Source: spec 05 sections 6.3 and 8.2; rulings 19, 27 and 34.
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

/** The queue of a lane in which an execution waits: its needs, its meter set if it has one, and its kind. None holds a tab. */
export function queueNameOf(
  execution: Pick<ReadonlyExecution, 'requiredCapabilities' | 'executionKind' | 'meters'>,
): string {
  const { executionKind, meters } = execution;
  if (meters.length === 0) return `${needsOf(execution)}\t${executionKind}`;
  return `${needsOf(execution)}\t${meterSetOf(meters)}\t${executionKind}`;
}

/** What the name of a queue says. */
export interface QueueParts {
  readonly needs: Needs;
  /** The meter set; empty of unmetered work. */
  readonly meters: string;
  readonly executionKind: string;
}

/** The needs, the meter set and the kind of a queue, by its name. */
export function partsOfQueue(name: string): QueueParts {
  const [first, last] = [name.indexOf('\t'), name.lastIndexOf('\t')];
  return {
    needs: name.slice(0, first),
    meters: first === last ? '' : name.slice(first + 1, last),
    executionKind: name.slice(last + 1),
  };
}

/** What a claim can take: kinds (any, when absent), capabilities, and the meter set (empty for unmetered work). */
export interface Offer {
  readonly meters: string;
  readonly kinds: ReadonlySet<string> | undefined;
  readonly capabilities: ReadonlySet<string>;
}

/** Whether a worker that offers these capabilities can do all work of the queue. */
export function covers(offered: ReadonlySet<string>, needs: Needs): boolean {
  return needs === '' || needs.split(',').every((token) => offered.has(token));
}

/** Whether an offer can do all work of a queue. */
export function serves({ meters, kinds, capabilities }: Offer, name: string): boolean {
  const { needs, executionKind, meters: own } = partsOfQueue(name);
  return own === meters && (kinds === undefined || kinds.has(executionKind)) && covers(capabilities, needs);
}

/** What a scheduler looks for: kinds (any, when absent), and work that needs no more than these capabilities (or any). */
export interface Wanted {
  readonly kinds: ReadonlySet<string> | undefined;
  readonly capabilities: ReadonlySet<string> | undefined;
}

/** Whether the work of a queue is what is looked for. */
export function fits({ kinds, capabilities }: Wanted, name: string): boolean {
  const { needs, executionKind } = partsOfQueue(name);
  return (
    (kinds === undefined || kinds.has(executionKind)) && (capabilities === undefined || covers(capabilities, needs))
  );
}

/** The score that lies between lost work and everything else: whatever waits has it or a higher one. */
export const FIRST_WAITING_SCORE = -LIMITS.maxPriority * PRIORITY_STEP;

/** Lower is served first: lapsed work by the time of its lapse, then higher priority, then older. */
export function queueScore(execution: ReadonlyExecution): number {
  return isReclaimable(execution.situation) ? RECLAIM_BAND + execution.lastTransitionAt : waitingScore(execution);
}

/** The score of what waits and was not lost. */
export const waitingScore = ({ createdAt, priority }: Pick<ReadonlyExecution, 'createdAt' | 'priority'>): number =>
  createdAt - priority * PRIORITY_STEP;

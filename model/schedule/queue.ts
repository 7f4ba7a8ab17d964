/**
 * Where claimable work waits. Each lane of a partition has one queue per kind and set of required capabilities, so that
 * a claim looks only at queues whose work its worker can do. Lapsed work sits in the same queue, in a band below
 * every priority, so that it is taken first. Source: spec 05 sections 6.3 and 8.2; rulings 27 and 34. The set of meters,
 * a further part of the name, comes with budgets and quotas.
 */
import type { ReadonlyExecution } from '../execution/facts.js';
import { isReclaimable } from '../execution/situation.js';
import { LIMITS, PRIORITY_STEP, RECLAIM_BAND } from '../limits.js';

/** The capability set of a queue as one text: the tokens joined by commas. */
export type Needs = string;

export function needsOf({ requiredCapabilities }: Pick<ReadonlyExecution, 'requiredCapabilities'>): Needs {
  return requiredCapabilities.length === 0 ? '' : requiredCapabilities.join(',');
}

/** The queue of a lane in which an execution waits: its needs and its kind. No token and no kind holds a tab. */
export function queueNameOf(execution: Pick<ReadonlyExecution, 'requiredCapabilities' | 'executionKind'>): string {
  return `${needsOf(execution)}\t${execution.executionKind}`;
}

/** The needs and the kind of a queue, by its name. */
export function partsOfQueue(name: string): { readonly needs: Needs; readonly executionKind: string } {
  const tab = name.indexOf('\t');
  return { needs: name.slice(0, tab), executionKind: name.slice(tab + 1) };
}

/** What a claim can take: kinds (any, when absent) and capabilities. */
export interface Offer {
  readonly kinds: ReadonlySet<string> | undefined;
  readonly capabilities: ReadonlySet<string>;
}

/** Whether a worker that offers these capabilities can do all work of the queue. */
export function covers(offered: ReadonlySet<string>, needs: Needs): boolean {
  return needs === '' || needs.split(',').every((token) => offered.has(token));
}

/** Whether an offer can do all work of a queue. */
export function serves({ kinds, capabilities }: Offer, name: string): boolean {
  const { needs, executionKind } = partsOfQueue(name);
  return (kinds === undefined || kinds.has(executionKind)) && covers(capabilities, needs);
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
  return isReclaimable(execution.situation)
    ? RECLAIM_BAND + execution.lastTransitionAt
    : execution.createdAt - execution.priority * PRIORITY_STEP;
}

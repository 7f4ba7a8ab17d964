/**
 * Where claimable work waits. Each lane of a partition has one queue per set of required capabilities, so that a
 * claim looks only at queues whose work its worker can do. Lapsed work sits in the same queue, in a band below
 * every priority, so that it is taken first. Source: spec 05 sections 6.3 and 8.2; performance.md section 6.
 */
import type { ReadonlyExecution } from '../execution/execution.js';
import { isReclaimable } from '../execution/situation.js';
import { PRIORITY_STEP, RECLAIM_BAND } from '../limits.js';

/** The capability set of a queue as one text: the tokens joined by commas. */
export type RequirementSet = string;

export function requirementSetOf(execution: ReadonlyExecution): RequirementSet {
  return execution.requiredCapabilities.length === 0 ? '' : execution.requiredCapabilities.join(',');
}

/** Whether a worker that offers these capabilities can do all work of the queue. */
export function covers(offered: ReadonlySet<string>, requirements: RequirementSet): boolean {
  return requirements === '' || requirements.split(',').every((token) => offered.has(token));
}

/** Lower is served first: lapsed work by the time of its lapse, then higher priority, then older. */
export function queueScore(execution: ReadonlyExecution): number {
  return isReclaimable(execution.situation)
    ? RECLAIM_BAND + execution.lastTransitionAt
    : execution.createdAt - execution.priority * PRIORITY_STEP;
}

/**
 * issueClaimGrant, issueReclaimGrant: a scheduler lets one worker take one execution that waits, or that its last owner
 * lost. The worker's capabilities are checked here, not again by the claim that uses the grant. Spec 04 section 3.2,
 * spec 05 section 6.1.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, acceptAll, operation, reject } from '../operation.js';
import { echoed } from '../core/wire-form.js';
import type { ErrorDetail } from '../errors.js';
import type { Event } from '../events.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { isHeld, isReclaimable } from '../execution/situation.js';
import { CANCEL_OWED, owedCancel } from '../flow/owed.js';
import { partitionOfExecution } from '../ids.js';
import { notEligible } from '../lease/fence.js';
import { endOf } from '../schedule/acquire.js';
import { isBeyondReclaim } from '../schedule/reclaim-cap.js';
import {
  grantedToClaim,
  grantedToReclaim,
  grantedOf,
  hasLiveGrant,
  issueArgs,
  ISSUE_WIRE,
  mismatchOf,
  type IssueArgs,
} from './grant.js';
import type { View } from '../view.js';

/** The event that issues the requested grant. */
function issuanceOf(args: IssueArgs, now: number): Extract<Event, { type: 'grant_issued' }> {
  return {
    type: 'grant_issued',
    executionId: args.executionId,
    at: now,
    grantExpiresAt: now + args.grantTtlMs,
    grantId: args.grantId,
    grantWorkerId: args.workerId,
    grantWorkerInstanceId: args.workerInstanceId,
    grantIsStrict: args.strict,
    // An empty note is none.
    capabilityHash: args.capabilityHash || undefined,
    routeSnapshotJson: args.routeSnapshotJson || undefined,
    admissionSummary: args.admissionSummary || undefined,
  };
}

/** Whether the live grant is for the same worker and instance: a repeated request returns it. */
const isOfSame = (execution: ReadonlyExecution, { workerId, workerInstanceId }: IssueArgs): boolean =>
  execution.grantWorkerId === workerId && execution.grantWorkerInstanceId === workerInstanceId;

/** Whether the lane is closed to claims. Grants issued before stay usable. */
const isPaused = (view: View, { laneId }: ReadonlyExecution): boolean =>
  view.schedule.lane(laneId)?.laneState === 'paused';

export const issueClaimGrant = operation({
  name: 'issueClaimGrant',
  args: issueArgs,
  outcome: grantedToClaim,
  rejects: [
    'execution_not_found',
    'invalid_input',
    'execution_not_eligible',
    'grant_already_exists',
    'capability_mismatch',
  ],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: ISSUE_WIRE,
  memory: 'frees',
  decide(view, args, { now }) {
    const execution = view.executions.get(args.executionId);
    if (execution === undefined) return reject('execution_not_found');
    if (args.laneId !== undefined && args.laneId !== execution.laneId)
      return reject('invalid_input', { field: 'laneId' });
    if (execution.situation !== 'ready' || isHeld(execution)) return notEligible(execution);
    if (owedCancel(view, execution) !== undefined) return reject('execution_not_eligible', { reason: CANCEL_OWED });
    const claimKind = execution.nextAttempt === 'resume' ? 'resumed' : 'fresh';
    if (hasLiveGrant(execution, now)) {
      return isOfSame(execution, args)
        ? accept(grantedOf(execution, execution, claimKind))
        : reject('grant_already_exists');
    }
    if (isPaused(view, execution)) return reject('execution_not_eligible', { laneState: 'paused' });
    const mismatch = mismatchOf(execution, args);
    if (mismatch !== undefined) return reject('capability_mismatch', mismatch);
    const issued = issuanceOf(args, now);
    return accept(grantedOf(execution, issued, claimKind), issued);
  },
});

/** Why an execution cannot be granted for a reclaim. */
const notReclaimable = z.object({
  kind: z.literal('not_reclaimable'),
  executionId: echoed(field.executionId),
  /** `execution_not_reclaimable`, `cancel_owed`, `lane_paused`, or `capability_mismatch: ` and the missing tokens. */
  detail: z.string(),
});

/** The missing capabilities, in words. */
const inWords = ({ missing, executionKind }: ErrorDetail): string =>
  [missing, executionKind === undefined ? '' : `kind ${executionKind}`].filter((part) => part !== '').join('; ');

/** The reclaim cap is reached: this call ended it `failed`. */
export const capExceeded = z.object({
  kind: z.literal('reclaim_cap_exceeded'),
  executionId: echoed(field.executionId),
  /** How often it was reclaimed. */
  reclaimCount: field.count,
});

export const issueReclaimGrant = operation({
  name: 'issueReclaimGrant',
  args: issueArgs,
  outcome: z.discriminatedUnion('kind', [grantedToReclaim, notReclaimable, capExceeded]),
  rejects: ['execution_not_found', 'invalid_input', 'grant_already_exists'],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: ISSUE_WIRE,
  memory: 'frees',
  decide(view, args, { now, settings }) {
    const { executionId } = args;
    const execution = view.executions.get(executionId);
    if (execution === undefined) return reject('execution_not_found');
    if (args.laneId !== undefined && args.laneId !== execution.laneId)
      return reject('invalid_input', { field: 'laneId' });
    // Records a lapsed lease that has not been recorded yet (ruling 22).
    const lapses = execution.situation === 'running' && (execution.dueAt ?? 0) <= now;
    if (!(lapses || isReclaimable(execution.situation)) || isHeld(execution)) {
      return accept({ kind: 'not_reclaimable', executionId, detail: 'execution_not_reclaimable' });
    }
    if (owedCancel(view, execution) !== undefined)
      return accept({ kind: 'not_reclaimable', executionId, detail: CANCEL_OWED });
    if (hasLiveGrant(execution, now)) {
      return isOfSame(execution, args)
        ? accept(grantedOf(execution, execution, 'reclaimed'))
        : reject('grant_already_exists');
    }
    if (isPaused(view, execution)) return accept({ kind: 'not_reclaimable', executionId, detail: 'lane_paused' });
    const marks: Event[] = lapses ? [{ type: 'lease_expired', executionId, at: now }] : [];
    const lost: ReadonlyExecution = lapses ? { ...execution, situation: 'lease_expired' } : execution;
    if (isBeyondReclaim(lost)) {
      const outcome = { kind: 'reclaim_cap_exceeded', executionId, reclaimCount: lost.leaseReclaimCount } as const;
      return acceptAll(outcome, [...marks, endOf(lost, now, settings.retentionMs)]);
    }
    const mismatch = mismatchOf(lost, args);
    if (mismatch !== undefined) {
      return accept({ kind: 'not_reclaimable', executionId, detail: `capability_mismatch: ${inWords(mismatch)}` });
    }
    const issued = issuanceOf(args, now);
    return acceptAll(grantedOf(lost, issued, 'reclaimed'), [...marks, issued]);
  },
});

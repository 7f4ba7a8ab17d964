/**
 * issueGrantAndClaim: an operator, or an external driver, takes one waiting or interrupted execution in one step,
 * whatever time the interruption was to last. Capabilities are not checked. Logged as a grant and a claim. Spec 04
 * section 3.5.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { acceptAll, operation, reject } from '../operation.js';
import { isHeld, isRunnable } from '../execution/situation.js';
import { CANCEL_OWED, owedCancel } from '../flow/owed.js';
import { partitionOfExecution } from '../ids.js';
import { DEFAULTS } from '../limits.js';
import { notEligible } from '../lease/fence.js';
import { hasLiveGrant } from './grant.js';
import { isOwnedBy, takenAnyhow, takenBefore, takeOver } from './take.js';

/** The owner after the call. */
export const OPERATOR = 'operator';

export const issueGrantAndClaim = operation({
  name: 'issueGrantAndClaim',
  args: z.strictObject({
    executionId: field.executionId,
    /** The expected lane; another one is refused as `invalid_input`. */
    laneId: field.laneId.optional(),
    leaseDurationMs: field.leaseTtlMs.default(DEFAULTS.leaseTtlMs),
    /** Minted by the caller, like the attempt id. A repeated call with both, after a lost reply, is the same claim. */
    leaseId: field.uuid,
    attemptId: field.uuid,
  }),
  outcome: takenAnyhow,
  rejects: ['execution_not_found', 'invalid_input', 'execution_not_eligible', 'grant_already_exists'],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: ['laneId', 'leaseDurationMs'], each: ['executionId', 'leaseId', 'attemptId'] },
  memory: 'frees',
  decide(view, args, { now }) {
    const { executionId, leaseId, attemptId, leaseDurationMs: leaseTtlMs } = args;
    const execution = view.executions.get(executionId);
    if (execution === undefined) return reject('execution_not_found');
    if (args.laneId !== undefined && args.laneId !== execution.laneId)
      return reject('invalid_input', { field: 'laneId' });
    if (isOwnedBy(execution, leaseId, now)) {
      return takenBefore(view, execution, execution.currentAttemptId === attemptId ? 'fresh' : 'resumed');
    }
    const isOpen = execution.situation === 'ready' || execution.nextAttempt === 'resume';
    const isWaiting = execution.situation === 'blocked_dependencies';
    if (!isRunnable(execution.situation) || isWaiting || !isOpen || isHeld(execution)) return notEligible(execution);
    if (owedCancel(view, execution) !== undefined) return reject('execution_not_eligible', { reason: CANCEL_OWED });
    if (hasLiveGrant(execution, now)) return reject('grant_already_exists');
    const owner = { workerId: OPERATOR, workerInstanceId: OPERATOR, leaseTtlMs, leaseId, attemptId };
    const { outcome, events } = takeOver<z.output<typeof takenAnyhow>>(view, execution, owner, now);
    return acceptAll(outcome, [
      {
        type: 'grant_issued',
        executionId,
        at: now,
        grantExpiresAt: now,
        // Used at once: the lease refers to it.
        grantId: leaseId,
        grantWorkerId: OPERATOR,
        grantWorkerInstanceId: OPERATOR,
        grantIsStrict: false,
        capabilityHash: undefined,
        routeSnapshotJson: undefined,
        admissionSummary: undefined,
      },
      ...events,
    ]);
  },
});

/**
 * reclaimExecution: a worker uses its grant to take work that its last owner lost, with a new attempt. Beyond the
 * reclaim cap the execution ends instead, with or without a grant. Spec 05 section 6.2.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../operation.js';
import { echoed } from '../core/wire-form.js';
import { isHeld, isReclaimable } from '../execution/situation.js';
import { owedCancel } from '../flow/owed.js';
import { partitionOfExecution } from '../ids.js';
import { DEFAULTS } from '../limits.js';
import { endOf } from '../schedule/acquire.js';
import { isBeyondReclaim } from '../schedule/reclaim-cap.js';
import { capExceeded } from './issue.js';
import {
  CLAIM_WIRE_SHARED,
  claimantShape,
  grantVerdict,
  isOwnedBy,
  takenAgain,
  takenBefore,
  takeOver,
} from './take.js';

export const reclaimExecution = operation({
  name: 'reclaimExecution',
  args: z.strictObject({
    ...claimantShape,
    attemptId: field.uuid,
    /** Reclaim cap for an execution whose policy has none; default 1 000. */
    maxReclaimCount: field.integer(0, DEFAULTS.maxReclaimCount).optional(),
  }),
  outcome: z.discriminatedUnion('kind', [
    takenAgain,
    z.object({
      kind: z.literal('not_reclaimable'),
      executionId: echoed(field.executionId),
      detail: z.literal('execution_not_reclaimable'),
    }),
    capExceeded,
    /** The worker has no grant, or its grant was used or lapsed. */
    z.object({ kind: z.literal('grant_not_found'), executionId: echoed(field.executionId) }),
  ]),
  rejects: ['execution_not_found', 'invalid_input'],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: CLAIM_WIRE_SHARED, each: ['executionId', 'grantId', 'leaseId', 'attemptId', 'maxReclaimCount'] },
  memory: 'frees',
  decide(view, args, { now, settings }) {
    const { executionId, leaseId, attemptId, maxReclaimCount } = args;
    const execution = view.executions.get(executionId);
    if (execution === undefined) return reject('execution_not_found');
    if (args.laneId !== undefined && args.laneId !== execution.laneId)
      return reject('invalid_input', { field: 'laneId' });
    if (isOwnedBy(execution, leaseId, now) && execution.currentAttemptId === attemptId) {
      return takenBefore(view, execution, 'reclaimed');
    }
    if (!isReclaimable(execution.situation) || isHeld(execution) || owedCancel(view, execution) !== undefined) {
      return accept({ kind: 'not_reclaimable', executionId, detail: 'execution_not_reclaimable' });
    }
    if (isBeyondReclaim(execution, maxReclaimCount)) {
      const outcome = { kind: 'reclaim_cap_exceeded', executionId, reclaimCount: execution.leaseReclaimCount } as const;
      return accept(outcome, endOf(execution, now, settings.retentionMs));
    }
    if (grantVerdict({ ...execution, grantIsStrict: false }, args, now) !== undefined) {
      return accept({ kind: 'grant_not_found', executionId });
    }
    return takeOver(view, execution, args, now);
  },
});

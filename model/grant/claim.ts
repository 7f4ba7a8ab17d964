/**
 * claimExecution, claimResumedExecution: a worker uses its grant to own the execution, with a new attempt or by
 * resuming the interrupted one. Spec 04 section 3.3, spec 05 section 7.1.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { operation, reject } from '../operation.js';
import { present } from '../core/present.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { isHeld } from '../execution/situation.js';
import { owedCancel } from '../flow/owed.js';
import { partitionOfExecution } from '../ids.js';
import {
  CLAIM_WIRE_SHARED,
  claimantShape,
  grantVerdict,
  isOwnedBy,
  takenBefore,
  takenFresh,
  takenUp,
  takeOver,
} from './take.js';

/** Whether the execution waits for a worker and is not held. */
const isWaiting = (execution: ReadonlyExecution): boolean => execution.situation === 'ready' && !isHeld(execution);

export const claimExecution = operation({
  name: 'claimExecution',
  args: z.strictObject({ ...claimantShape, attemptId: field.uuid }),
  outcome: takenFresh,
  rejects: [
    'execution_not_found',
    'invalid_input',
    'execution_not_leaseable',
    'use_claim_resumed_execution',
    'invalid_claim_grant',
    'claim_grant_expired',
  ],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: CLAIM_WIRE_SHARED, each: ['executionId', 'grantId', 'leaseId', 'attemptId'] },
  memory: 'frees',
  decide(view, args, { now }) {
    const execution = view.executions.get(args.executionId);
    if (execution === undefined) return reject('execution_not_found');
    if (args.laneId !== undefined && args.laneId !== execution.laneId)
      return reject('invalid_input', { field: 'laneId' });
    if (isOwnedBy(execution, args.leaseId, now) && execution.currentAttemptId === args.attemptId) {
      return takenBefore(view, execution, 'fresh');
    }
    if (!isWaiting(execution) || owedCancel(view, execution) !== undefined) return reject('execution_not_leaseable');
    if (execution.nextAttempt === 'resume') return reject('use_claim_resumed_execution');
    return grantVerdict(execution, args, now) ?? takeOver(view, execution, args, now);
  },
});

export const claimResumedExecution = operation({
  name: 'claimResumedExecution',
  args: z.strictObject(claimantShape),
  outcome: takenUp,
  rejects: [
    'execution_not_found',
    'invalid_input',
    'execution_not_leaseable',
    'not_a_resumed_execution',
    'invalid_claim_grant',
    'claim_grant_expired',
  ],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: CLAIM_WIRE_SHARED, each: ['executionId', 'grantId', 'leaseId'] },
  memory: 'frees',
  decide(view, args, { now }) {
    const execution = view.executions.get(args.executionId);
    if (execution === undefined) return reject('execution_not_found');
    if (args.laneId !== undefined && args.laneId !== execution.laneId)
      return reject('invalid_input', { field: 'laneId' });
    if (isOwnedBy(execution, args.leaseId, now)) return takenBefore(view, execution, 'resumed');
    if (!isWaiting(execution) || owedCancel(view, execution) !== undefined) return reject('execution_not_leaseable');
    if (execution.nextAttempt !== 'resume') return reject('not_a_resumed_execution');
    const attemptId = present(execution.currentAttemptId);
    return grantVerdict(execution, args, now) ?? takeOver(view, execution, { ...args, attemptId }, now);
  },
});

/**
 * holdExecution, releaseHold: an operator keeps an execution from being claimed, and releases it again. A hold is a
 * fact beside the situation (rulings 23, 34): a held execution keeps its situation, delay and score, and is in no
 * queue. An owned execution can be held; its owner continues, and the hold takes effect when the ownership ends. The
 * end of the execution ends the hold.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../operation.js';
import { echoed } from '../core/wire-form.js';
import { partitionOfExecution } from '../ids.js';
import { notActive } from '../lease/fence.js';
import { isHeld, isTerminal, LIVE_PUBLIC_STATES, SITUATIONS } from './situation.js';

const args = z.strictObject({
  executionId: field.executionId,
  /** The reason, for the log and for readers. */
  reason: field.reason.default(''),
  /** The requester. */
  requestedBy: field.requester,
});

export const holdExecution = operation({
  name: 'holdExecution',
  args,
  outcome: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('held'),
      executionId: echoed(field.executionId),
      /** `active` when the hold takes effect after the current owner. */
      publicState: z.enum(LIVE_PUBLIC_STATES),
    }),
    /** It was held already; requester and reason are unchanged. */
    z.object({ kind: z.literal('already_satisfied'), reason: z.enum(['already_held']) }),
  ]),
  rejects: ['execution_not_found', 'execution_not_active'],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: [], each: ['executionId', 'reason', 'requestedBy'] },
  memory: 'frees',
  decide(view, { executionId, reason, requestedBy }, { now }) {
    const execution = view.executions.get(executionId);
    if (execution === undefined) return reject('execution_not_found');
    if (isTerminal(execution.situation)) return notActive(execution);
    if (isHeld(execution)) return accept({ kind: 'already_satisfied', reason: 'already_held' });
    const { publicState } = SITUATIONS[execution.situation];
    return accept(
      { kind: 'held', executionId, publicState },
      { type: 'execution_held', executionId, at: now, heldBy: requestedBy, holdReason: reason },
    );
  },
});

export const releaseHold = operation({
  name: 'releaseHold',
  args,
  outcome: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('hold_released'),
      executionId: echoed(field.executionId),
      publicState: z.enum(LIVE_PUBLIC_STATES),
    }),
    /** It is not held; perhaps it has ended. */
    z.object({ kind: z.literal('already_satisfied'), reason: z.enum(['not_held']) }),
  ]),
  rejects: ['execution_not_found'],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: [], each: ['executionId', 'reason', 'requestedBy'] },
  memory: 'frees',
  decide(view, { executionId, reason, requestedBy }, { now }) {
    const execution = view.executions.get(executionId);
    if (execution === undefined) return reject('execution_not_found');
    if (!isHeld(execution)) return accept({ kind: 'already_satisfied', reason: 'not_held' });
    const { publicState } = SITUATIONS[execution.situation];
    return accept(
      { kind: 'hold_released', executionId, publicState },
      { type: 'hold_released', executionId, at: now, releasedBy: requestedBy, releaseReason: reason },
    );
  },
});

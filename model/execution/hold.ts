/**
 * holdExecution, releaseHold: an operator keeps an execution from being claimed, and lets it go again. A hold is a fact
 * beside the situation (rulings 23, 34): held work keeps its situation, its delay and its place, and stands in no queue.
 * Owned work can be held; its owner goes on, and the hold takes effect when the ownership ends. The end of the execution
 * ends the hold.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../core/operation.js';
import { echoed } from '../core/wire-form.js';
import { partitionOfExecution } from '../ids.js';
import { notActive } from '../lease/fence.js';
import { isHeld, isTerminal, LIVE_PUBLIC_STATES, SITUATIONS } from './situation.js';

const args = z.object({
  executionId: field.executionId,
  /** Why, for the log and for those who ask. */
  reason: field.reason.default(''),
  /** Who asks for it. */
  requestedBy: field.requester,
});

export const holdExecution = operation({
  name: 'holdExecution',
  args,
  outcome: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('held'),
      executionId: echoed(field.executionId),
      /** `active` when the hold takes effect once the owner is done. */
      publicState: z.enum(LIVE_PUBLIC_STATES),
    }),
    /** It was held before; by whom and why stays as it is. */
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
    /** Nobody held it: also when it ended meanwhile. */
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

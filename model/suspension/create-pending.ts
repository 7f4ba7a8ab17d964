/**
 * createPendingWaitpoint: an owner creates a waitpoint before it suspends, so that it can hand out the token and early
 * signals are buffered. A later suspension of the execution uses it (`usePending`). A repeated call with the same id
 * and key returns the same waitpoint. Spec 06 section 4.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../operation.js';
import { echoed } from '../core/wire-form.js';
import { partitionOfExecution } from '../ids.js';
import { fenceShape, WORK_REJECTIONS, workVerdict } from '../lease/fence.js';
import { LIMITS } from '../limits.js';
import { currentTokenOf, handedOut } from '../signing/token.js';

export const createPendingWaitpoint = operation({
  name: 'createPendingWaitpoint',
  args: z.strictObject({
    executionId: field.executionId,
    fence: field.fence.optional(),
    attemptIndex: field.attemptIndex.optional(),
    /** Minted by the caller. */
    waitpointId: field.plainUuid,
    waitpointKey: field.signalText,
    /** It expires unless a suspension uses it within this time, ms; at most seven days. */
    expiresInMs: field.integer(1, LIMITS.maxPendingMs),
    /** Most waitpoints of the execution over its life: a further one is refused. */
    maxWaitpointsPerExecution: field.maxWaitpoints,
  }),
  outcome: z.object({
    kind: z.literal('created'),
    executionId: echoed(field.executionId),
    waitpointId: echoed(field.plainUuid),
    waitpointKey: echoed(field.signalText),
    expiresAt: field.timestampMs,
    /** Signed with the current key. */
    waitpointToken: handedOut,
  }),
  rejects: [
    'execution_not_found',
    ...WORK_REJECTIONS,
    'waitpoint_already_exists',
    'waitpoint_limit_exceeded',
    'hmac_secret_not_initialized',
  ],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: {
    shared: [],
    each: [
      'executionId',
      'fence',
      'attemptIndex',
      'waitpointId',
      'waitpointKey',
      'expiresInMs',
      'maxWaitpointsPerExecution',
    ],
  },
  memory: 'adds',
  decide(view, args, { now }) {
    const { executionId, waitpointId, waitpointKey, expiresInMs } = args;
    const execution = view.executions.get(executionId);
    if (execution === undefined) return reject('execution_not_found');
    const refusal = fenceShape(args) ?? workVerdict(execution, args, now);
    if (refusal !== undefined) return refusal;
    const { waiting } = execution;
    const known = waiting?.waitpoints[waitpointId];
    if (known !== undefined && (known.waitpointState !== 'pending' || known.waitpointKey !== waitpointKey))
      return reject('waitpoint_already_exists', { waitpointId });
    if (known === undefined && (waiting?.pendingIds.length ?? 0) >= LIMITS.maxPendingWaitpoints)
      return reject('waitpoint_limit_exceeded', { limit: 'pending' });
    if (known === undefined && (waiting?.waitpointCount ?? 0) >= args.maxWaitpointsPerExecution)
      return reject('waitpoint_limit_exceeded', { limit: 'execution' });
    const waitpointToken = currentTokenOf(view, { waitpointId, waitpointKey, createdAt: known?.createdAt ?? now });
    if (waitpointToken === undefined) return reject('hmac_secret_not_initialized');
    const expiresAt = known?.expiresAt ?? now + expiresInMs;
    const waitpoint = { waitpointId, waitpointKey, waitpointToken };
    const outcome = { kind: 'created', executionId, ...waitpoint, expiresAt } as const;
    if (known !== undefined) return accept(outcome);
    return accept(outcome, {
      type: 'pending_waitpoint_created',
      ...{ executionId, at: now, waitpointId, waitpointKey, expiresAt },
    });
  },
});

/**
 * failExecution: a lease holder reports that its attempt failed; the policy decides what follows. Spec 04 section 4.2.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { present } from '../core/present.js';
import { accept, operation, reject } from '../operation.js';
import { partitionOfExecution } from '../ids.js';
import { LIMITS } from '../limits.js';
import { WORK_REJECTIONS, fenceShape, workVerdict, wasLastOwner, type Fence } from '../lease/fence.js';
import { purgeAtOf } from '../schedule/retention.js';
import { namingOf, type ReadonlyExecution } from './facts.js';
import { FAILURE_CLASSES, retryPolicyOverride } from './policy.js';
import { retryOf } from './retry.js';
import { isRunnable } from './situation.js';

const outcome = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('retry_scheduled'), delayUntil: field.timestampMs, nextAttemptIndex: field.attemptIndex }),
  z.object({ kind: z.literal('terminal_failed') }),
]);

export const failExecution = operation({
  name: 'failExecution',
  args: z.strictObject({
    executionId: field.executionId,
    fence: field.fence.optional(),
    attemptIndex: field.attemptIndex.optional(),
    failureReason: field.reason,
    /** Failure details for programs; stored unchanged. */
    failureDetail: field.smallBytes(LIMITS.maxFailureDetailBytes).optional(),
    /** The category of the failure; default the name of the class. */
    failureCategory: field.category.optional(),
    failureClass: z.enum(FAILURE_CLASSES).default('transient'),
    /** Factor for a policy with jitter, drawn by the caller. */
    jitter: field.unitFactor.optional(),
    /** Replaces the policy's backoff, never its count of retries. */
    retryAfterMs: field.durationMs.optional(),
    /** Replaces the stored retry policy for this failure; operators only. */
    retryPolicy: retryPolicyOverride.optional(),
    source: field.source,
  }),
  outcome,
  rejects: ['override_not_allowed', 'execution_not_found', ...WORK_REJECTIONS],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: {
    shared: ['source', 'attemptIndex', 'failureClass', 'retryPolicy'],
    each: ['executionId', 'fence', 'failureReason', 'failureDetail', 'failureCategory', 'jitter', 'retryAfterMs'],
  },
  memory: 'frees',
  edge: { jitter: 'unit' },
  decide(view, args, { now, settings }) {
    if (args.retryPolicy !== undefined && args.source !== 'operator_override') return reject('override_not_allowed');
    const execution = view.executions.get(args.executionId);
    if (execution === undefined) return reject('execution_not_found');
    const malformed = fenceShape(args);
    if (malformed !== undefined) return malformed;
    const earlier = earlierOutcome(execution, args.fence);
    if (earlier !== undefined) return accept(earlier);
    const refusal = workVerdict(execution, args, now);
    if (refusal !== undefined) return refusal;

    const category = args.failureCategory ?? args.failureClass;
    const { failureClass, failureReason, jitter, retryAfterMs } = args;
    const failureDetail = field.base64Of(args.failureDetail);
    const failure = { failureClass, category, reason: failureReason, detail: failureDetail, jitter, retryAfterMs };
    const retry = retryOf(execution, failure, now, args.retryPolicy);
    if (retry !== undefined) {
      return accept(
        { kind: 'retry_scheduled', delayUntil: retry.delayUntil, nextAttemptIndex: execution.totalAttemptCount },
        retry,
      );
    }
    return accept(
      { kind: 'terminal_failed' },
      {
        type: 'execution_failed',
        executionId: args.executionId,
        at: now,
        ...namingOf(execution),
        failureReason,
        failureDetail,
        failureCategory: category,
        purgeAt: purgeAtOf(execution, now, settings.retentionMs),
      },
    );
  },
});

/** The outcome of this same call when it ran before, if it did (spec 04 section 6). */
function earlierOutcome(execution: ReadonlyExecution, fence: Fence | undefined): z.output<typeof outcome> | undefined {
  if (!wasLastOwner(execution, fence)) return undefined;
  if (execution.situation === 'failed') return { kind: 'terminal_failed' };
  if (isRunnable(execution.situation) && execution.nextAttempt === 'retry') {
    return {
      kind: 'retry_scheduled',
      delayUntil: present(execution.delayUntil),
      nextAttemptIndex: execution.totalAttemptCount,
    };
  }
  return undefined;
}

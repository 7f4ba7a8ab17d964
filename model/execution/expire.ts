/**
 * expireExecution: an attempt ran out of time, or the execution did. An attempt timeout is a failure of category
 * `timeout` and may be retried; the deadline always ends the execution. Applied by the engine when due; safe at any
 * time, because it looks again whether it is due. Spec 04 section 4.7.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation } from '../core/operation.js';
import { partitionOfExecution } from '../ids.js';
import { purgeAtOf } from '../schedule/timers.js';
import { EXPIRE_REASONS } from './events.js';
import { retryOf } from './retry.js';
import { isActive, isTerminal } from './situation.js';

export const expireExecution = operation({
  name: 'expireExecution',
  args: z.object({
    executionId: field.executionId,
    expireReason: z.enum(EXPIRE_REASONS),
    /** Factor for a policy with jitter, drawn by the caller. */
    jitter: field.unitFactor.optional(),
  }),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('expired'), executionId: field.executionId }),
    z.object({
      kind: z.literal('retry_scheduled'),
      delayUntil: field.timestampMs,
      nextAttemptIndex: field.attemptIndex,
    }),
    /** Also when the execution does not exist any more. */
    z.object({ kind: z.literal('already_terminal') }),
    z.object({ kind: z.literal('not_yet_due') }),
  ]),
  rejects: [],
  partition: (args) => partitionOfExecution(args.executionId),
  execution: (args) => args.executionId,
  decide(view, { executionId, expireReason, jitter }, { now, settings }) {
    const execution = view.execution(executionId);
    if (execution === undefined || isTerminal(execution.situation)) return accept({ kind: 'already_terminal' });
    const timesOut = isActive(execution.situation) ? execution.attemptTimeoutAt : undefined;
    const dueAt = expireReason === 'execution_deadline' ? execution.executionDeadlineAt : timesOut;
    if (dueAt === undefined || dueAt > now) return accept({ kind: 'not_yet_due' });
    if (expireReason === 'attempt_timeout') {
      const failure = {
        failureClass: 'timeout',
        category: 'timeout',
        reason: expireReason,
        jitter,
        retryAfterMs: undefined,
      } as const;
      const retry = retryOf(execution, failure, now);
      if (retry !== undefined) {
        return accept(
          { kind: 'retry_scheduled', delayUntil: retry.delayUntil, nextAttemptIndex: execution.totalAttemptCount },
          retry,
        );
      }
    }
    const purgeAt = purgeAtOf(execution, now, settings.retentionMs);
    return accept(
      { kind: 'expired', executionId },
      { type: 'execution_expired', executionId, at: now, expireReason, purgeAt },
    );
  },
});

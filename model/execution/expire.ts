/**
 * expireExecution: ends an attempt, or an execution, whose time is over. `applyDue` makes the same transition when it
 * is due. Safe at any time, because it checks the time itself. Spec 04 section 4.7.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation } from '../operation.js';
import { echoed } from '../core/wire-form.js';
import { partitionOfExecution } from '../ids.js';
import { isTerminal } from './situation.js';
import { timedOut, timeoutOf } from './timeouts.js';

export const expireExecution = operation({
  name: 'expireExecution',
  args: z.strictObject({
    executionId: field.executionId,
    /** `expireSuspension` ends a suspension. */
    expireReason: z.enum(['attempt_timeout', 'execution_deadline']),
    /** Factor for a policy with jitter, drawn by the caller. */
    jitter: field.unitFactor.optional(),
  }),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('expired'), executionId: echoed(field.executionId) }),
    z.object({
      kind: z.literal('retry_scheduled'),
      delayUntil: field.timestampMs,
      nextAttemptIndex: field.attemptIndex,
    }),
    /** Also when the execution does not exist. */
    z.object({ kind: z.literal('already_terminal') }),
    z.object({ kind: z.literal('not_yet_due') }),
  ]),
  rejects: [],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: ['expireReason'], each: ['executionId', 'jitter'] },
  memory: 'frees',
  edge: { jitter: 'unit' },
  decide(view, { executionId, expireReason, jitter }, { now, settings }) {
    const execution = view.executions.get(executionId);
    if (execution === undefined || isTerminal(execution.situation)) return accept({ kind: 'already_terminal' });
    const dueAt = timeoutOf(execution, expireReason);
    if (dueAt === undefined || dueAt > now) return accept({ kind: 'not_yet_due' });
    const event = timedOut(execution, expireReason, { now, jitter, retentionMs: settings.retentionMs });
    if (event.type === 'execution_expired') return accept({ kind: 'expired', executionId }, event);
    const { delayUntil } = event;
    return accept({ kind: 'retry_scheduled', delayUntil, nextAttemptIndex: execution.totalAttemptCount }, event);
  },
});

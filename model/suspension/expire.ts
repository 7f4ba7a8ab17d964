/**
 * expireSuspension: applies the timeout of a suspension. `applyDue` makes the same transition when it is due. Safe at
 * any time, because it checks the time itself. Spec 06 section 10.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, acceptAll, operation } from '../operation.js';
import { partitionOfExecution } from '../ids.js';
import { TIMEOUT_BEHAVIORS } from './facts.js';
import { suspensionIn, suspensionTimeout } from './timeout.js';

export const expireSuspension = operation({
  name: 'expireSuspension',
  args: z.strictObject({ executionId: field.executionId }),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('expired'), behaviorApplied: field.wordOf(TIMEOUT_BEHAVIORS) }),
    z.object({
      kind: z.literal('already_satisfied'),
      reason: z.enum(['not_found_cleaned', 'not_suspended_cleaned', 'not_yet_due']),
    }),
  ]),
  rejects: [],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: [], each: ['executionId'] },
  memory: 'frees',
  decide(view, { executionId }, { now, settings }) {
    const execution = view.executions.get(executionId);
    if (execution === undefined) return accept({ kind: 'already_satisfied', reason: 'not_found_cleaned' });
    const suspension = suspensionIn(execution);
    if (suspension === undefined) return accept({ kind: 'already_satisfied', reason: 'not_suspended_cleaned' });
    if (execution.dueAt === undefined || execution.dueAt > now)
      return accept({ kind: 'already_satisfied', reason: 'not_yet_due' });
    return acceptAll(
      { kind: 'expired', behaviorApplied: suspension.timeoutBehavior },
      suspensionTimeout(execution, { now, retentionMs: settings.retentionMs }),
    );
  },
});

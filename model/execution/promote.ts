/** promoteDelayed: ends a delay. The engine applies it when due; safe at any time. Spec 04 section 4.6. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation } from '../operation.js';
import { partitionOfExecution } from '../ids.js';
import { isDelayed, isRunnable } from './situation.js';

export const promoteDelayed = operation({
  name: 'promoteDelayed',
  args: z.strictObject({ executionId: field.executionId }),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('promoted') }),
    z.object({ kind: z.literal('not_yet_due'), delayUntil: field.timestampMs }),
    z.object({ kind: z.literal('already_satisfied'), reason: z.enum(['not_found', 'not_runnable', 'not_delayed']) }),
  ]),
  rejects: [],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: [], each: ['executionId'] },
  memory: 'frees',
  decide(view, { executionId }, { now }) {
    const execution = view.executions.get(executionId);
    if (execution === undefined) return accept({ kind: 'already_satisfied', reason: 'not_found' });
    if (!isRunnable(execution.situation)) return accept({ kind: 'already_satisfied', reason: 'not_runnable' });
    if (!isDelayed(execution.situation)) return accept({ kind: 'already_satisfied', reason: 'not_delayed' });
    const delayUntil = execution.dueAt ?? 0;
    if (delayUntil > now) return accept({ kind: 'not_yet_due', delayUntil });
    return accept({ kind: 'promoted' }, { type: 'execution_promoted', executionId, at: now });
  },
});

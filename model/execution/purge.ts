/** purgeExecution: removes a terminal execution whose retention is over. Spec 04 section 4.11. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation } from '../operation.js';
import { partitionOfExecution } from '../ids.js';
import { isTerminal } from './situation.js';

export const purgeExecution = operation({
  name: 'purgeExecution',
  args: z.strictObject({ executionId: field.executionId }),
  outcome: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('purged') }),
    /** `purgeAt` is absent when it is kept for good. */
    z.object({ kind: z.literal('not_yet_due'), purgeAt: field.timestampMs.optional() }),
    z.object({ kind: z.literal('already_satisfied'), reason: z.enum(['not_found', 'not_terminal']) }),
  ]),
  rejects: [],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: [], each: ['executionId'] },
  memory: 'frees',
  decide(view, { executionId }, { now }) {
    const execution = view.executions.get(executionId);
    if (execution === undefined) return accept({ kind: 'already_satisfied', reason: 'not_found' });
    if (!isTerminal(execution.situation)) return accept({ kind: 'already_satisfied', reason: 'not_terminal' });
    // Members of a flow are purged with the flow.
    const { flow } = execution;
    if (flow !== undefined) return accept({ kind: 'not_yet_due', purgeAt: view.flows.get(flow)?.purgeAt });
    const purgeAt = execution.dueAt;
    if (purgeAt === undefined || purgeAt > now) return accept({ kind: 'not_yet_due', purgeAt });
    return accept({ kind: 'purged' }, { type: 'execution_purged', executionId, at: now });
  },
});

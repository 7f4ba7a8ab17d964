/** resumeExecution: an operator resumes a suspended execution, whatever its condition. Spec 06 section 9. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../operation.js';
import { echoed } from '../core/wire-form.js';
import { partitionOfExecution } from '../ids.js';
import { resumption } from './resumption.js';

export const resumeExecution = operation({
  name: 'resumeExecution',
  args: z.strictObject({
    executionId: field.executionId,
    /** Delay before it can be claimed, ms. */
    resumeDelayMs: field.durationMs.default(0),
  }),
  outcome: z.object({
    kind: z.literal('resumed'),
    executionId: echoed(field.executionId),
    publicState: z.enum(['waiting', 'delayed']),
  }),
  rejects: ['execution_not_found', 'execution_not_suspended'],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: [], each: ['executionId', 'resumeDelayMs'] },
  memory: 'frees',
  decide(view, { executionId, resumeDelayMs }, { now }) {
    const execution = view.executions.get(executionId);
    if (execution === undefined) return reject('execution_not_found');
    if (execution.situation !== 'suspended') return reject('execution_not_suspended');
    const publicState = resumeDelayMs === 0 ? 'waiting' : 'delayed';
    return accept(
      { kind: 'resumed', executionId, publicState },
      resumption(executionId, now, resumeDelayMs, { trigger: 'operator' }),
    );
  },
});

/** delayExecution: a lease holder parks its attempt until a time. Spec 04 section 4.4. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../operation.js';
import { echoed } from '../core/wire-form.js';
import { partitionOfExecution } from '../ids.js';
import { WORK_REJECTIONS, fenceShape, hasReturned, workVerdict, wasLastOwner } from '../lease/fence.js';
import { attemptTimeRemaining } from './parking.js';

export const delayExecution = operation({
  name: 'delayExecution',
  args: z.strictObject({
    executionId: field.executionId,
    fence: field.fence.optional(),
    attemptIndex: field.attemptIndex.optional(),
    /** A time in the past is legal: the execution is promoted by the next pass over due work. */
    delayUntil: field.timestampMs,
    source: field.source,
  }),
  outcome: z.object({
    kind: z.literal('delayed'),
    executionId: echoed(field.executionId),
    publicState: z.literal('delayed'),
  }),
  rejects: ['execution_not_found', ...WORK_REJECTIONS],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: ['source', 'attemptIndex'], each: ['executionId', 'fence', 'delayUntil'] },
  memory: 'frees',
  decide(view, args, { now }) {
    const execution = view.executions.get(args.executionId);
    if (execution === undefined) return reject('execution_not_found');
    const malformed = fenceShape(args);
    if (malformed !== undefined) return malformed;
    const outcome = { kind: 'delayed', executionId: args.executionId, publicState: 'delayed' } as const;
    const parkedBefore =
      execution.situation === 'delayed'
        ? execution.nextAttempt === 'resume' && execution.dueAt === args.delayUntil
        : args.delayUntil <= now && hasReturned(execution);
    if (parkedBefore && wasLastOwner(execution, args.fence)) return accept(outcome);
    const refusal = workVerdict(execution, args, now);
    if (refusal !== undefined) return refusal;
    return accept(outcome, {
      type: 'execution_delayed',
      executionId: args.executionId,
      at: now,
      delayUntil: args.delayUntil,
      attemptTimeoutRemainingMs: attemptTimeRemaining(execution, now),
    });
  },
});

/** completeExecution: a lease holder ends its execution with success. Spec 04 section 4.1. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../operation.js';
import { echoed } from '../core/wire-form.js';
import { partitionOfExecution } from '../ids.js';
import { WORK_REJECTIONS, fenceShape, workVerdict, wasLastOwner } from '../lease/fence.js';
import { admissionOf } from '../metering/returning.js';
import { purgeAtOf } from '../schedule/retention.js';
import { NO_TAGS } from './facts.js';

export const completeExecution = operation({
  name: 'completeExecution',
  args: z.strictObject({
    executionId: field.executionId,
    fence: field.fence.optional(),
    attemptIndex: field.attemptIndex.optional(),
    source: field.source,
    /** Absent and empty differ: `getExecutionResult` returns exactly what was passed. */
    resultPayload: field.bytes.optional(),
    resultEncoding: field.encoding.optional(),
  }),
  outcome: z.object({
    kind: z.literal('completed'),
    executionId: echoed(field.executionId),
    publicState: z.literal('completed'),
  }),
  rejects: ['execution_not_found', ...WORK_REJECTIONS],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: ['source', 'attemptIndex', 'resultEncoding'], each: ['executionId', 'fence', 'resultPayload'] },
  bytes: { resultPayload: 'result' },
  memory: 'frees',
  decide(view, args, { now, settings }) {
    const execution = view.executions.get(args.executionId);
    if (execution === undefined) return reject('execution_not_found');
    const malformed = fenceShape(args);
    if (malformed !== undefined) return malformed;
    const outcome = { kind: 'completed', executionId: args.executionId, publicState: 'completed' } as const;
    if (execution.situation === 'completed' && wasLastOwner(execution, args.fence)) return accept(outcome);
    const refusal = workVerdict(execution, args, now);
    if (refusal !== undefined) return refusal;
    const { namespace, laneId, executionKind, creatorIdentity } = execution;
    // A literal, because a spread costs as much as the rest of this decision, for every execution.
    return accept(outcome, {
      type: 'execution_completed',
      executionId: args.executionId,
      at: now,
      namespace,
      laneId,
      executionKind,
      creatorIdentity,
      filterTags: NO_TAGS,
      resultBytes: args.resultPayload?.byteLength,
      resultEncoding: args.resultEncoding,
      purgeAt: purgeAtOf(execution, now, settings.retentionMs),
      // No worker gives back the admission of work that an operator completes; the timer loop does.
      admissionId: args.source === 'operator_override' ? undefined : admissionOf(view, execution),
    });
  },
});

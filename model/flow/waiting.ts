/**
 * moveToWaitingChildren: an owner parks its attempt, which frees its slot, until the dependencies of its execution are
 * decided. If they are decided already, the call says so, and the attempt continues. Ruling 48.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../operation.js';
import { echoed } from '../core/wire-form.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { attemptTimeRemaining } from '../execution/parking.js';
import { partitionOfExecution } from '../ids.js';
import { WORK_REJECTIONS, fenceShape, hasReturned, wasLastOwner, workVerdict } from '../lease/fence.js';
import { awaitsOthers } from './group.js';

export const moveToWaitingChildren = operation({
  name: 'moveToWaitingChildren',
  args: z.strictObject({
    executionId: field.executionId,
    fence: field.fence.optional(),
    attemptIndex: field.attemptIndex.optional(),
    source: field.source,
  }),
  outcome: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('moved'),
      executionId: echoed(field.executionId),
      publicState: z.literal('waiting_children'),
    }),
    /** There is nothing to wait for: the attempt continues. */
    z.object({ kind: z.literal('not_waiting'), groupState: z.enum(['none', 'satisfied', 'impossible']) }),
  ]),
  rejects: ['execution_not_found', ...WORK_REJECTIONS],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: ['source', 'attemptIndex'], each: ['executionId', 'fence'] },
  memory: 'frees',
  decide(view, args, { now }) {
    const execution = view.executions.get(args.executionId);
    if (execution === undefined) return reject('execution_not_found');
    const malformed = fenceShape(args);
    if (malformed !== undefined) return malformed;
    const outcome = {
      kind: 'moved',
      executionId: args.executionId,
      publicState: 'waiting_children',
    } as const;
    if (wasMoved(execution) && wasLastOwner(execution, args.fence)) return accept(outcome);
    const refusal = workVerdict(execution, args, now);
    if (refusal !== undefined) return refusal;
    const { groupState } = execution;
    if (!awaitsOthers(execution))
      return accept({ kind: 'not_waiting', groupState: groupState === 'pending' ? 'none' : groupState });
    return accept(outcome, {
      type: 'children_awaited',
      executionId: args.executionId,
      at: now,
      attemptTimeoutRemainingMs: attemptTimeRemaining(execution, now),
    });
  },
});

/** Whether its attempt waits for its dependencies, or did until they were decided. */
const wasMoved = (execution: ReadonlyExecution): boolean =>
  execution.situation === 'blocked_dependencies'
    ? execution.nextAttempt === 'resume'
    : hasReturned(execution) && (execution.groupState === 'satisfied' || execution.groupState === 'impossible');

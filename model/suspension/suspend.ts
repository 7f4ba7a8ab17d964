/**
 * suspendExecution: a worker lets go of its attempt until a condition is satisfied. The attempt goes on when the execution
 * is claimed again; the rest of its time is kept. A call that is repeated after a lost reply is known by its suspension id.
 * Spec 06 section 6.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../core/operation.js';
import { echoed, withWireForm } from '../core/wire-form.js';
import { attemptTimeRemaining } from '../execution/parking.js';
import { partitionOfExecution } from '../ids.js';
import { fenceShape, wasLastOwner, WORK_REJECTIONS, workVerdict } from '../lease/fence.js';
import { LIMITS } from '../limits.js';
import { compileCondition, resumeConditionSchema, type ResumeCondition } from './condition.js';
import { SUSPEND_REASONS, SUSPEND_REQUESTERS, TIMEOUT_BEHAVIORS } from './facts.js';
import { bindingsText } from './recipes.js';
import { faultOf, type Binding } from './validation.js';

const waitpoints = withWireForm(
  z.array(z.object({ waitpointId: field.plainUuid, waitpointKey: field.looseLabel })).max(LIMITS.maxWaitpoints),
  { texts: ['waitpoints'], encode: (value) => [bindingsText(value as Binding[])] },
);

const resumeCondition = withWireForm(resumeConditionSchema, {
  texts: ['condition'],
  encode: (value) => [compileCondition(value as ResumeCondition)],
});

const args = z
  .object({
    executionId: field.executionId,
    fence: field.fence.optional(),
    attemptIndex: field.attemptIndex.optional(),
    /** Minted by the caller. */
    suspensionId: field.plainUuid,
    /** New waitpoints, ids minted by the caller; the first is the primary one. */
    waitpoints,
    resumeCondition,
    reasonCode: field.wordOf(SUSPEND_REASONS).default('waiting_for_signal'),
    requestedBy: field.wordOf(SUSPEND_REQUESTERS).default('worker'),
    /** When waiting is over, ms since the epoch; it waits for ever when absent. One in the past is over at the next pass. */
    timeoutAt: field.timestampMs.optional(),
    timeoutBehavior: field.wordOf(TIMEOUT_BEHAVIORS).default('fail'),
    /** How long what a signal resumed waits before it can be claimed, ms. */
    resumeDelayMs: field.durationMs.default(0),
  })
  .superRefine((request, context) => {
    const fault = faultOf(request);
    if (fault !== undefined) context.addIssue({ code: 'custom', message: fault, params: { reason: fault } });
  });

export const suspendExecution = operation({
  name: 'suspendExecution',
  args,
  outcome: z.object({
    kind: z.literal('suspended'),
    executionId: echoed(field.executionId),
    suspensionId: echoed(field.plainUuid),
    publicState: z.literal('suspended'),
  }),
  rejects: ['execution_not_found', ...WORK_REJECTIONS, 'waitpoint_already_exists'],
  partition: (args) => partitionOfExecution(args.executionId),
  keys: ({ executionId }) => [['execution', executionId], ['timers']],
  wire: {
    shared: [],
    each: [
      'executionId',
      'fence',
      'attemptIndex',
      'suspensionId',
      'waitpoints',
      'resumeCondition',
      'reasonCode',
      'requestedBy',
      'timeoutAt',
      'timeoutBehavior',
      'resumeDelayMs',
    ],
  },
  memory: 'adds',
  decide(view, args, { now }) {
    const { executionId, suspensionId } = args;
    const execution = view.executions.get(executionId);
    if (execution === undefined) return reject('execution_not_found');
    const malformed = fenceShape(args);
    if (malformed !== undefined) return malformed;
    const outcome = { kind: 'suspended', executionId, suspensionId, publicState: 'suspended' } as const;
    const { situation, waiting } = execution;
    const isRepeated = situation === 'suspended' && waiting?.suspension?.suspensionId === suspensionId;
    if (isRepeated && wasLastOwner(execution, args.fence)) return accept(outcome);
    const refusal = workVerdict(execution, args, now);
    if (refusal !== undefined) return refusal;
    const known = args.waitpoints.find(({ waitpointId }) => waiting?.waitpoints[waitpointId] !== undefined);
    if (known !== undefined) return reject('waitpoint_already_exists', { waitpointId: known.waitpointId });
    return accept(outcome, {
      type: 'execution_suspended',
      executionId,
      at: now,
      suspensionId,
      attemptIndex: execution.totalAttemptCount - 1,
      reasonCode: args.reasonCode,
      suspendedBy: args.requestedBy,
      timeoutAt: args.timeoutAt,
      timeoutBehavior: args.timeoutBehavior,
      resumeDelayMs: args.resumeDelayMs,
      attemptTimeoutRemainingMs: attemptTimeRemaining(execution, now),
      waitpoints: bindingsText(args.waitpoints),
      condition: compileCondition(args.resumeCondition),
    });
  },
});

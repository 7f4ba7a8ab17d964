/**
 * recordStep: the owner of an attempt stores the value or error of a checkpoint before its handler continues. The first
 * record of a step is kept; a different one is told so. Rulings 32, 39 and 47.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../operation.js';
import { partitionOfExecution } from '../ids.js';
import { fenceShape, workVerdict, WORK_REJECTIONS } from '../lease/fence.js';
import { LIMITS } from '../limits.js';
import { STEP_KINDS, stepKeyOf, type StepRecord } from './facts.js';

const args = z
  .strictObject({
    executionId: field.executionId,
    fence: field.fence.optional(),
    stepName: field.stepName,
    /** How often the name was used before, in the order of the handler's calls; from 0. */
    stepIndex: field.count,
    stepKind: field.wordOf(STEP_KINDS).default('step'),
    /** Whether the value is an error, as data. */
    failed: z.boolean().default(false),
    /** The value returned to the handler when it runs again. Absent and empty differ. */
    value: field.bytes.optional(),
    /** Present exactly when there is a value. */
    encoding: field.encoding.optional(),
  })
  .refine((it) => (it.value === undefined) === (it.encoding === undefined), {
    error: 'give value and encoding, or neither',
    path: ['encoding'],
  });
type RecordArgs = z.output<typeof args>;

export const recordStep = operation({
  name: 'recordStep',
  args,
  outcome: z.discriminatedUnion('kind', [
    /** Recorded, by this call or an earlier equal one. `place`: how many steps were recorded before it. */
    z.object({ kind: z.literal('recorded'), place: z.number() }),
    /** The step was recorded before with something else, which is kept: read it (`readSteps`). */
    z.object({ kind: z.literal('already_recorded'), place: z.number() }),
  ]),
  rejects: ['execution_not_found', ...WORK_REJECTIONS, 'step_changed', 'step_limit_exceeded'],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: {
    shared: [],
    each: ['executionId', 'fence', { step: ['stepName', 'stepIndex', 'stepKind', 'failed', 'encoding'] }, 'value'],
  },
  bytes: { value: 'step' },
  memory: 'adds',
  decide(view, args, { now }) {
    const { executionId, stepName, stepIndex, stepKind } = args;
    const execution = view.executions.get(executionId);
    if (execution === undefined) return reject('execution_not_found');
    const refusal = fenceShape(args) ?? workVerdict(execution, args, now);
    if (refusal !== undefined) return refusal;
    const steps = view.steps.of(executionId);
    const place = steps?.places.get(stepKeyOf(args));
    const known = place === undefined ? undefined : steps?.records[place];
    if (known !== undefined && place !== undefined) {
      if (known.stepKind !== stepKind)
        return reject('step_changed', {
          stepName,
          stepIndex: String(stepIndex),
          recorded: known.stepKind,
          asked: stepKind,
        });
      return accept({ kind: saysTheSame(known, args) ? 'recorded' : 'already_recorded', place });
    }
    const valueBytes = args.value?.byteLength;
    if (stepIndex >= LIMITS.maxSteps || execution.stepCount >= LIMITS.maxSteps)
      return reject('step_limit_exceeded', { maxSteps: String(LIMITS.maxSteps) });
    if (execution.stepBytes + (valueBytes ?? 0) > LIMITS.maxStepsBytes)
      return reject('step_limit_exceeded', { maxBytes: String(LIMITS.maxStepsBytes) });
    const step = {
      stepName,
      stepIndex,
      stepKind,
      stepFailed: args.failed,
      valueBytes,
      valueEncoding: args.encoding,
    };
    return {
      ...accept(
        { kind: 'recorded' as const, place: execution.stepCount },
        { type: 'step_recorded', executionId, at: now, ...step },
      ),
      recording: { executionId, record: { ...step, recordedAt: now, value: args.value } },
    };
  },
});

/** Whether the step was recorded with exactly this, so that the call is a repetition after a lost reply. */
function saysTheSame(known: StepRecord, { failed, value, encoding }: RecordArgs): boolean {
  if (known.stepFailed !== failed || known.valueEncoding !== encoding) return false;
  if (known.value === undefined || value === undefined) return known.value === value;
  return Buffer.compare(known.value, value) === 0;
}

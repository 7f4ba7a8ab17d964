/** Decodes recorded steps. */
import { STEP_FIELDS } from '../../../lua/layout.js';
import { facetCodec } from '../../../model/core/codec.js';
import { EngineError } from '../../../model/errors.js';
import { memberOf } from '../../../model/ids.js';
import type { ParsedArgsOf } from '../../../model/machine.js';
import { stepFacts, stepKeyOf, type StepRecord } from '../../../model/step/facts.js';
import { viewOf, type Fetch } from './fetch.js';
import { bytesOf, listOf, numberOf, repliesOf, textOf } from '../wire/reply.js';

const CODEC = facetCodec(stepFacts.step);

/** Decodes a step without its value. @throws EngineError `corruption` */
export function stepOf(text: string | undefined): StepRecord {
  if (text === undefined) throw new EngineError('corruption', 'A recorded step is missing.');
  return { ...CODEC.decode(text), value: undefined };
}

/**
 * Adds the value: alone if it has a key of its own, otherwise after the place of the step and a line break.
 * @throws EngineError `corruption`
 */
export function withValue(step: StepRecord, stored: Buffer | undefined, isAlone = false): StepRecord {
  const value = isAlone ? stored : stored?.subarray(stored.indexOf('\n') + 1);
  if (value?.byteLength !== (step.valueBytes ?? 0))
    throw new EngineError('corruption', `The value of the step "${step.stepName}" is missing.`);
  return { ...step, value: step.valueBytes === undefined ? undefined : value };
}

/** All steps of an execution with their values, in the order of recording. @throws EngineError `corruption` */
export function stepsIn(fields: ReadonlyMap<string, Buffer>): StepRecord[] {
  const steps: StepRecord[] = [];
  for (let text = fields.get('0'); text !== undefined; text = fields.get(String(steps.length))) {
    const step = stepOf(text.toString());
    steps.push(withValue(step, fields.get(STEP_FIELDS.key + stepKeyOf(step))));
  }
  if (fields.size > 0 && fields.size !== 2 * steps.length + 1)
    throw new EngineError('corruption', 'A recorded step is missing.');
  return steps;
}

/** The fetch of `readSteps`; the server chooses the page. */
export const recordedSteps: Fetch<ParsedArgsOf<'readSteps'>> = {
  request: ({ executionId, from, limit, values }) => [
    'read_steps',
    memberOf(executionId),
    String(from),
    String(limit),
    values ? '1' : '',
  ],
  bytesAt: 2,
  isPage: ({ values }) => values,
  view(reply, { values }) {
    const [count, texts, contents] = repliesOf(reply, 3);
    const brought = listOf(contents);
    const steps = listOf(texts).map((text, index) => {
      const step = stepOf(text === null ? undefined : textOf(text));
      const stored = brought[index];
      return values ? withValue(step, bytesOf(stored), Array.isArray(stored)) : step;
    });
    return viewOf({ steps: { page: () => ({ steps, stepCount: numberOf(count) }) } });
  },
};

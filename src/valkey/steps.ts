/** Recorded steps as they are stored, and as the read of the model sees them. */
import { facetCodec } from '../../model/core/codec.js';
import { EngineError } from '../../model/errors.js';
import { memberOf } from '../../model/ids.js';
import type { ParsedArgsOf } from '../../model/machine.js';
import { stepFacts, type StepFacts, type StepRecord } from '../../model/step/facts.js';
import { viewOf, type Fetch } from './fetch.js';
import { textOf, type WireReply } from './reply.js';

const CODEC = facetCodec(stepFacts.step);

/** A step from its text and its value. @throws EngineError `corruption` */
export function stepOf(text: string | undefined, value: Uint8Array | undefined): StepRecord {
  if (text === undefined) throw new EngineError('corruption', 'A recorded step is missing.');
  const facts: Record<string, unknown> = {};
  CODEC.decode(text, facts);
  return { ...(facts as unknown as StepFacts), value };
}

function withValue(step: StepRecord): StepRecord {
  if (step.valueBytes !== step.value?.byteLength)
    throw new EngineError('corruption', `The value of the step "${step.stepName}" is missing.`);
  return step;
}

const bytesOf = (reply: WireReply | undefined): Uint8Array | undefined => {
  if (reply === null || reply === undefined) return undefined;
  return Buffer.isBuffer(reply) ? reply : Buffer.from(textOf(reply));
};

/** How `readSteps` is answered: the server has chosen the page. */
export const recordedSteps: Fetch<ParsedArgsOf<'readSteps'>> = {
  request: ({ executionId, from, limit, values }) => [
    'read_steps',
    memberOf(executionId),
    String(from),
    String(limit),
    values ? '1' : '',
  ],
  view(reply, { values }) {
    const [count, texts, contents] = reply as [number, WireReply[], WireReply[]];
    const steps = texts.map((text, index) => {
      const step = stepOf(text === null ? undefined : textOf(text), bytesOf(contents[index]));
      return values ? withValue(step) : step;
    });
    return viewOf({ steps: { page: () => ({ steps, stepCount: Number(count) }) } });
  },
};

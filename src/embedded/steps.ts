/** A recorded step as bytes of the store: in the journal, and in a snapshot. */
import { facetCodec } from '../../model/core/codec.js';
import { EngineError } from '../../model/errors.js';
import { stepFacts, type StepFacts, type StepRecord } from '../../model/step/facts.js';

/** The slot of the bytes of steps, beside those of executions: one for each step, in the order in which they were recorded. */
export const STEP_SLOT = 'step';

const CODEC = facetCodec(stepFacts.step);

/** Length of the length of what stands before the value. */
const LENGTH_BYTES = 2;

/** A step as bytes: how long its facts are, its facts, its value. */
export function writeStep({ value, ...facts }: StepRecord): Uint8Array {
  const head = Buffer.from(CODEC.encode(facts));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt16BE(head.length);
  return Buffer.concat(value === undefined ? [length, head] : [length, head, value]);
}

/** @throws EngineError `corruption` */
export function readStep(bytes: Uint8Array): StepRecord {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = LENGTH_BYTES + (buffer.length < LENGTH_BYTES ? Infinity : buffer.readUInt16BE(0));
  if (end > buffer.length) throw new EngineError('corruption', 'A recorded step does not read.');
  const facts: Record<string, unknown> = {};
  CODEC.decode(buffer.toString('utf8', LENGTH_BYTES, end), facts);
  const { valueBytes } = facts as unknown as StepFacts;
  if ((valueBytes ?? 0) !== buffer.length - end)
    throw new EngineError('corruption', 'A recorded step has a value of another size than it says.');
  return { ...(facts as unknown as StepFacts), value: valueBytes === undefined ? undefined : buffer.subarray(end) };
}

/** Stored bytes of recorded steps, in the journal and in snapshots. */
import { facetCodec } from '../../model/core/codec.js';
import { EngineError } from '../../model/errors.js';
import { stepFacts, type StepRecord } from '../../model/step/facts.js';

/** Slot of recorded steps, besides those of executions: one record for each step, in the order of the recordings. */
export const STEP_SLOT = 'step';

const CODEC = facetCodec(stepFacts.step);

/** Bytes of the length field of the facts. */
const LENGTH_BYTES = 2;

/** Encodes a step: the length of its facts, its facts, its value. */
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
  if (end > buffer.length) throw new EngineError('corruption', 'A recorded step is unreadable.');
  const facts = CODEC.decode(buffer.toString('utf8', LENGTH_BYTES, end));
  const { valueBytes } = facts;
  if ((valueBytes ?? 0) !== buffer.length - end)
    throw new EngineError('corruption', 'The value of a recorded step has the wrong size.');
  return { ...facts, value: valueBytes === undefined ? undefined : buffer.subarray(end) };
}

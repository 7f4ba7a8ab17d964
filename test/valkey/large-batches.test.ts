/** Batches with more payloads than one call may carry. */
import { expect, it } from 'vitest';
import { EngineError } from '../../model/errors.js';
import type { ParsedCommand } from '../../model/machine.js';
import { MAX_CALL_BYTES } from '../../src/backend/joined-calls.js';
import type { Answer } from '../../src/valkey/answers.js';
import { runInParts } from '../../src/valkey/large-batches.js';

const creation = (bytes: number): ParsedCommand =>
  ({ name: 'createExecution', args: { inputPayload: { byteLength: bytes } } }) as unknown as ParsedCommand;
const sizeOf = ({ args }: ParsedCommand): number =>
  (args as unknown as { inputPayload: { byteLength: number } }).inputPayload.byteLength;
const HALF = MAX_CALL_BYTES / 2;

/** The sizes in each call, and the answers; call number `failing` fails. */
async function played(sizes: readonly number[], failing?: number) {
  const calls: number[][] = [];
  const answers = await runInParts(sizes.map(creation), async (part) => {
    calls.push(part.map(sizeOf));
    if (calls.length === failing) throw new EngineError('call_timeout', 'late');
    return part.map((command): Answer => ({ ok: true, outcome: sizeOf(command) as never }));
  });
  return { calls, answers: answers.map((answer) => (answer.ok ? answer.outcome : 'fault')) };
}

it('run in several calls in their order, none with more than it may carry', async () => {
  const sizes = [1, HALF, HALF, 1, MAX_CALL_BYTES, 2];
  const { calls, answers } = await played(sizes);
  expect(calls).toEqual([[1, HALF], [HALF, 1], [MAX_CALL_BYTES], [2]]);
  expect(answers).toEqual(sizes);
});

it('run in one call when it can carry them', async () => {
  expect((await played([HALF, HALF])).calls).toEqual([[HALF, HALF]]);
});

it('stop at a call that fails: what was answered before stays answered', async () => {
  const { calls, answers } = await played([HALF, HALF, HALF, 1, HALF], 2);
  expect(calls).toHaveLength(2);
  expect(answers).toEqual([HALF, HALF, 'fault', 'fault', 'fault']);
  await expect(played([HALF, HALF, 1], 1)).rejects.toMatchObject({ code: 'call_timeout' });
});

/** Recorded steps on a server: what is lost of them is missed (ruling 40), and what a call may carry. */
import { randomBytes } from 'node:crypto';
import { Valkey } from 'iovalkey';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { LISTED_STEPS, STAGED_SEPARATOR, STEP_FIELDS, SUFFIXES } from '../../lua/layout.js';
import { memberOf } from '../../model/ids.js';
import { LIMITS } from '../../model/limits.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import { create, fenceOf, PARTITION, refused, take } from '../../src/testing/conformance/steps.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

const PREFIX = `steps-${process.pid}:`;

let engine: TestEngine;
let admin: Valkey;
let taken: ClaimedExecution;
beforeAll(async () => {
  const { url } = await sharedValkey();
  admin = new Valkey(url);
  engine = await testEngine({ backend: { url }, prefix: PREFIX });
});
afterAll(async () => {
  admin?.disconnect();
  await engine?.close();
});
beforeEach(async () => {
  await engine.clear();
  await create(engine);
  taken = await take(engine);
});

const record = (stepName: string, value = Uint8Array.of(1)) =>
  engine.backend.recordStep({
    executionId: taken.executionId,
    fence: fenceOf(taken),
    stepName,
    stepIndex: 0,
    value,
    encoding: 'bytes',
  });
const read = () => engine.backend.readSteps({ executionId: taken.executionId });
const key = (): string => `${PREFIX}${PARTITION}:${memberOf(taken.executionId)}${SUFFIXES.steps}`;

test('a lost or invalid record of steps is detected by the next step, and nothing is written', async () => {
  await record('a');
  const core = await admin.hgetall(key().slice(0, -SUFFIXES.steps.length));
  for (const damage of [
    () => admin.del(key()),
    () => admin.hdel(key(), STEP_FIELDS.totals),
    async () => {
      await admin.del(key());
      await admin.set(key(), 'something else');
    },
  ]) {
    await damage();
    await refused(record('b'), 'corruption');
    expect(await admin.hgetall(key().slice(0, -SUFFIXES.steps.length))).toEqual(core);
  }
});

test('a lost value is corruption for its reader only', async () => {
  await record('a');
  await admin.hdel(key(), `${STEP_FIELDS.key}a:0`);
  await refused(read(), 'corruption');
  expect(await record('b')).toEqual({ kind: 'recorded', place: 1 });
  await engine.backend.completeExecution({ executionId: taken.executionId, fence: fenceOf(taken) });
});

test('a short value that was cut is not taken for a long one', async () => {
  await record('a', randomBytes(8));
  const field = `${STEP_FIELDS.key}a:0`;
  const stored = (await admin.hgetBuffer(key(), field)) as Buffer;
  await admin.hset(key(), field, stored.subarray(0, 8));
  await refused(read(), 'corruption');
});

test('a claim carries no value that has a key of its own', () => {
  expect(LIMITS.maxCarriedBytes).toBeLessThanOrEqual(LIMITS.maxClaimedInputBytes);
});

test('a claim brings the steps of earlier owners, and none if one is unreadable; if one is lost, the execution is set aside', async () => {
  await record('a');
  await record('b');
  const again = async (): Promise<ClaimedExecution> => {
    await engine.backend.revokeLease({ executionId: taken.executionId, reason: 'r' });
    return take(engine);
  };
  const { earlier } = await again();
  expect(earlier?.steps.map(({ stepName, value }) => [stepName, value?.[0]])).toEqual([
    ['a', 1],
    ['b', 1],
  ]);
  // As many fields as before.
  await admin.hdel(key(), `${STEP_FIELDS.key}a:0`);
  await admin.hset(key(), 'something', 'else');
  expect((await again()).earlier).toBeUndefined();
  await admin.hdel(key(), 'something');
  await expect(again()).rejects.toThrow();
  const { entries } = await engine.backend.listQuarantined({ partition: PARTITION });
  expect(entries).toHaveLength(1);
});

test('a foreign key in the place of the steps is replaced by them', async () => {
  await admin.set(key(), 'something else');
  expect(await record('a')).toEqual({ kind: 'recorded', place: 0 });
  expect((await read()).stepCount).toBe(1);
});

test('the largest values are stored, many in one turn, up to the limit of an execution', async () => {
  const large = new Uint8Array(LIMITS.maxPayloadBytes).fill(7);
  const outcomes = await Promise.all(Array.from({ length: 8 }, (_, i) => record(`s${i}`, large)));
  expect(outcomes.every(({ kind }) => kind === 'recorded')).toBe(true);
  await refused(record('one more'), 'step_limit_exceeded');
  const { steps, next } = await read();
  expect([steps.length, next]).toEqual([1, 1]);
  expect(Buffer.compare(steps[0]?.value as Uint8Array, large)).toBe(0);
});

test('a long value travels in parts both ways, has a key of its own, and is removed with the steps', async () => {
  const value = randomBytes(3 * LIMITS.maxPartBytes);
  const calls = vi.spyOn(Valkey.prototype, 'append');
  expect(await record('long', value)).toEqual({ kind: 'recorded', place: 0 });
  expect(calls).toHaveBeenCalledTimes(2);
  const getrange = vi.spyOn(Valkey.prototype, 'getrangeBuffer');
  expect(value.equals((await read()).steps[0]?.value as Uint8Array)).toBe(true);
  expect(getrange).toHaveBeenCalledTimes(3);
  vi.restoreAllMocks();
  expect(await record('long', value)).toEqual({ kind: 'recorded', place: 0 });
  expect(await record('long', randomBytes(value.length))).toEqual({ kind: 'already_recorded', place: 0 });
  await record('short');
  expect(await record('other', value.subarray(1))).toEqual({ kind: 'recorded', place: 2 });
  const values = () => admin.keys(`${key().slice(0, -SUFFIXES.steps.length)}${SUFFIXES.value}*`);
  await vi.waitFor(async () => expect(await values()).toHaveLength(2));
  const { executionId } = taken;
  await engine.backend.completeExecution({ executionId, fence: fenceOf(taken) });
  await engine.backend.replayExecution({ executionId, reason: 'r', steps: 'discard' });
  expect(await values()).toEqual([]);
});

test('a lost long value is corruption for its reader; one that did not arrive in parts is sent with its call', async () => {
  vi.spyOn(Valkey.prototype, 'set').mockResolvedValueOnce('OK');
  const value = randomBytes(LIMITS.maxClaimedInputBytes + 1);
  await record('unstaged', value);
  vi.restoreAllMocks();
  expect(value.equals((await read()).steps[0]?.value as Uint8Array)).toBe(true);
  expect(await record('unstaged', value)).toEqual({ kind: 'recorded', place: 0 });
  await record('long', value);
  const [name = ''] = await admin.keys(`${key().slice(0, -SUFFIXES.steps.length)}${SUFFIXES.value}*`);
  await admin.del(name);
  await refused(read(), 'corruption');
  expect(await record('b')).toEqual({ kind: 'recorded', place: 2 });
});

test('a verification removes long values that no step names, and lists those that steps name again', async () => {
  const { executionId } = taken;
  const base = key().slice(0, -SUFFIXES.steps.length);
  const value = randomBytes(LIMITS.maxClaimedInputBytes + 1);
  const values = () => admin.keys(`${base}${SUFFIXES.value}[^:]*`);
  const verify = async () => (await engine.backend.verifyPartition({ partition: PARTITION })).findings;
  await record('short');
  for (const name of ['a', 'b']) await record(name, value);
  const staged = `${base}${SUFFIXES.value}${STAGED_SEPARATOR}name`;
  await admin.set(staged, 'on its way', 'PX', 60_000);
  expect(await verify()).toEqual([]);
  await admin.hdel(key(), STEP_FIELDS.long);
  expect(await verify()).toEqual([{ index: 'step values', problem: 'entries', count: 2 }]);
  expect(await verify()).toEqual([]);
  expect(value.equals((await read()).steps[2]?.value as Uint8Array)).toBe(true);
  expect(await values()).toHaveLength(2);
  await admin.del(key());
  await engine.backend.completeExecution({ executionId, fence: fenceOf(taken) });
  await engine.backend.replayExecution({ executionId, reason: 'r', steps: 'discard' });
  expect(await values()).toHaveLength(2);
  expect(await verify()).toEqual([{ index: 'step values', problem: 'entries', count: 2 }]);
  expect([await values(), await admin.exists(staged)]).toEqual([[], 1]);
});

test('steps that share a call are decided one by one', async () => {
  const { executionId } = taken;
  await create(engine);
  const other = await take(engine);
  const fence = fenceOf(taken);
  const command = (stepName: string, more: object = {}) => ({
    name: 'recordStep' as const,
    args: { executionId, fence, stepName, stepIndex: 0, value: Uint8Array.of(1), encoding: 'bytes', ...more },
  });
  const results = await engine.backend.execute([
    command('a'),
    command('b'),
    command('a'),
    command('a', { value: Uint8Array.of(2) }),
    command('a', { stepKind: 'sleep' }),
    command('d', { fence: fenceOf(other) }),
    command('c', { executionId: other.executionId }),
    command('c', { executionId: other.executionId, fence: fenceOf(other) }),
    command('e'),
    { name: 'completeExecution', args: { executionId, fence } },
    command('f'),
  ]);
  expect(results.map((result) => (result.ok ? result.outcome.kind : result.error.code))).toEqual([
    ...['recorded', 'recorded', 'recorded', 'already_recorded', 'step_changed'],
    ...['stale_lease', 'stale_lease', 'recorded', 'recorded', 'completed', 'execution_not_active'],
  ]);
  const { steps } = await read();
  expect(steps.map(({ stepName }) => stepName)).toEqual(['a', 'b', 'e']);
});

test('many steps are stored as a table, which is not searched', async () => {
  const names = Array.from({ length: LISTED_STEPS }, (_, i) => `s${i}`);
  for (const name of names.slice(1)) await record(name);
  expect(await admin.call('OBJECT', 'ENCODING', key())).toBe('listpack');
  await record('s0');
  expect(await admin.call('OBJECT', 'ENCODING', key())).not.toBe('listpack');
  const { steps, stepCount } = await read();
  expect(stepCount).toBe(LISTED_STEPS);
  expect(steps.map(({ stepName }) => stepName)).toEqual([...names.slice(1), 's0']);
});

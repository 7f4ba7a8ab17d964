/** Long payloads and results, which travel beside the calls that name them. */
import { randomBytes, randomUUID } from 'node:crypto';
import { Socket } from 'node:net';
import { Valkey } from 'iovalkey';
import { afterEach, expect, it, vi } from 'vitest';
import { EngineError } from '../../model/errors.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import { MAX_FIELD_BYTES } from '../../lua/layout.js';
import { memberOf } from '../../model/ids.js';
import { LIMITS } from '../../model/limits.js';
import { shortIdOf } from '../../model/short-id.js';
import { coreKey, inputKey } from '../../src/valkey/keys.js';
import { FETCHED_FROM_CLAIMS } from '../../src/valkey/bytes/payloads.js';
import { STAGED_FROM_BYTES } from '../../src/valkey/bytes/staging.js';
import { deferred } from '../app/support.js';
import { deployment } from '../support/valkey/deployment.js';

const deployed = deployment();
afterEach(async () => {
  vi.restoreAllMocks();
  const keys = await deployed.admin.keys('ff:{*');
  if (keys.length > 0) await deployed.admin.del(...keys);
});

const long = () => randomBytes(STAGED_FROM_BYTES);
const create = (inputPayload: Uint8Array, executionId = `{fp:0}:${randomUUID()}`) =>
  deployed.backend.createExecution({
    executionId,
    namespace: 'n',
    laneId: 'l',
    executionKind: 'k',
    creatorIdentity: 'c',
    inputPayload,
  });
const claim = async (count: number): Promise<readonly ClaimedExecution[]> => {
  const claims = Array.from({ length: count }, () => ({ leaseId: randomUUID(), attemptId: randomUUID() }));
  const outcome = await deployed.backend.claimForWorker({
    partition: '{fp:0}',
    laneId: 'l',
    workerId: 'w',
    workerInstanceId: 'w1',
    claims,
  });
  return outcome.kind === 'claimed' ? outcome.executions : [];
};
const complete = ({ executionId, leaseId, leaseEpoch, attemptId }: ClaimedExecution, resultPayload: Uint8Array) =>
  deployed.backend.completeExecution({ executionId, fence: { leaseId, leaseEpoch, attemptId }, resultPayload });
const payloadOf = async (executionId: string) =>
  Buffer.from((await deployed.backend.readExecutionContext({ executionId })).inputPayload);
/** Keys of an execution by how they live: for ever, or for a while. */
const lives = async (executionId: string) => {
  const keys = (await deployed.admin.keys('ff:{fp:0}:*')).filter((key) => key.includes(memberOf(executionId))).sort();
  return Promise.all(
    keys.map(async (key) => [key, (await deployed.admin.pttl(key)) > 0 ? 'for a while' : 'for ever'] as const),
  );
};

it('long bytes travel in the write of their call', async () => {
  const writes: string[][] = [];
  const note = (chunks: readonly unknown[]): void => {
    // Other connections of the backend may greet the server at the same time.
    const names = chunks.map((chunk) => /^\*\d+\r\n\$\d+\r\n(set|fcall)\r\n/.exec(String(chunk))?.[1]);
    if (names.some((name) => name !== undefined)) writes.push(names.map(String));
  };
  type Write = (chunk: unknown, ...rest: unknown[]) => void;
  const socket = Socket.prototype as unknown as { _write: Write; _writev: Write };
  const { _write: single, _writev: several } = socket;
  vi.spyOn(socket, '_write').mockImplementation(function (this: Socket, chunk, ...rest) {
    note([chunk]);
    single.call(this, chunk, ...rest);
  });
  vi.spyOn(socket, '_writev').mockImplementation(function (this: Socket, chunks, ...rest) {
    note((chunks as { chunk: unknown }[]).map(({ chunk }) => chunk));
    several.call(this, chunks, ...rest);
  });
  await Promise.all([create(long()), create(long())]);
  expect(writes).toEqual([['set', 'set', 'fcall']]);
});

it('long bytes are returned unchanged, and stay', async () => {
  const [input, output] = [long(), long()];
  const { executionId } = await create(input);
  const [claimed] = await claim(1);
  expect(claimed?.inputPayload).toEqual(input);
  await complete(claimed as ClaimedExecution, output);
  expect(await payloadOf(executionId)).toEqual(input);
  expect(await deployed.backend.getExecutionResult({ executionId })).toEqual(output);
  expect(await lives(executionId)).toEqual([
    [coreKey('ff:', executionId), 'for ever'],
    [inputKey('ff:', executionId), 'for ever'],
    [`${coreKey('ff:', executionId)}:out:${shortIdOf((claimed as ClaimedExecution).attemptId)}`, 'for ever'],
  ]);
});

it('very long bytes are read in parts and not with a claim', async () => {
  const [input, output] = [randomBytes(LIMITS.maxPartBytes + 1), randomBytes(5 * LIMITS.maxPartBytes)];
  const { executionId } = await create(input);
  const [claimed] = await claim(1);
  expect([claimed?.inputPayload, claimed?.payloadBytes]).toEqual([undefined, input.byteLength]);
  await complete(claimed as ClaimedExecution, output);
  const getrange = vi.spyOn(Valkey.prototype, 'getrangeBuffer');
  expect((await payloadOf(executionId)).equals(input)).toBe(true);
  expect(getrange).toHaveBeenCalledTimes(2);
  expect(output.equals((await deployed.backend.getExecutionResult({ executionId })) ?? Buffer.alloc(0))).toBe(true);
  expect(getrange).toHaveBeenCalledTimes(7);
  const info = await deployed.backend.readExecutionInfo({ executionId, withResult: true });
  expect(output.equals(info?.result ?? Buffer.alloc(0))).toBe(true);
});

it('very long bytes are stored in parts before the call', async () => {
  const append = vi.spyOn(Valkey.prototype, 'append');
  const input = randomBytes(2 * LIMITS.maxPartBytes + 1);
  const { executionId } = await create(input);
  expect(append).toHaveBeenCalledTimes(2);
  expect((await payloadOf(executionId)).equals(input)).toBe(true);
  expect((await lives(executionId)).map(([, life]) => life)).toEqual(['for ever', 'for ever']);
});

it.each([
  ['were stored in another order', () => Promise.resolve(1)],
  ['were refused', () => Promise.reject(new Error('OOM command not allowed'))],
])(
  'very long bytes whose parts %s are sent with the command, and their stored parts are removed',
  async (_, answer) => {
    vi.spyOn(Valkey.prototype, 'append').mockImplementationOnce(answer);
    const input = randomBytes(2 * LIMITS.maxPartBytes);
    const { executionId } = await create(input);
    expect((await payloadOf(executionId)).equals(input)).toBe(true);
    await vi.waitFor(async () =>
      expect((await lives(executionId)).map(([, life]) => life)).toEqual(['for ever', 'for ever']),
    );
  },
);

/** Creates an execution with 4 MiB, and holds the answers to its first parts behind the first until it is released. */
async function createSlowly(heldParts: number): Promise<{ release: () => Promise<unknown> }> {
  const { append } = Valkey.prototype;
  const held = deferred();
  const spy = vi.spyOn(Valkey.prototype, 'append');
  for (let part = 0; part < heldParts; part++)
    spy.mockImplementationOnce(async function (this: Valkey, ...args) {
      const length = await append.apply(this, args);
      await held.promise;
      return length;
    });
  const creating = create(randomBytes(4 * 1024 * 1024));
  await vi.waitFor(() => expect(spy.mock.calls.length).toBeGreaterThanOrEqual(heldParts));
  return {
    release: () => {
      held.resolve();
      return creating;
    },
  };
}

it('very long bytes delay no call with few bytes, of the same turn or later, and no read', async () => {
  await create(long());
  await create(long());
  const [one, other] = (await claim(2)) as [ClaimedExecution, ClaimedExecution];
  // As many as may be in flight.
  const { release } = await createSlowly(4);
  const { executionId, leaseId, leaseEpoch, attemptId } = one;
  const fence = { leaseId, leaseEpoch, attemptId };
  const renew = () => deployed.backend.renewLease({ executionId, fence, leaseTtlMs: 30_000 });
  let isCompleted = false;
  const completing = complete(one, randomBytes(LIMITS.maxClaimedInputBytes + 1)).then(() => (isCompleted = true));
  await renew();
  expect(isCompleted).toBe(false);
  await Promise.all([renew(), complete(other, randomBytes(LIMITS.maxClaimedInputBytes))]);
  await deployed.backend.readSteps({ executionId, values: true });
  expect(isCompleted).toBe(false);
  await release();
  await completing;
});

it('very long inputs are offered to idle workers when their call leaves, so that a claim in it finds the work', async () => {
  const claims: Promise<readonly ClaimedExecution[]>[] = [];
  const stop = await deployed.backend.onWake(['l'], (wake) => {
    if ('arriving' in wake && wake.arriving !== undefined) claims.push(claim(1));
  });
  const { executionId } = await create(randomBytes(2 * LIMITS.maxPartBytes));
  expect(claims).toHaveLength(1);
  expect((await claims[0])?.map((claimed) => claimed.executionId)).toEqual([executionId]);
  stop();
});

it('very long bytes whose key is removed while their parts are read are reported as gone', async () => {
  const { executionId } = await create(randomBytes(2 * LIMITS.maxPartBytes));
  const getrange = vi.spyOn(Valkey.prototype, 'getrangeBuffer').mockImplementationOnce(async (key, from, to) => {
    await deployed.admin.del(key);
    return deployed.admin.getrangeBuffer(key, from, to);
  });
  expect(await payloadOf(executionId)).toEqual(Buffer.alloc(0));
  expect(getrange).toHaveBeenCalledTimes(3);
});

it('long inputs are returned to many claims at once, of every length, each to its own', async () => {
  const inputs = [long(), Buffer.alloc(0), randomBytes(100), long(), randomBytes(3)];
  const ids = (await Promise.all(inputs.map((input) => create(input)))).map(({ executionId }) => executionId);
  const claimed = await claim(FETCHED_FROM_CLAIMS);
  expect(
    new Map(claimed.map(({ executionId, inputPayload }) => [executionId, Buffer.from(inputPayload ?? [])])),
  ).toEqual(new Map(ids.map((id, i) => [id, inputs[i]])));
});

it('long inputs are returned to many claims a quarter of a MiB at a time', async () => {
  const inputs = Array.from({ length: FETCHED_FROM_CLAIMS }, () => randomBytes(31 * 1024));
  const ids = (await Promise.all(inputs.map((input) => create(input)))).map(({ executionId }) => executionId);
  type Fetches = { mgetBuffer(keys: readonly string[]): Promise<(Buffer | null)[]> };
  const mget = vi.spyOn(Valkey.prototype as unknown as Fetches, 'mgetBuffer');
  const claimed = await claim(FETCHED_FROM_CLAIMS);
  expect(mget.mock.calls.map(([keys]) => keys.length)).toEqual([8, 8, 4]);
  const byId = new Map(ids.map((id, i) => [id, inputs[i]]));
  expect(claimed).toHaveLength(FETCHED_FROM_CLAIMS);
  for (const { executionId, inputPayload } of claimed)
    expect(byId.get(executionId)?.equals(inputPayload as Uint8Array)).toBe(true);
});

it('long bytes are sent with the command if they did not arrive beside it', async () => {
  const set = vi.spyOn(Valkey.prototype, 'set').mockImplementation(() => Promise.resolve('OK'));
  const [input, output] = [long(), long()];
  const { executionId } = await create(input);
  const [claimed] = await claim(1);
  await complete(claimed as ClaimedExecution, output);
  expect(set).toHaveBeenCalledTimes(2);
  expect(await payloadOf(executionId)).toEqual(input);
  expect(await deployed.backend.getExecutionResult({ executionId })).toEqual(output);
});

it('the long bytes of a duplicate creation replace nothing and leave nothing', async () => {
  const [first, second] = [long(), long()];
  const { executionId } = await create(first);
  expect((await create(second, executionId)).kind).toBe('duplicate');
  expect(await payloadOf(executionId)).toEqual(first);
  expect(await lives(executionId)).toEqual([
    [coreKey('ff:', executionId), 'for ever'],
    [inputKey('ff:', executionId), 'for ever'],
  ]);
});

it('the long bytes of a repeated completion replace nothing and leave nothing', async () => {
  const output = long();
  const { executionId } = await create(long());
  const [claimed] = await claim(1);
  await complete(claimed as ClaimedExecution, output);
  await complete(claimed as ClaimedExecution, long());
  expect(await deployed.backend.getExecutionResult({ executionId })).toEqual(output);
  expect((await lives(executionId)).map(([, life]) => life)).toEqual(['for ever', 'for ever', 'for ever']);
});

it('the long bytes of a refused completion leave nothing permanent', async () => {
  const { executionId } = await create(long());
  const [claimed] = await claim(1);
  await expect(complete({ ...(claimed as ClaimedExecution), leaseEpoch: 7 }, long())).rejects.toMatchObject({
    code: 'stale_lease',
  });
  const [core, input, staged, ...rest] = await lives(executionId);
  expect([core?.[1], input?.[1], staged?.[1], rest]).toEqual(['for ever', 'for ever', 'for a while', []]);
  expect(staged?.[0]).toContain(`${coreKey('ff:', executionId)}:out:`);
});

it('the very long bytes of a refused completion are removed', async () => {
  const { executionId } = await create(Buffer.alloc(0));
  const [claimed] = await claim(1);
  const output = randomBytes(LIMITS.maxClaimedInputBytes + 1);
  await expect(complete({ ...(claimed as ClaimedExecution), leaseEpoch: 7 }, output)).rejects.toMatchObject({
    code: 'stale_lease',
  });
  await vi.waitFor(async () => expect(await lives(executionId)).toEqual([[coreKey('ff:', executionId), 'for ever']]));
});

it('very long bytes that were taken over are not removed; those of a refused call are removed together', async () => {
  const unlink = vi.spyOn(Valkey.prototype, 'unlink');
  const inputs = Array.from({ length: 3 }, () => randomBytes(LIMITS.maxClaimedInputBytes + 1));
  const { flowId, ids } = await createFlow(inputs);
  expect(unlink).not.toHaveBeenCalled();
  const members = inputs.map((inputPayload, i) => ({
    executionId: i === 0 ? (ids[0] as string) : `{fp:0}:${randomUUID()}`,
    laneId: 'l',
    executionKind: 'k',
    inputPayload,
  }));
  const graph = { members: [...members].reverse() };
  await expect(deployed.backend.growFlow({ flowId, graph })).rejects.toMatchObject({ code: 'invalid_input' });
  expect(unlink.mock.calls.map((keys) => keys.length)).toEqual([3]);
  const left = async (): Promise<string[]> =>
    (await Promise.all(members.map(({ executionId }) => lives(executionId)))).flatMap((keys) =>
      keys.map(([, life]) => life),
    );
  await vi.waitFor(async () => expect(await left()).toEqual(['for ever', 'for ever']));
});

it('very long bytes are removed when others of their batch could not be stored', async () => {
  const ids = [`{fp:0}:${randomUUID()}`, `{fp:0}:${randomUUID()}`];
  const set = vi.spyOn(Valkey.prototype, 'set');
  const append = vi.spyOn(Valkey.prototype, 'append');
  append.mockRejectedValue(new EngineError('transport_failed', 'lost.'));
  const sizes = [LIMITS.maxClaimedInputBytes + 1, LIMITS.maxPartBytes + 1];
  const commands = ids.map((executionId, i) => ({
    name: 'createExecution' as const,
    args: {
      executionId,
      namespace: 'n',
      laneId: 'l',
      executionKind: 'k',
      creatorIdentity: 'c',
      inputPayload: randomBytes(sizes[i] as number),
    },
  }));
  await expect(deployed.backend.execute(commands)).rejects.toMatchObject({ code: 'transport_failed' });
  expect(set).toHaveBeenCalledTimes(2);
  await vi.waitFor(async () =>
    expect([...(await lives(ids[0] as string)), ...(await lives(ids[1] as string))]).toEqual([]),
  );
});

/** Creates a flow of members with these inputs. */
async function createFlow(inputs: readonly Buffer[], flowId = `{fp:0}:${randomUUID()}`) {
  const members = inputs.map((inputPayload) => ({
    executionId: `{fp:0}:${randomUUID()}`,
    laneId: 'l',
    executionKind: 'k',
    inputPayload,
  }));
  const answer = await deployed.backend.createFlow({ flowId, flowKind: 'f', namespace: 'n', graph: { members } });
  return { flowId, kind: answer.kind, ids: members.map(({ executionId }) => executionId) };
}

it('the very long inputs of new members and of children are stored in parts before the call', async () => {
  const append = vi.spyOn(Valkey.prototype, 'append');
  const inputs = [randomBytes(2 * LIMITS.maxPartBytes), long(), randomBytes(LIMITS.maxClaimedInputBytes + 1)];
  const { flowId, ids } = await createFlow(inputs);
  expect(append).toHaveBeenCalledTimes(1);
  for (const [i, id] of ids.entries()) expect((await payloadOf(id)).equals(inputs[i] as Buffer)).toBe(true);
  const repeated = await createFlow(inputs, flowId);
  expect(repeated.kind).toBe('already_satisfied');
  await vi.waitFor(async () => expect((await Promise.all(repeated.ids.map(lives))).flat()).toEqual([]));

  const grown = { executionId: `{fp:0}:${randomUUID()}`, laneId: 'l', executionKind: 'k', inputPayload: inputs[0] };
  const grow = () => deployed.backend.growFlow({ flowId, graph: { members: [grown] } });
  expect([(await grow()).kind, (await grow()).kind]).toEqual(['grown', 'already_satisfied']);

  const [{ executionId, leaseId, leaseEpoch, attemptId }] = (await claim(1)) as [ClaimedExecution];
  const child = { executionId: `{fp:0}:${randomUUID()}`, laneId: 'l', executionKind: 'k', edgeId: randomUUID() };
  const spawn = () =>
    deployed.backend.spawnChildren({
      ...{ executionId, fence: { leaseId, leaseEpoch, attemptId }, flowId },
      children: [{ ...child, inputPayload: inputs[0] }],
    });
  expect([(await spawn()).kind, (await spawn()).kind]).toEqual(['spawned', 'already_spawned']);
  expect(append).toHaveBeenCalledTimes(6);
  expect((await payloadOf(child.executionId)).equals(inputs[0] as Buffer)).toBe(true);
  for (const id of [grown.executionId, child.executionId])
    expect((await lives(id)).map(([, life]) => life)).not.toContain('for a while');
});

it('the long inputs of new members are sent with the call if they did not arrive', async () => {
  vi.spyOn(Valkey.prototype, 'set').mockImplementation(() => Promise.resolve('OK'));
  const inputs = [randomBytes(LIMITS.maxClaimedInputBytes + 1), long()];
  const { ids } = await createFlow(inputs);
  for (const [i, id] of ids.entries()) expect((await payloadOf(id)).equals(inputs[i] as Buffer)).toBe(true);
});

it('the long inputs of new members are all sent with the call if some did not arrive, and the stored ones are removed', async () => {
  vi.spyOn(Valkey.prototype, 'set').mockImplementationOnce(() => Promise.resolve('OK'));
  const inputs = Array.from({ length: 3 }, () => randomBytes(LIMITS.maxClaimedInputBytes + 1));
  const { ids } = await createFlow(inputs);
  for (const [i, id] of ids.entries()) {
    expect((await payloadOf(id)).equals(inputs[i] as Buffer)).toBe(true);
    await vi.waitFor(async () => expect((await lives(id)).map(([, life]) => life)).toEqual(['for ever', 'for ever']));
  }
});

it('the inputs of many new members are stored before the call if they are long together', async () => {
  const set = vi.spyOn(Valkey.prototype, 'set');
  const inputs = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? randomBytes(20 * 1024) : randomBytes(100)));
  const { ids } = await createFlow(inputs);
  expect(set).toHaveBeenCalledTimes(20);
  for (const [i, id] of ids.entries()) expect((await payloadOf(id)).equals(inputs[i] as Buffer)).toBe(true);
});

it('an execution whose payload was deleted from outside is not claimed: it is quarantined', async () => {
  const quarantined = () => deployed.admin.hkeys('ff:{fp:0}:quarantine');
  const lost = await create(long());
  const kept = await create(randomBytes(MAX_FIELD_BYTES + 1));
  await deployed.admin.del(inputKey('ff:', lost.executionId));
  expect((await claim(FETCHED_FROM_CLAIMS)).map(({ executionId }) => executionId)).toEqual([kept.executionId]);
  expect(await quarantined()).toEqual([`execution:${memberOf(lost.executionId)}`]);
  const alone = await create(long());
  await deployed.admin.del(inputKey('ff:', alone.executionId));
  expect(await claim(1)).toEqual([]);
  expect((await quarantined()).sort()).toEqual(
    [lost, alone].map(({ executionId }) => `execution:${memberOf(executionId)}`).sort(),
  );
  // Nobody had it.
  expect(await deployed.backend.describeExecution({ executionId: alone.executionId })).toMatchObject({
    publicState: 'waiting',
  });
});

import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { EngineError } from '../../model/errors.js';
import type { Wake } from '../../src/backend/backend.js';
import { memory } from '../../src/memory/index.js';
import { memoryStore } from '../../src/memory/machine.js';
import { testEngine } from '../../src/testing/index.js';

const PARTITION = '{fp:0}';
const newId = (): string => `${PARTITION}:${randomUUID()}`;

const creation = (executionId = newId()) => ({
  executionId,
  namespace: 'shop',
  laneId: 'default',
  executionKind: 'mail',
  creatorIdentity: 'tests',
});
const claimOne = () => ({
  partition: PARTITION,
  laneId: 'default',
  workerId: 'w',
  workerInstanceId: 'w-1',
  claims: [{ leaseId: randomUUID(), attemptId: randomUUID() }],
});

/** The error with which a call fails. */
async function errorOf(call: Promise<unknown>): Promise<EngineError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(EngineError);
  return error as EngineError;
}

/** Changes everything that is not frozen, down to the last member. */
function spoil(value: unknown): void {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return;
  for (const [name, member] of Object.entries(value)) {
    spoil(member);
    Reflect.set(value, name, 'spoilt');
  }
}

describe('the memory backend', () => {
  it('takes a handle for what an owner appends, uses and waits for', async () => {
    const backend = memory();
    await backend.createExecution(creation());
    const outcome = await backend.claimForWorker({ ...claimOne(), handles: true });
    const handle = outcome.kind === 'claimed' ? (outcome.executions[0].handle ?? '') : '';
    const budgetId = randomUUID();
    await backend.createBudget({ budgetId, scopeType: 's', scopeId: 's', limits: { tokens: { hard: 9 } } });
    const usage = { custom: { tokens: 4 } };
    expect(await backend.appendFrame({ handle, frameType: 't', payload: Buffer.from('x') })).toMatchObject({
      kind: 'appended',
    });
    expect(await backend.reportUsage({ handle, budgetId, usage })).toEqual({ kind: 'ok' });
    expect(await backend.moveToWaitingChildren({ handle })).toMatchObject({ kind: 'not_waiting' });
  });

  it('finds nothing by the key of an execution that is gone: the clock had jumped', async () => {
    const engine = await testEngine({ retentionMs: 60_000 });
    const { backend } = engine;
    const executionId = engine.executionId();
    const find = () => backend.findExecution({ partition: PARTITION, namespace: 'shop', idempotencyKey: 'k' });
    await backend.createExecution({ ...creation(executionId), idempotencyKey: 'k' });
    await backend.cancelExecution({ executionId, reason: 'no', source: 'operator_override' });
    expect(await find()).toBe(executionId);
    const start = engine.now();
    engine.setTime(start + 2 * 86_400_000);
    expect(await backend.applyDue({ partition: PARTITION })).toMatchObject({ purged: 1 });
    engine.setTime(start);
    expect(await find()).toBeUndefined();
  });

  it('carries an execution from creation to its result', async () => {
    const backend = memory();
    const create = creation();
    expect(await backend.createExecution({ ...create, inputPayload: Buffer.from('in') })).toEqual({
      kind: 'created',
      executionId: create.executionId,
      publicState: 'waiting',
      priority: 0,
    });
    const outcome = await backend.claimForWorker(claimOne());
    if (outcome.kind !== 'claimed') throw new Error('Nothing was claimed.');
    const [claimed] = outcome.executions;
    expect(claimed).toMatchObject({
      executionId: create.executionId,
      claimKind: 'fresh',
      attemptType: 'initial',
      leaseEpoch: 1,
      attemptIndex: 0,
    });
    expect(Buffer.from(claimed?.inputPayload ?? []).toString()).toBe('in');
    const fence = { leaseId: claimed?.leaseId, leaseEpoch: claimed?.leaseEpoch, attemptId: claimed?.attemptId };
    const complete = { executionId: create.executionId, fence, resultPayload: Buffer.from('out') };
    expect(await backend.completeExecution(complete)).toEqual({
      kind: 'completed',
      executionId: create.executionId,
      publicState: 'completed',
    });
    expect(Buffer.from((await backend.getExecutionResult({ executionId: create.executionId })) ?? []).toString()).toBe(
      'out',
    );
    expect(await backend.readExecutionState({ executionId: create.executionId })).toBe('completed');
    expect(await backend.claimForWorker(claimOne())).toEqual({ kind: 'no_work', reclaimCapExceeded: [] });
    const { events, next, end, atEnd } = await backend.readLog({ partition: PARTITION });
    expect(events.map(({ sequence, event }) => [sequence, event.type])).toEqual([
      [1, 'execution_created'],
      [2, 'execution_claimed'],
      [3, 'execution_completed'],
    ]);
    expect([next, atEnd]).toEqual([end, true]);
  });

  it('returns objects that callers may change: the next read has the stored values', async () => {
    const backend = memory();
    const [first, second] = [newId(), newId()];
    await backend.createFlow({
      ...{ flowId: newId(), flowKind: 'f', namespace: 'shop', creatorIdentity: 'tests', tags: { 'a.b': 'c' } },
      graph: {
        members: [first, second].map((executionId) => ({
          ...{ executionId, laneId: 'default', executionKind: 'mail', tags: { 'team.name': 'x' } },
          policy: { routingRequirements: { requiredCapabilities: ['gpu'] } },
        })),
        edges: [{ edgeId: randomUUID(), upstreamExecutionId: first, downstreamExecutionId: second }],
      },
    });
    const claims = { ...claimOne(), workerCapabilities: ['gpu'] };
    const claimed = await backend.claimForWorker(claims);
    expect(claimed).toMatchObject({ executions: [{ tags: { 'team.name': 'x' } }] });
    spoil(claimed);
    const reads = {
      log: () => backend.readLog({ partition: PARTITION }),
      execution: () => backend.describeExecution({ executionId: first }),
      tags: () => backend.getExecutionTags({ executionId: first }),
      summaries: () => backend.listExecutionSummaries({ partition: PARTITION }),
      heads: () => backend.listQueueHeads({ partition: PARTITION, laneIds: ['default'] }),
      snapshot: () => backend.readSnapshot({ partition: PARTITION }),
    };
    expect(await reads.tags()).toEqual({ 'team.name': 'x' });
    for (const [name, read] of Object.entries(reads)) {
      const before = structuredClone(await read());
      spoil(await read());
      expect(await read(), name).toEqual(before);
    }
  });

  it('copies the bytes that it is given, of a Buffer too', async () => {
    const backend = memory();
    const create = creation();
    const input = Buffer.from('before');
    await backend.createExecution({ ...create, inputPayload: input });
    input.write('after!');
    const { inputPayload } = await backend.readExecutionContext({ executionId: create.executionId });
    expect(Buffer.from(inputPayload).toString()).toBe('before');
  });

  it('answers a repeated creation with the first execution, by id and by key', async () => {
    let now = 1_700_000_000_000;
    const backend = memory({ now: () => now });
    const first = { ...creation(), idempotencyKey: 'order-1', policy: { dedupWindowMs: 1_000 } };
    await backend.createExecution(first);
    expect(await backend.createExecution(first)).toEqual({ kind: 'duplicate', executionId: first.executionId });
    expect(await backend.createExecution({ ...first, executionId: newId() })).toEqual({
      kind: 'duplicate',
      executionId: first.executionId,
    });
    now += 1_000;
    const second = { ...first, executionId: newId() };
    expect(await backend.createExecution(second)).toMatchObject({ kind: 'created', executionId: second.executionId });
  });

  it('answers a repeated completion like the first, and refuses a stale owner', async () => {
    const backend = memory();
    await backend.createExecution(creation());
    const outcome = await backend.claimForWorker(claimOne());
    const claimed = outcome.kind === 'claimed' ? outcome.executions[0] : undefined;
    if (claimed === undefined) throw new Error('Nothing was claimed.');
    const { executionId, leaseId, leaseEpoch, attemptId } = claimed;
    const stale = await errorOf(
      backend.completeExecution({ executionId, fence: { leaseId: randomUUID(), leaseEpoch, attemptId } }),
    );
    expect(stale.code).toBe('stale_lease');
    const fence = { leaseId, leaseEpoch, attemptId };
    const completed = await backend.completeExecution({ executionId, fence });
    expect(await backend.completeExecution({ executionId, fence })).toEqual(completed);
  });

  it.each([
    ['an id without partition', { executionId: randomUUID() }, 'invalid_input', 'executionId'],
    ['a partition that does not exist', { executionId: `{fp:70000}:${randomUUID()}` }, 'invalid_input', 'executionId'],
    ['a lane with a colon', { laneId: 'a:b' }, 'invalid_input', 'laneId'],
    ['a text for bytes', { inputPayload: 'text' }, 'invalid_input', 'inputPayload'],
    ['a tag key without dot', { tags: { team: 'x' } }, 'invalid_tag_key', 'tags.team'],
    ['an unknown policy member', { policy: { retries: 3 } }, 'invalid_policy_json', 'policy'],
    [
      'a capability with a comma',
      { policy: { routingRequirements: { requiredCapabilities: ['a,b'] } } },
      'invalid_capabilities',
      'policy.routingRequirements.requiredCapabilities.0',
      'required:comma_in_token',
    ],
  ])('refuses %s', async (_, fault, code, field, reason?: string) => {
    const backend = memory();
    // The faults are what the types forbid: they come from callers without types.
    const error = await errorOf(
      backend.createExecution({ ...creation(), ...fault } as unknown as ReturnType<typeof creation>),
    );
    expect(error.code).toBe(code);
    expect(error.detail).toEqual({ field, ...(reason === undefined ? {} : { reason }) });
    expect(error.message).toContain(`createExecution: ${field}: `);
    expect(await backend.listExecutions({ partition: PARTITION })).toEqual({ executions: [], nextCursor: undefined });
  });

  it('refuses an id of a partition that it does not have', async () => {
    const error = await errorOf(memory().createExecution(creation(`{fp:1}:${randomUUID()}`)));
    expect(error.code).toBe('invalid_input');
  });

  it('normalises the arguments that it accepts', async () => {
    const backend = memory();
    const create = {
      ...creation(),
      priority: 20_000,
      tags: { 'b.b': '2', 'a.a': '1' },
      policy: { routingRequirements: { requiredCapabilities: ['z', 'a', 'z'] } },
    };
    expect(await backend.createExecution(create)).toMatchObject({ priority: 9_000 });
    expect(await backend.claimForWorker(claimOne())).toMatchObject({ kind: 'no_work' });
    const outcome = await backend.claimForWorker({ ...claimOne(), workerCapabilities: ['z', 'a'] });
    expect(outcome.kind === 'claimed' && Object.keys(outcome.executions[0]?.tags ?? {})).toEqual(['a.a', 'b.b']);
  });

  it('executes a batch in order, and answers each command', async () => {
    const backend = memory();
    const create = creation();
    const [created, missing, cancelled] = await backend.execute([
      { name: 'createExecution', args: create },
      { name: 'cancelExecution', args: { executionId: newId(), reason: 'r', source: 'operator_override' } },
      { name: 'cancelExecution', args: { executionId: create.executionId, reason: 'r', source: 'operator_override' } },
    ]);
    expect(created).toMatchObject({ ok: true, outcome: { kind: 'created' } });
    expect(missing).toMatchObject({ ok: false, error: { code: 'execution_not_found' } });
    expect(cancelled).toMatchObject({ ok: true, outcome: { kind: 'cancelled' } });
  });

  it('drops the oldest log entries, and tells readers of dropped ones where to continue', async () => {
    const backend = memory({ logMaxEntries: 10 });
    for (let i = 0; i < 25; i++) await backend.createExecution(creation());
    const error = await errorOf(backend.readLog({ partition: PARTITION }));
    expect(error.code).toBe('cursor_too_old');
    const { earliest } = error.detail as { earliest: string };
    const { events, end, atEnd } = await backend.readLog({ partition: PARTITION, after: earliest });
    expect(events.map(({ sequence }) => sequence)).toEqual([16, 17, 18, 19, 20, 21, 22, 23, 24, 25]);
    expect(atEnd).toBe(true);
    const first = await backend.readLog({ partition: PARTITION, after: earliest, limit: 1 });
    expect([first.events.length, first.atEnd]).toEqual([1, false]);
    expect((await backend.readLog({ partition: PARTITION, after: first.next, limit: 1 })).events).toMatchObject([
      { sequence: 17 },
    ]);
    expect((await backend.readLog({ partition: PARTITION, after: end })).events).toEqual([]);
  });

  it('does not share bytes with its callers', async () => {
    let now = 1_700_000_000_000;
    const backend = memory({ now: () => now });
    const input = Uint8Array.of(1, 2, 3);
    await backend.createExecution({ ...creation(), inputPayload: input });
    input[0] = 9;
    const claim = async (): Promise<Uint8Array> => {
      const outcome = await backend.claimForWorker({
        partition: PARTITION,
        laneId: 'default',
        workerId: 'w',
        workerInstanceId: 'w1',
        leaseTtlMs: 1_000,
        claims: [{ leaseId: randomUUID(), attemptId: randomUUID() }],
      });
      if (outcome.kind !== 'claimed') throw new Error(outcome.kind);
      return outcome.executions[0]?.inputPayload as Uint8Array;
    };
    const first = await claim();
    expect([...first]).toEqual([1, 2, 3]);
    first[1] = 9;
    now += 1_000;
    expect(await backend.applyDue({ partition: PARTITION })).toMatchObject({ kind: 'applied', leasesExpired: 1 });
    expect([...(await claim())]).toEqual([1, 2, 3]);
  });

  it('executes a batch at one time', async () => {
    let now = 1_700_000_000_000;
    const backend = memory({ now: () => now++ });
    await backend.execute([creation(), creation()].map((args) => ({ name: 'createExecution' as const, args })));
    const { events } = await backend.readLog({ partition: PARTITION });
    expect(new Set(events.map(({ event }) => event.at)).size).toBe(1);
  });

  it('lists executions page by page, in the order of their ids', async () => {
    const backend = memory();
    const ids = Array.from({ length: 7 }, newId);
    for (const id of ids) await backend.createExecution(creation(id));
    ids.sort();
    const first = await backend.listExecutions({ partition: PARTITION, limit: 4 });
    expect(first).toEqual({ executions: ids.slice(0, 4), nextCursor: ids[3] });
    expect(await backend.listExecutions({ partition: PARTITION, limit: 4, cursor: first.nextCursor })).toEqual({
      executions: ids.slice(4),
      nextCursor: undefined,
    });
  });

  it('applies due work, and is empty after its purges', async () => {
    let now = 1_700_000_000_000;
    const backend = memory({ now: () => now, retentionMs: 60_000 });
    const create = { ...creation(), inputPayload: Buffer.from('x') };
    await backend.createExecution(create);
    await backend.cancelExecution({ executionId: create.executionId, reason: 'r', source: 'operator_override' });
    const early = await backend.applyDue({ partition: PARTITION });
    expect(early).toMatchObject({ kind: 'applied', purged: 0 });
    now = (early.kind === 'applied' ? early.nextDueAt : undefined) ?? 0;
    expect(await backend.applyDue({ partition: PARTITION })).toEqual({
      kind: 'applied',
      promoted: 0,
      leasesExpired: 0,
      grantsLapsed: 0,
      waitpointsExpired: 0,
      purged: 1,
      attemptsTimedOut: [],
      expired: [],
      suspensionsTimedOut: [],
      others: {},
      deliveries: [],
      setAside: [],
      nextDueAt: undefined,
    });
    expect(await backend.describeExecution({ executionId: create.executionId })).toBeUndefined();
    expect(memoryStore(backend, PARTITION)?.view.executions.input(create.executionId)).toBeUndefined();
  });

  it('wakes listeners for work of a lane', async () => {
    const backend = memory();
    const wakes: Wake[] = [];
    const stop = await backend.onWake(['default'], (wake) => wakes.push(wake));
    await backend.createExecution(creation());
    await backend.createExecution({ ...creation(), laneId: 'other' });
    await Promise.resolve();
    expect(wakes).toEqual([
      {
        kind: 'work',
        laneId: 'default',
        partition: PARTITION,
        executionKind: 'mail',
        priority: 0,
        requiredCapabilities: [],
      },
    ]);
    stop();
  });

  it('refuses every call once it is closed', async () => {
    const backend = memory();
    await backend.close();
    for (const call of [
      backend.createExecution(creation()),
      backend.listExecutions({ partition: PARTITION }),
      backend.ping(),
      backend.listLanes(),
    ]) {
      expect((await errorOf(call)).code).toBe('backend_closed');
    }
  });
});

describe('settings', () => {
  it.each([
    ['retentionMs', { retentionMs: -1 }],
    ['logMaxEntries', { logMaxEntries: 0 }],
    ['logMaxEntries', { logMaxEntries: 1.5 }],
    ['partitions.count', { partitions: { count: 0 } }],
    ['now', { now: 5 as never }],
  ])('refuses an invalid %s by name', (field, options) => {
    expect(() => memory(options)).toThrowError(expect.objectContaining({ code: 'invalid_input', detail: { field } }));
  });

  it('treats an empty idempotency key as absent', async () => {
    const backend = memory();
    await backend.createExecution({ ...creation(), idempotencyKey: '' });
    expect((await backend.createExecution({ ...creation(), idempotencyKey: '' })).kind).toBe('created');
  });
});

/** What is set aside is shown, takes its places again once its record is mended, and can be given up whole. */
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FIELDS, RECORDS, SUFFIXES } from '../../lua/layout.js';
import { executionIdIn, memberOf } from '../../model/ids.js';
import { meterSetOf, metersOf } from '../../model/metering/meters.js';
import type { Quarantined } from '../../model/partition/quarantine.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import { shortIdOf } from '../../model/short-id.js';
import {
  claimAll,
  coreOf,
  creation,
  keyOf,
  PARTITION,
  worldOfFile,
  inhabitantOf,
  LANE,
  RETENTION_MS,
  type Inhabitant,
  type Situation,
  type SmallWorld,
} from './small-world.js';

const worldNow = worldOfFile();
let world: SmallWorld;
beforeAll(() => void (world = worldNow()));
beforeEach(() => world.reset());

const of = (situation: Situation): Inhabitant => inhabitantOf(world, situation);
const nameOf = ({ executionId }: Pick<Inhabitant, 'executionId'>): string => `execution:${executionId}`;
const quarantined = async (): Promise<readonly Quarantined[]> =>
  (await world.engine.backend.listQuarantined({ partition: PARTITION })).entries;
const state = () => world.engine.canonicalState(PARTITION);

/** Takes a field away, has it set aside, and gives it back. */
async function setAside(one: Inhabitant, field: string): Promise<() => Promise<unknown>> {
  const { admin, engine } = world;
  const core = coreOf(one);
  const kept = (await admin.hgetBuffer(core, field)) as Buffer;
  await admin.hdel(core, field);
  await engine.backend.claimForWorker(claimAll(engine, 1, [one.situation]));
  await engine.backend.applyDue({ partition: PARTITION, limit: 100 });
  return () => admin.hset(core, field, kept);
}

describe('an execution in quarantine', () => {
  test('has an entry with time and reason; a retry succeeds once the record is readable, and restores everything', async () => {
    const { backend, now } = world.engine;
    const before = await state();
    const one = of('ready');
    const mend = await setAside(one, FIELDS.naming);
    expect(await quarantined()).toEqual([{ name: nameOf(one), at: now(), reason: expect.stringContaining('naming') }]);
    const args = { partition: PARTITION, name: nameOf(one) };
    expect({ ...(await backend.retryQuarantined(args)) }).toEqual({
      kind: 'still_damaged',
      damage: expect.stringContaining('naming'),
    });
    await mend();
    expect({ ...(await backend.retryQuarantined(args)) }).toEqual({ kind: 'retried', publicState: 'waiting' });
    expect(await quarantined()).toEqual([]);
    expect(await state()).toEqual(before);
    expect({ ...(await backend.retryQuarantined(args)) }).toEqual({
      kind: 'already_satisfied',
      reason: 'not_quarantined',
    });
  });

  test('can be found by its key until it is dropped', async () => {
    const { backend, executionId: newId } = world.engine;
    const [one, idempotencyKey] = [{ executionId: newId() }, 'key'];
    const find = () => backend.findExecution({ partition: PARTITION, namespace: 'n', idempotencyKey });
    await backend.createExecution(creation(world.engine, { ...one, executionKind: 'named', idempotencyKey }));
    await world.admin.hdel(coreOf(one), FIELDS.naming);
    await backend.claimForWorker(claimAll(world.engine, 1, ['named']));
    expect(await find()).toBe(one.executionId);
    const dropped = await backend.dropQuarantined({ partition: PARTITION, name: nameOf(one) });
    expect({ ...dropped }).toEqual({ kind: 'dropped' });
    expect(await find()).toBeUndefined();
  });

  test('can be dropped with a lost record; the log names the operator and the reason', async () => {
    const { backend, now } = world.engine;
    const one = of('ready');
    await world.admin.del(coreOf(one));
    await backend.claimForWorker(claimAll(world.engine, 1, ['ready']));
    const args = { partition: PARTITION, name: nameOf(one) };
    expect({ ...(await backend.retryQuarantined(args)) }).toMatchObject({ kind: 'still_damaged' });
    const dropped = await backend.dropQuarantined({ ...args, reason: 'lost for good', requestedBy: 'ann' });
    expect({ ...dropped }).toEqual({ kind: 'dropped' });
    expect(await quarantined()).toEqual([]);
    const after = await state();
    expect([after.strays, after.ids.includes(one.executionId)]).toEqual([[], false]);
    const { events } = await backend.readLog({ partition: PARTITION, limit: 1_000 });
    expect(events.at(-1)?.event).toMatchObject({
      type: 'execution_dropped',
      executionId: one.executionId,
      at: now(),
      requestedBy: 'ann',
      dropReason: 'lost for good',
    });
  });
});

test.each(['naming', 'given'] as const)(
  'metered work without its %s returns its slot when it is dropped',
  async (lost) => {
    const { admin, engine } = world;
    const { backend } = engine;
    const policy = { quotaPolicyIds: [engine.uuid()] };
    const executionId = engine.executionId();
    await backend.createExecution({
      ...{ executionId, namespace: 'n', laneId: LANE, executionKind: 'metered', creatorIdentity: 'test', policy },
    });
    const meters = meterSetOf(metersOf(policy));
    const outcome = await backend.claimForWorker({ ...claimAll(engine, 1, ['metered']), meters });
    const { leaseId } = (outcome as Extract<typeof outcome, { kind: 'claimed' }>).executions[0] as ClaimedExecution;
    await admin.hdel(coreOf({ executionId }), FIELDS[lost]);
    // Its lease lapses: it cannot be read, and is set aside.
    await engine.advance(60_000);
    const args = { partition: PARTITION, name: nameOf({ executionId }), reason: 'r', requestedBy: 'ann' };
    expect({ ...(await backend.dropQuarantined(args)) }).toEqual({ kind: 'dropped' });
    const due = await backend.applyDue({ partition: PARTITION, limit: 100 });
    const owed = { kind: 'admission', id: shortIdOf(leaseId), text: meters };
    expect((due as Extract<typeof due, { kind: 'applied' }>).deliveries).toEqual([owed]);
    expect({ ...(await backend.voidAdmission({ partition: PARTITION, admissionId: leaseId })) }).toEqual({
      kind: 'returned',
    });
  },
);

describe('a member of a flow in quarantine', () => {
  /** Two of a flow, the second behind the first, which ends while the second cannot be read. */
  async function missed(how: 'completeExecution' | 'cancelExecution'): Promise<unknown> {
    const { admin, engine } = world;
    const { backend } = engine;
    const member = (executionKind: string) => ({ executionId: engine.executionId(), laneId: LANE, executionKind });
    const [first, second] = [member('first'), member('second')] as const;
    const edge = { upstreamExecutionId: first.executionId, downstreamExecutionId: second.executionId };
    await backend.createFlow({
      ...{ flowId: engine.executionId(), flowKind: 'f', namespace: 'n' },
      graph: { members: [first, second], edges: [{ edgeId: engine.uuid(), ...edge }] },
    });
    await backend.claimForWorker(claimAll(engine, 1, ['first']));
    const core = coreOf(second);
    const kept = (await admin.hgetBuffer(core, FIELDS.naming)) as Buffer;
    await admin.hdel(core, FIELDS.naming);
    const byOperator = { executionId: first.executionId, source: 'operator_override' } as const;
    if (how === 'completeExecution') await backend.completeExecution(byOperator);
    else await backend.cancelExecution({ ...byOperator, reason: 'r' });
    await admin.hset(core, FIELDS.naming, kept);
    expect((await quarantined()).map(({ name }) => name)).toEqual([nameOf(second)]);
    return backend.retryQuarantined({ partition: PARTITION, name: nameOf(second) });
  }

  test('is told by a retry of the ends that it missed', async () => {
    expect(await missed('completeExecution')).toEqual({ kind: 'retried', publicState: 'waiting' });
    await world.reset();
    expect(await missed('cancelExecution')).toEqual({ kind: 'retried', publicState: 'skipped' });
  });
});

/** A flow whose members are named by letters; edges lead from the first to each further letter of a row. */
async function flowOf(members: string, ...rows: readonly string[]) {
  const { engine } = world;
  const ids = new Map([...members].map((letter) => [letter, engine.executionId()]));
  const idOf = (letter: string): string => ids.get(letter) as string;
  const flowId = engine.executionId();
  await engine.backend.createFlow({
    ...{ flowId, flowKind: 'f', namespace: 'n' },
    graph: {
      members: [...ids].map(([executionKind, executionId]) => ({ executionId, laneId: LANE, executionKind })),
      edges: rows.flatMap(([from, ...to]) =>
        to.map((letter) => ({
          ...{ edgeId: engine.uuid(), upstreamExecutionId: idOf(from as string) },
          downstreamExecutionId: idOf(letter),
        })),
      ),
    },
  });
  return { flowId, idOf, core: (letter: string) => coreOf({ executionId: idOf(letter) }) };
}

describe('a dropped member', () => {
  const drop = (executionId: string) =>
    world.engine.backend.dropQuarantined({ partition: PARTITION, name: nameOf({ executionId }) });
  const stateOf = async (executionId: string) =>
    (await world.engine.backend.readExecutionInfo({ executionId }))?.publicState;
  const meet = (kind: string) => world.engine.backend.claimForWorker(claimAll(world.engine, 1, [kind]));

  for (const damage of ['a field of its record', 'its record'] as const) {
    test(`with ${damage} lost has its dependents skipped, and its flow ends`, async () => {
      const { backend } = world.engine;
      const flow = await flowOf('abc', 'ab', 'bc');
      if (damage === 'its record') await world.admin.del(flow.core('a'));
      else await world.admin.hdel(flow.core('a'), FIELDS.naming);
      await meet('a');
      expect({ ...(await drop(flow.idOf('a'))) }).toEqual({ kind: 'dropped' });
      expect(await Promise.all([...'abc'].map((letter) => stateOf(flow.idOf(letter))))).toEqual([
        undefined,
        'skipped',
        'skipped',
      ]);
      // Of a record that is gone nobody knows what it counted for.
      if (damage === 'its record') await backend.verifyPartition({ partition: PARTITION });
      expect((await state()).strays).toEqual([]);
      const { events } = await backend.readLog({ partition: PARTITION, limit: 1_000 });
      const told = events.filter(({ event }) => event.type === 'dependency_resolved');
      expect(told[0]?.event).toMatchObject({
        executionId: flow.idOf('b'),
        edgeOutcome: 'impossible',
        bucket: 'failed',
      });
      expect(events.at(-1)?.event.type).toBe('flow_finished');
      await world.engine.advance(2 * RETENTION_MS);
      for (let pass = 0; pass < 3; pass++) await backend.applyDue({ partition: PARTITION, limit: 100 });
      expect(await backend.describeFlow({ flowId: flow.flowId })).toBeUndefined();
    });
  }

  test('with more dependents than one call resolves stays until all are resolved', async () => {
    const many = Array.from({ length: 70 }, (_, i) => String.fromCodePoint(0x4e00 + i)).join('');
    const flow = await flowOf(`a${many}`, `a${many}`);
    await world.admin.hdel(flow.core('a'), FIELDS.naming);
    await meet('a');
    expect({ ...(await drop(flow.idOf('a'))) }).toEqual({ kind: 'dropped_in_part', left: 6 });
    expect((await quarantined()).map(({ name }) => name)).toEqual([nameOf({ executionId: flow.idOf('a') })]);
    expect({ ...(await drop(flow.idOf('a'))) }).toEqual({ kind: 'dropped' });
    const states = await Promise.all([...many].map((letter) => stateOf(flow.idOf(letter))));
    expect(new Set(states)).toEqual(new Set(['skipped']));
  });

  test.each([
    ['the first of those that wait for it does not', 1],
    ['none of the first that wait for it does', 64],
  ])('with its record lost ends although %s name the flow', async (_, nameless) => {
    const { admin } = world;
    const many = Array.from({ length: 70 }, (__, i) => String.fromCodePoint(0x4e00 + i)).join('');
    const flow = await flowOf(`a${many}`, `a${many}`);
    await admin.del(flow.core('a'));
    await meet('a');
    const entries = await admin.zrange(flow.core('a') + SUFFIXES.leading, 0, -1);
    const waiting = entries.map((entry) => entry.slice(-22));
    for (const id of waiting.slice(0, nameless)) await admin.hdel(keyOf(id), FIELDS.membership);
    expect({ ...(await drop(flow.idOf('a'))) }).toEqual({ kind: 'dropped_in_part', left: 6 });
    expect({ ...(await drop(flow.idOf('a'))) }).toEqual({ kind: 'dropped' });
    const told = waiting.slice(nameless).map((id) => stateOf(executionIdIn(PARTITION, id)));
    expect(new Set(await Promise.all(told))).toEqual(new Set(['skipped']));
  });

  test('has an edge without a downstream: the edge is skipped', async () => {
    const flow = await flowOf('ab', 'ab');
    await world.admin.del(flow.core('a'));
    await meet('a');
    await world.admin.zadd(flow.core('a') + SUFFIXES.leading, 0, '!');
    expect({ ...(await drop(flow.idOf('a'))) }).toEqual({ kind: 'dropped' });
    expect(await stateOf(flow.idOf('b'))).toBe('skipped');
  });

  test('is not dropped while its flow is unreadable, because its dependents would never be resolved', async () => {
    const { admin } = world;
    const flow = await flowOf('ab', 'ab');
    await admin.hdel(flow.core('a'), FIELDS.naming);
    await meet('a');
    const lifeField = RECORDS.flow?.fields?.['life'] ?? '';
    const record = keyOf((RECORDS.flow?.key ?? '') + memberOf(flow.flowId));
    const life = (await admin.hgetBuffer(record, lifeField)) as Buffer;
    await admin.hset(record, lifeField, 'rubbish');
    const before = await world.dump();
    await expect(drop(flow.idOf('a'))).rejects.toMatchObject({ code: 'corruption' });
    expect(await world.dump()).toEqual(before);
    await admin.hset(record, lifeField, life);
    expect({ ...(await drop(flow.idOf('a'))) }).toEqual({ kind: 'dropped' });
    expect(await stateOf(flow.idOf('b'))).toBe('skipped');
  });

  test('has a dependent in quarantine: the dependent is told when it is retried', async () => {
    const { admin, engine } = world;
    const flow = await flowOf('ab', 'ab');
    const kept = (await admin.hgetBuffer(flow.core('b'), FIELDS.naming)) as Buffer;
    for (const letter of ['a', 'b']) await admin.hdel(flow.core(letter), FIELDS.naming);
    await meet('a');
    await drop(flow.idOf('a'));
    await admin.hset(flow.core('b'), FIELDS.naming, kept);
    const name = nameOf({ executionId: flow.idOf('b') });
    expect({ ...(await engine.backend.retryQuarantined({ partition: PARTITION, name })) }).toEqual({
      kind: 'retried',
      publicState: 'skipped',
    });
  });
});

test('a readable execution that is dropped is removed with everything that belongs to it', async () => {
  for (const situation of ['running', 'delayed', 'failed', 'lease_expired'] as const) {
    await world.reset();
    const one = of(situation);
    const { backend, canonicalState } = world.engine;
    await world.admin.hset(
      `${coreOf(one).slice(0, -22)}quarantine`,
      nameOf(one).replace(/\{.*/, '') + coreOf(one).slice(-22),
      '1\tby hand',
    );
    expect({ ...(await backend.dropQuarantined({ partition: PARTITION, name: nameOf(one) })) }).toEqual({
      kind: 'dropped',
    });
    const after = await canonicalState.call(world.engine, PARTITION);
    expect(after.strays, situation).toEqual([]);
    expect(JSON.stringify([after.tables, after.queues, after.timers, after.shelves, after.slots])).not.toContain(
      one.executionId,
    );
    const counted = Object.values(after.counts['lane'] ?? {}).reduce((sum, number) => sum + number, 0);
    expect(counted).toBe(after.tables.execution.length);
  }
});

test('an invalid name is refused', async () => {
  const { backend } = world.engine;
  for (const name of ['execution:x', 'x', '']) {
    await expect(backend.retryQuarantined({ partition: PARTITION, name })).rejects.toMatchObject({
      code: 'invalid_input',
    });
  }
});

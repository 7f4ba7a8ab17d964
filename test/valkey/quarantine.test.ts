/** What is set aside is shown, takes its places again once its record is mended, and can be given up whole. */
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FIELDS } from '../../lua/layout.js';
import type { Quarantined } from '../../model/partition/quarantine.js';
import {
  claimAll,
  coreOf,
  PARTITION,
  worldOfFile,
  inhabitantOf,
  LANE,
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

describe('of an execution that waits', () => {
  test('the entry says since when and why; a retry waits until the record can be read, and then all is as before', async () => {
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

  test('a record that is lost can be given up; the log says by whom and why', async () => {
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

describe('of a member of a flow', () => {
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
    await backend[how]({ executionId: first.executionId, source: 'operator_override', reason: 'r' } as never);
    await admin.hset(core, FIELDS.naming, kept);
    expect((await quarantined()).map(({ name }) => name)).toEqual([nameOf(second)]);
    return backend.retryQuarantined({ partition: PARTITION, name: nameOf(second) });
  }

  test('a retry tells it of what ended meanwhile', async () => {
    expect(await missed('completeExecution')).toEqual({ kind: 'retried', publicState: 'waiting' });
    await world.reset();
    expect(await missed('cancelExecution')).toEqual({ kind: 'retried', publicState: 'skipped' });
  });
});

test('of an execution that can be read again, everything goes when it is given up', async () => {
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

test('what has no such name is refused', async () => {
  const { backend } = world.engine;
  for (const name of ['execution:x', 'x', '']) {
    await expect(backend.retryQuarantined({ partition: PARTITION, name })).rejects.toMatchObject({
      code: 'invalid_input',
    });
  }
});

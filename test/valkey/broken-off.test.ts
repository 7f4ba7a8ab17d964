/**
 * Calls that break off halfway, as when a right is taken from the user at work: the partition goes on, and `verifyPartition`
 * does for members of flows what those calls have left undone.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { EngineError } from '../../model/errors.js';
import type { Backend } from '../../src/backend/backend.js';
import { PartitionMended } from '../../src/backend/mended.js';
import { aclOf, valkey } from '../../src/valkey/index.js';
import { deployment } from '../support/valkey/deployment.js';

const PARTITION = '{fp:0}';
/** Partitions with few records, whose verification is short. */
const [REPAIRED, COUNTED] = ['{fp:1}', '{fp:2}'];
const shared = deployment(3);
const { rules } = aclOf({ user: 'worker' });
let backend: Backend;

const grant = (...more: string[]): Promise<unknown> =>
  shared.admin.call('ACL', 'SETUSER', 'worker', '>secret', ...rules, ...more);

const boot = (): Promise<Backend> => {
  const url = shared.server.url.replace('//', '//worker:secret@');
  return valkey({ url, partitions: { count: 3 }, callTimeoutMs: 2_000 });
};

beforeAll(async () => {
  await grant();
  backend = await boot();
});
afterAll(() => backend.close());

const newId = (partition = PARTITION): string => `${partition}:${randomUUID()}`;
const common = { executionKind: 'k', creatorIdentity: 'c', namespace: 'n' };

/** What a call answers, or the code with which it failed. */
const answerOf = (call: Promise<{ readonly kind: string }>): Promise<string> =>
  call.then(
    ({ kind }) => kind,
    (error: EngineError) => error.code,
  );

/** Two members of a flow that are running, and a third that waits for one of them, or for both. */
async function race(group: 'any_of' | 'all_of', partition = PARTITION) {
  const laneId = randomUUID();
  const [flowId, winner, other, joining] = [1, 2, 3, 4].map(() => newId(partition)) as [string, string, string, string];
  const edgeFrom = (upstreamExecutionId: string) => ({
    edgeId: randomUUID(),
    upstreamExecutionId,
    downstreamExecutionId: joining,
  });
  await backend.createFlow({
    ...{ flowId, flowKind: 'f', namespace: 'n', creatorIdentity: 'c' },
    graph: {
      members: [winner, other, joining].map((executionId) => ({ executionId, laneId, executionKind: 'k' })),
      edges: [edgeFrom(winner), edgeFrom(other)],
      groups:
        group === 'all_of'
          ? []
          : [{ downstreamExecutionId: joining, policy: { kind: group, onSatisfied: 'cancel_remaining' as const } }],
    },
  });
  const claimed = await backend.claimForWorker({
    ...{ partition, laneId, workerId: 'w', workerInstanceId: 'w', leaseTtlMs: 60_000 },
    claims: [1, 2].map(() => ({ leaseId: randomUUID(), attemptId: randomUUID() })),
  });
  const owned = (executionId: string) => {
    const found =
      claimed.kind === 'claimed' ? claimed.executions.find((one) => one.executionId === executionId) : undefined;
    const { leaseId = '', leaseEpoch = 0, attemptId = '' } = found ?? {};
    return { executionId, fence: { leaseId, leaseEpoch, attemptId } };
  };
  return { winner: owned(winner), other: owned(other), joining };
}
type Race = Awaited<ReturnType<typeof race>>;

const ENDINGS = {
  complete: ({ winner }: Race) => backend.completeExecution({ ...winner, resultPayload: Buffer.alloc(300, 1) }),
  fail: ({ winner }: Race) => backend.failExecution({ ...winner, failureReason: 'r', failureClass: 'permanent' }),
  cancel: ({ winner: { executionId } }: Race) =>
    backend.cancelExecution({ executionId, reason: 'r', source: 'operator_override' }),
};

/** What becomes of the member that waits, once the other one has ended too and due work is applied. */
async function outcomeOf({ other, joining }: Race): Promise<string | undefined> {
  await answerOf(backend.completeExecution(other));
  for (let pass = 0; pass < 4; pass++) await backend.applyDue({ partition: PARTITION, limit: 100, owner: 'test' });
  return backend.readExecutionState({ executionId: joining });
}

const WRITES = rules
  .filter((rule) => /^\+(del|h|l|mset|r|s|unlink|x|z|exists)/.test(rule))
  .map((rule) => rule.slice(1));

describe('a right that is taken away for one call', () => {
  test('leaves the partition working, without a gap in its log', async () => {
    for (const right of WRITES) {
      const running = await race('any_of');
      await grant(`-${right}`);
      await answerOf(ENDINGS.complete(running));
      await answerOf(backend.createExecution({ executionId: newId(), laneId: 'lane', ...common }));
      await backend.applyDue({ partition: PARTITION, owner: 'test' }).catch(() => undefined);
      await grant();
      const created = await answerOf(backend.createExecution({ executionId: newId(), laneId: 'lane', ...common }));
      expect([right, created]).toEqual([right, 'created']);
    }
    for (let after: string | undefined, atEnd = false; !atEnd; )
      ({ next: after, atEnd } = await backend.readLog({ partition: PARTITION, after, limit: 1_000 }));
    await backend.verifyPartition({ partition: PARTITION });
    expect((await backend.listQuarantined({ partition: PARTITION })).entries).toEqual([]);
  });

  test.each(
    (['any_of', 'all_of'] as const).flatMap((group) =>
      (Object.keys(ENDINGS) as (keyof typeof ENDINGS)[]).map((ending) => [group, ending] as const),
    ),
  )('strands no member that waits for %s of a flow in a %s: a verification releases it', async (group, ending) => {
    const whole = await race(group);
    await ENDINGS[ending](whole);
    const expected = await outcomeOf(whole);
    const broken: (readonly [right: string, race: Race])[] = [];
    for (const right of WRITES) {
      const one = await race(group);
      await grant(`-${right}`);
      if ((await answerOf(ENDINGS[ending](one))) === 'server_refused') broken.push([right, one]);
      await grant();
      await answerOf(ENDINGS[ending](one));
    }
    expect(broken.length).toBeGreaterThan(3);
    await backend.verifyPartition({ partition: PARTITION });
    for (const [right, one] of broken) expect([right, await outcomeOf(one)]).toEqual([right, expected]);
  });
});

test('a completion whose record cannot be written leaves the lease timer in place', async () => {
  const [executionId, laneId] = [newId(), randomUUID()];
  await backend.createExecution({ executionId, laneId, ...common });
  const claim = () =>
    backend.claimForWorker({
      ...{ partition: PARTITION, laneId, workerId: 'w', workerInstanceId: 'w', leaseTtlMs: 1_000 },
      claims: [{ leaseId: randomUUID(), attemptId: randomUUID() }],
    });
  const claimed = await claim();
  if (claimed.kind !== 'claimed') throw new Error(claimed.kind);
  const [{ leaseId, leaseEpoch, attemptId }] = claimed.executions;
  await grant('-hset');
  const answer = await answerOf(backend.completeExecution({ executionId, fence: { leaseId, leaseEpoch, attemptId } }));
  await grant();
  expect([answer, await backend.readExecutionState({ executionId })]).toEqual(['server_refused', 'active']);
  // The worker dies here. Without its timer, nothing would ever end the lease.
  const reclaim = async (): Promise<string> => {
    await backend.applyDue({ partition: PARTITION, limit: 100, owner: 'test' });
    return (await claim()).kind;
  };
  await expect.poll(reclaim).toBe('claimed');
});

test('a verification finds nothing where no call broke off', async () => {
  for (const group of ['any_of', 'all_of'] as const) {
    const running = await race(group);
    await ENDINGS.complete(running);
    await race(group);
  }
  const { findings } = await backend.verifyPartition({ partition: PARTITION });
  expect(findings.filter(({ index }) => index === 'waiting members')).toEqual([]);
});

describe('a partition in which a call broke off', () => {
  // A process that has verified a partition pauses before it does so again.
  beforeEach(async () => {
    await backend.close();
    backend = await boot();
  });

  const header = `ff:${REPAIRED}:header`;
  const mark = (): Promise<string | null> => shared.admin.hget(header, 'b');
  /** Breaks a completion off behind the record. */
  const breakOff = async (by: Backend, take: (right: string) => Promise<unknown>, ...rights: string[]) => {
    const { winner } = await race('all_of', REPAIRED);
    await take(rights.map((right) => `-${right}`).join(' '));
    const call = by.completeExecution({ ...winner, resultPayload: Buffer.alloc(300, 1) });
    return call.then(
      () => expect.fail('it was accepted'),
      (error: EngineError) => error,
    );
  };
  const pass = (by: Backend): Promise<unknown> =>
    by.applyDue({ partition: REPAIRED, owner: 'test' }).catch(() => undefined);
  const takeFromWorker = (words: string): Promise<unknown> => grant(...words.split(' '));

  test('is reported once, verified by a process that applies due work, and reported as repaired', async () => {
    await backend.verifyPartition({ partition: REPAIRED });
    expect(await mark()).toBeNull();
    await pass(backend);
    const notices: EngineError[] = [];
    const stop = backend.onNotice?.((notice) => notices.push(notice));
    for (let i = 0; i < 2; i++) {
      const error = await breakOff(backend, takeFromWorker, 'ZREM');
      expect(error).toMatchObject({ code: 'server_refused', message: expect.stringMatching(/halfway/) as string });
      await grant();
    }
    expect(Number(await mark())).toBeGreaterThan(1);
    expect(notices).toMatchObject([{ code: 'server_refused', detail: { partition: REPAIRED } }]);
    await expect.poll(() => pass(backend).then(mark), { timeout: 50_000 }).toBeNull();
    await expect.poll(() => notices.length).toBe(2);
    const [, mended] = notices;
    expect(mended).toBeInstanceOf(PartitionMended);
    expect((mended as PartitionMended).findings.map(({ index }) => index)).toContain('waiting members');
    stop?.();
  });

  test('keeps its mark while a verification fails, and while calls break off during one', async () => {
    await breakOff(backend, takeFromWorker, 'ZREM');
    const first = await mark();
    for (let i = 0; i < 5; i++) await pass(backend);
    expect(Number(await mark())).toBeGreaterThanOrEqual(Number(first));
    await grant();
    await expect.poll(() => pass(backend).then(mark), { timeout: 50_000 }).toBeNull();
  });

  test('gets a mark that differs from those of all earlier verifications', async () => {
    const marks: (string | null)[] = [];
    for (let i = 0; i < 3; i++) {
      await breakOff(backend, takeFromWorker, 'ZREM');
      await grant();
      marks.push(await mark());
      await backend.verifyPartition({ partition: REPAIRED });
    }
    expect(new Set(marks).size).toBe(3);
    expect(await mark()).toBeNull();
  });

  test('is marked later if the mark was refused too', async () => {
    await breakOff(backend, takeFromWorker, 'hincrby', 'hset');
    expect(await mark()).toBeNull();
    await grant();
    await expect.poll(mark).not.toBeNull();
    await expect.poll(() => pass(backend).then(mark), { timeout: 50_000 }).toBeNull();
  });

  test('is not verified before a user that may list keys applies due work', async () => {
    const { rules: blind } = aclOf({ user: 'blind', verify: false });
    const grantBlind = (words = ''): Promise<unknown> =>
      shared.admin.call(
        'ACL',
        'SETUSER',
        'blind',
        '>secret',
        ...blind,
        ...words.split(' ').filter((word) => word !== ''),
      );
    await grantBlind();
    const url = shared.server.url.replace('//', '//blind:secret@');
    const other = await valkey({ url, callTimeoutMs: 2_000 });
    const messages: string[] = [];
    other.onNotice?.(({ message }) => messages.push(message));
    await breakOff(other, grantBlind, 'ZREM');
    await grantBlind();
    for (let i = 0; i < 3; i++) await pass(other);
    expect(messages).toHaveLength(2);
    expect(messages[1]).toContain('SCAN');
    expect(await mark()).not.toBeNull();
    await other.close();
    await expect.poll(() => pass(backend).then(mark), { timeout: 50_000 }).toBeNull();
  });

  test('is verified by one process at a time; two verifications do not correct a count twice', async () => {
    const second = await valkey({ url: shared.server.url, callTimeoutMs: 2_000 });
    await backend.createExecution({ executionId: newId(COUNTED), laneId: 'lane', ...common });
    const counts = `ff:${COUNTED}:counts:lane`;
    const before = await shared.admin.hgetall(counts);
    const [situation = ''] = Object.keys(before);
    for (let round = 0; round < 5; round++) {
      await shared.admin.hincrby(counts, situation, -5);
      const each = Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? backend : second));
      await Promise.all(each.map((one) => one.verifyPartition({ partition: COUNTED })));
      expect(await shared.admin.hgetall(counts)).toEqual(before);
    }
    await second.close();
    expect((await backend.listQuarantined({ partition: COUNTED })).entries).toEqual([]);
  });
});

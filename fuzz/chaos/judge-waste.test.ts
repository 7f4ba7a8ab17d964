/** Waste is found where a healthy worker is to blame, and excused where its process, its calls or the server were not well. */
import { beforeEach, describe, expect, it } from 'vitest';
import { isKnown, type LoggedEvent } from '../../model/events.js';
import { executionIdOf, partitionKeyOf } from '../../model/ids.js';
import type { Backend } from '../../src/backend/backend.js';
import { readEvents } from '../../src/engine/log.js';
import { memory } from '../../src/memory/index.js';
import { judgeWaste, PULSE_MS, type WasteOptions } from './judge-waste.js';
import { callsOf, recorded, type Entry } from './recording.js';
import { Timeline } from './timeline.js';

const PARTITION = partitionKeyOf(0);
const LEASE_TTL_MS = 1_000;
const uuid = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const A = executionIdOf(0, uuid(1));

let now: number;
let start: number;
let written: Entry[];
let backend: Backend;

beforeEach(() => {
  now = start = Date.now();
  written = [];
  backend = recorded(memory({ partitions: { count: 1 }, now: () => now }), (entry) =>
    written.push('at' in entry ? { ...entry, at: now } : entry),
  );
});

const create = (executionId: string) =>
  backend.createExecution({
    ...{ executionId, namespace: 'n', laneId: 'lane', executionKind: 'k', creatorIdentity: 'c' },
  });

async function claim(count = 1): Promise<void> {
  await backend.claimForWorker({
    ...{ partition: PARTITION, laneId: 'lane', workerId: 'w', workerInstanceId: 'w-1', leaseTtlMs: LEASE_TTL_MS },
    claims: Array.from({ length: count }, (_, n) => ({ leaseId: uuid(100 + n), attemptId: uuid(200 + n) })),
  });
}

/** What is found, when the process of the worker has these signs of life. */
async function found(change: Partial<WasteOptions> = {}): Promise<string[]> {
  const log: LoggedEvent[] = [];
  for await (const logged of readEvents(backend, { partition: PARTITION })) if (isKnown(logged)) log.push(logged);
  const options = {
    calls: callsOf('worker', written),
    pulses: pulses(),
    outages: [],
    leaseTtlMs: LEASE_TTL_MS,
    slots: 1,
  };
  const findings = judgeWaste([new Timeline(log)], { ...options, ...change });
  return Object.values(findings).flat();
}

/** Pulses of the process from before the start until now, but for a standstill. */
const pulses = (standstill = { from: 0, until: 0 }): { process: string; at: number }[] =>
  Array.from({ length: Math.ceil((now - start) / PULSE_MS) + 10 }, (_, n) => start - 500 + n * PULSE_MS)
    .filter((at) => at <= standstill.from || at >= standstill.until)
    .map((at) => ({ process: 'worker', at }));

describe('a lease that ended', () => {
  beforeEach(async () => {
    await create(A);
    now += 100;
    await claim();
    now += LEASE_TTL_MS + 10;
    await backend.applyDue({ partition: PARTITION });
    now += 500;
  });

  it('is a loss of its worker when that was healthy', async () => {
    expect(await found()).toEqual([`  ${A}: the lease of epoch 1 of worker ended at ${start + 1_100}`]);
  });

  it('is excused by a standstill of the process, or its death', async () => {
    expect(await found({ pulses: pulses({ from: start + 300, until: start + 700 }) })).toEqual([]);
    expect(await found({ pulses: pulses({ from: start + 300, until: Infinity }) })).toEqual([]);
    expect(await found({ pulses: [] })).toEqual([]);
  });

  it('is excused by a slow or failed call, or a disturbed server, at its time only', async () => {
    const call = callsOf('worker', written)[0] as WasteOptions['calls'][number];
    const slow = { ...call, sentAt: start + 500, endedAt: start + 800 };
    const failed = { ...slow, endedAt: start + 510, fault: { code: 'call_timeout', retryable: true } };
    const calls = callsOf('worker', written);
    expect(await found({ calls: [...calls, slow] })).toEqual([]);
    expect(await found({ calls: [...calls, failed] })).toEqual([]);
    expect(await found({ calls: [...calls, { ...slow, sentAt: start + 2_000, endedAt: start + 9_000 }] })).toHaveLength(
      1,
    );
    expect(await found({ outages: [{ from: start + 900, until: start + 950 }] })).toEqual([]);
    expect(await found({ outages: [{ from: start + 3_000, until: start + 3_200 }] })).toHaveLength(1);
  });
});

it('a lease that its owner gives up in time is no loss', async () => {
  await create(A);
  await claim();
  const fence = { leaseId: uuid(100), leaseEpoch: 1, attemptId: uuid(200) };
  now += LEASE_TTL_MS - 1;
  await backend.completeExecution({ executionId: A, fence });
  now += 5_000;
  expect(await found()).toEqual([]);
});

describe('work that waits', () => {
  const later = async (waitedMs: number): Promise<void> => {
    await backend.renewLease({
      ...{ executionId: A, leaseTtlMs: 60_000 },
      fence: { leaseId: uuid(100), leaseEpoch: 1, attemptId: uuid(200) },
    });
    const waiting = executionIdOf(0, uuid(2));
    await create(waiting);
    now += waitedMs;
    await backend.cancelExecution({ executionId: waiting, reason: 'r', source: 'operator_override' });
    now += 100;
  };

  it('for seven seconds beside a healthy worker with a free slot is found', async () => {
    await create(A);
    await claim();
    await later(7_000);
    const waited = `  ${executionIdOf(0, uuid(2))} waited from ${start} to ${start + 7_000}, and worker had room`;
    expect(await found({ slots: 2 })).toEqual([waited]);
  });

  it('is in order beside a worker whose slots are taken, or that is not well, or for less time', async () => {
    await create(A);
    await claim();
    await later(7_000);
    expect(await found()).toEqual([]);
    expect(await found({ slots: 2, pulses: pulses({ from: start + 5_000, until: start + 6_000 }) })).toEqual([]);
  });

  it('for less than that is in order', async () => {
    await create(A);
    await claim();
    await later(6_900);
    expect(await found({ slots: 2 })).toEqual([]);
  });
});

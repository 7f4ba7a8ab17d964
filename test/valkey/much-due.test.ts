/** Very much that is due at one time: many loops get through it beside claims, and no call keeps the server for long. */
import { Valkey } from 'iovalkey';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Command } from '../../model/machine.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { startValkey, type ValkeyServer } from '../support/valkey/index.js';

const PARTITION = '{fp:0}';
const COUNT = 20_000;
const BATCH = 500;
/** A call takes up to 5 ms. Where processes share caches, the same work takes up to half as much processor time more. */
const SLOW_MICROS = 7_500;
const LONGEST_MICROS = 2 * SLOW_MICROS;

let server: ValkeyServer;
let admin: Valkey;
let engine: TestEngine;
beforeAll(async () => {
  server = await startValkey();
  admin = new Valkey(server.url);
  engine = await testEngine({ backend: { url: server.url }, retentionMs: 60_000 });
});
afterAll(async () => {
  admin?.disconnect();
  await engine?.close();
  await server?.stop();
});
beforeEach(() => engine.clear());

async function send(commands: readonly Command[]): Promise<void> {
  for (let i = 0; i < commands.length; i += BATCH) await engine.backend.execute(commands.slice(i, i + BATCH));
}

const creations = (more: object = {}): Extract<Command, { name: 'createExecution' }>[] =>
  Array.from({ length: COUNT }, () => ({
    name: 'createExecution',
    args: {
      executionId: engine.executionId(),
      namespace: 'n',
      laneId: 'l',
      executionKind: 'k',
      creatorIdentity: 'c',
      ...more,
    },
  }));

/** Loops over what is due, at once, as many as a fleet has processes. */
const LOOPS = 32;

/**
 * Processor time of the server in each call that changed something, microseconds: the clock on the wall also counts
 * other processes.
 */
const costs: number[] = [];
let before: Promise<unknown> = Promise.resolve();

/** Makes a call alone, and notes what it cost the server. */
function measured<Answer>(call: () => Promise<Answer>, changes: (answer: Answer) => boolean): Promise<Answer> {
  const result = before.then(async () => {
    const from = await cpuMicros();
    const answer = await call();
    if (changes(answer)) costs.push((await cpuMicros()) - from);
    return answer;
  });
  before = result.catch(() => undefined);
  return result;
}

/** All loops over what is due, and a worker that claims beside them; answers what they did. */
async function applyTogether(): Promise<{ promoted: number; purged: number; claimed: number }> {
  const sum = { promoted: 0, purged: 0, claimed: 0 };
  costs.length = 0;
  let isOver = false;
  const loop = async (owner: string): Promise<void> => {
    for (let idle = 0; idle < 2; ) {
      const due = await measured(
        () => engine.backend.applyDue({ partition: PARTITION, owner }),
        (done) => done.kind === 'applied' && done.promoted + done.purged > 0,
      );
      if (due.kind === 'left_to_other') {
        // The clock stands still: the other loop is done when it says so no more.
        await new Promise((resolve) => setTimeout(resolve, 20));
        continue;
      }
      sum.promoted += due.promoted;
      sum.purged += due.purged;
      expect(due.setAside).toEqual([]);
      idle = due.promoted + due.purged > 0 ? 0 : idle + 1;
    }
  };
  const claimer = async (): Promise<void> => {
    while (!isOver) {
      const outcome = await measured(
        () => engine.backend.claimForWorker(claim()),
        ({ kind }) => kind === 'claimed',
      );
      if (outcome.kind === 'claimed') sum.claimed += outcome.executions.length;
      else await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const claiming = claimer();
  await Promise.all(Array.from({ length: LOOPS }, (_, index) => loop(`loop-${index}`)));
  isOver = true;
  await claiming;
  const ascending = costs.toSorted((a, b) => a - b);
  expect(ascending[Math.floor(ascending.length * 0.95)], 'of 95 calls in a hundred').toBeLessThan(SLOW_MICROS);
  expect(ascending.at(-1), 'the longest call').toBeLessThan(LONGEST_MICROS);
  return sum;
}

const claim = (): Extract<Command, { name: 'claimForWorker' }>['args'] => ({
  partition: PARTITION,
  laneId: 'l',
  workerId: 'w',
  workerInstanceId: 'w1',
  claims: Array.from({ length: 10 }, () => ({ leaseId: engine.uuid(), attemptId: engine.uuid() })),
});

/** Time of the processor that the server has used, microseconds. */
async function cpuMicros(): Promise<number> {
  const info = await admin.info('cpu');
  const used = ['sys', 'user'].map((kind) => Number(new RegExp(`used_cpu_${kind}:([\\d.]+)`).exec(info)?.[1]));
  return used.reduce((sum, seconds) => sum + seconds * 1e6, 0);
}

it('retention of twenty thousand that ends in one minute', async () => {
  const all = creations();
  await send(all);
  await send(
    all.map(({ args: { executionId } }) => ({
      name: 'cancelExecution',
      args: { executionId, reason: 'r', source: 'operator_override' },
    })),
  );
  engine.setTime(engine.now() + 180_000);
  const { purged, promoted, claimed } = await applyTogether();
  expect([purged, promoted, claimed]).toEqual([COUNT, 0, 0]);
  expect((await engine.backend.listExecutions({ partition: PARTITION })).executions).toEqual([]);
  expect(await engine.backend.applyDue({ partition: PARTITION })).toMatchObject({ nextDueAt: undefined });
});

it('twenty thousand delays that end in one millisecond', async () => {
  const at = engine.now() + 5_000;
  await send(creations({ delayUntil: at }));
  engine.setTime(at);
  const { purged, promoted, claimed } = await applyTogether();
  expect([purged, promoted]).toEqual([0, COUNT]);
  expect(claimed).toBeGreaterThan(0);
  expect(await engine.backend.applyDue({ partition: PARTITION })).toMatchObject({ promoted: 0 });
});

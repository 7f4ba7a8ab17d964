/** Very much that is due at one time: loops get through it together, and no call keeps the server for long. */
import { Valkey } from 'iovalkey';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Command } from '../../model/machine.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { startValkey, type ValkeyServer } from '../support/valkey/index.js';

const PARTITION = '{fp:0}';
const COUNT = 20_000;
const BATCH = 500;
const SLOW_MICROS = 5_000;
/** What the slow log measures is the clock on the wall: a busy machine interrupts the server in the middle of a call. */
const INTERRUPTED_MICROS = 100_000;

let server: ValkeyServer;
let admin: Valkey;
let engine: TestEngine;
beforeAll(async () => {
  server = await startValkey({
    args: ['--slowlog-log-slower-than', String(SLOW_MICROS), '--slowlog-max-len', '10000'],
  });
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

/** Two loops over what is due, at once; answers what both did, and in how many calls. */
async function applyTogether(): Promise<{ promoted: number; purged: number }> {
  const sum = { promoted: 0, purged: 0, calls: 0 };
  const before = await cpuMicros();
  await admin.call('SLOWLOG', 'RESET');
  const loop = async (owner: string): Promise<void> => {
    for (let idle = 0; idle < 2; ) {
      const due = await engine.backend.applyDue({ partition: PARTITION, owner });
      sum.calls++;
      if (due.kind === 'left_to_other') {
        // The clock stands still: the other loop is done when it says so no more.
        await new Promise((resolve) => setTimeout(resolve, 5));
        continue;
      }
      sum.promoted += due.promoted;
      sum.purged += due.purged;
      expect(due.setAside).toEqual([]);
      idle = due.promoted + due.purged > 0 ? 0 : idle + 1;
    }
  };
  await Promise.all([loop('one'), loop('two')]);
  expect(((await cpuMicros()) - before) / sum.calls, 'of a call on average').toBeLessThan(SLOW_MICROS);
  expect(await longestCall(), 'the longest call').toBeLessThan(INTERRUPTED_MICROS);
  return sum;
}

/** Time of the processor that the server has used, microseconds. */
async function cpuMicros(): Promise<number> {
  const info = await admin.info('cpu');
  const used = ['sys', 'user'].map((kind) => Number(new RegExp(`used_cpu_${kind}:([\\d.]+)`).exec(info)?.[1]));
  return used.reduce((sum, seconds) => sum + seconds * 1e6, 0);
}

/** The longest call, microseconds; 0 when none was slow. */
async function longestCall(): Promise<number> {
  const log = (await admin.call('SLOWLOG', 'GET', '-1')) as [number, number, number, string[]][];
  const calls = log.filter(([, , , [command]]) => command?.toUpperCase() === 'FCALL');
  return Math.max(0, ...calls.map(([, , micros]) => micros));
}

it('retention of twenty thousand that ends in one minute', { timeout: 120_000 }, async () => {
  const all = creations();
  await send(all);
  await send(
    all.map(({ args: { executionId } }) => ({
      name: 'cancelExecution',
      args: { executionId, reason: 'r', source: 'operator_override' },
    })),
  );
  engine.setTime(engine.now() + 180_000);
  const { purged, promoted } = await applyTogether();
  expect([purged, promoted]).toEqual([COUNT, 0]);
  expect((await engine.backend.listExecutions({ partition: PARTITION })).executions).toEqual([]);
  expect(await engine.backend.applyDue({ partition: PARTITION })).toMatchObject({ nextDueAt: undefined });
});

it('twenty thousand delays that end in one millisecond', { timeout: 120_000 }, async () => {
  const at = engine.now() + 5_000;
  await send(creations({ delayUntil: at }));
  engine.setTime(at);
  const { purged, promoted } = await applyTogether();
  expect([purged, promoted]).toEqual([0, COUNT]);
  expect(await engine.backend.applyDue({ partition: PARTITION })).toMatchObject({ promoted: 0, nextDueAt: undefined });
});

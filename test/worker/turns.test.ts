/** A backlog of handlers that do no I/O leaves timers and sockets of the process their turns. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { app, embedded, memory, valkey, type App, type AppOptions } from '../../src/index.js';
import { block, until } from '../app/support.js';
import { sharedValkey } from '../support/valkey/index.js';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function embeddedInFolder(): Promise<AppOptions['backend']> {
  const path = await mkdtemp(join(tmpdir(), 'flowfabric-turns-'));
  closing.push(() => rm(path, { recursive: true }));
  return embedded({ path });
}

const onServer = async (): Promise<AppOptions['backend']> =>
  valkey({ url: (await sharedValkey()).url, prefix: `t${randomUUID().slice(0, 8)}:`, partitions: { count: 1 } });

/** The most calls between two turns of a timer: a count, because a busy machine makes any time long. */
function mostBetweenTurns(calls: () => number): () => number {
  let last = calls();
  let most = 0;
  const look = (): void => {
    most = Math.max(most, calls() - last);
    last = calls();
  };
  const timer = setInterval(look, 5);
  return () => {
    clearInterval(timer);
    look();
    return most;
  };
}

it.each([
  ['memory', memory, { runs: 20_000, slots: 16, claimAhead: 0, computeMs: 0 }],
  ['memory', memory, { runs: 1_000, slots: 1, claimAhead: 0, computeMs: 1 }],
  ['memory', memory, { runs: 1_000, slots: 16, claimAhead: 500, computeMs: 1 }],
  ['embedded', embeddedInFolder, { runs: 1_000, slots: 16, claimAhead: 100, computeMs: 1 }],
  ['valkey', onServer, { runs: 1_000, slots: 4, claimAhead: 500, computeMs: 2 }],
] as const)('on %s', async (_, backend, { runs, slots, claimAhead, computeMs }) => {
  const a: App = app({ backend: await backend() });
  closing.push(() => a.close());
  let calls = 0;
  const task = a.task('t', () => {
    calls++;
    block(computeMs);
  });
  for (let from = 0; from < runs; from += 1_000) await task.runMany(Array.from({ length: 1_000 }, () => undefined));
  const most = mostBetweenTurns(() => calls);
  const worker = await a.worker({ slots, claimAhead });
  await until(() => worker.stats().completed === runs, 60_000);
  expect(calls).toBe(runs);
  // Without turns, it is the whole backlog.
  expect(most()).toBeLessThan(runs / 4);
});

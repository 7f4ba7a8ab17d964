/** Promises of the README that no other test holds: numbers, defaults, what a namespace is. test/pages runs its programs. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { LIMITS, MAX_CALL_UNITS } from '../../model/limits.js';
import { app, embedded, memory, valkey, type TaskContext } from '../../src/index.js';
import { resolveSettings } from '../../src/worker/options.js';
import { testApp } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';
import { rejectionOf } from './support.js';

const [README = '', PARTITIONS = ''] = ['README.md', 'docs/partitions.md'].map((page) =>
  readFileSync(new URL(`../../${page}`, import.meta.url), 'utf8'),
);

test('its numbers match the code', () => {
  const { leaseTtlMs, drainTimeoutMs, slots } = resolveSettings({});
  // Not `toContain`, which prints the whole page.
  for (const promise of [
    `payloads of up to ${LIMITS.maxPayloadBytes / 1024 / 1024} MiB`,
    `${LIMITS.maxClaimCount} executions per claim`,
    `${LIMITS.maxBatchCommands / 1_000} 000 commands per batch`,
    `up to ${MAX_CALL_UNITS} units of work`,
    `until they expire: ${leaseTtlMs / 1_000} s by default`,
    `handlers get ${drainTimeoutMs / 1_000} s`,
    `a worker has ${slots === 1 ? 'one slot' : slots} unless you say otherwise`,
  ])
    expect(README.includes(promise), promise).toBe(true);
  expect(PARTITIONS).toContain(`in atomic steps of up to ${MAX_CALL_UNITS}`);
});

test('without `retry` the first failure is final; `retry: {}` makes three more attempts, after 1, 2 and 4 s at most', async () => {
  await using t = testApp();
  const times: Record<string, number[]> = { once: [], again: [] };
  const failing = (name: string) => () => {
    times[name]?.push(t.now());
    throw new Error('no');
  };
  const once = t.app.task('once', failing('once'));
  const again = t.app.task('again', { retry: {} }, failing('again'));
  await t.app.worker();
  const runs = [once.run(), again.run()];
  await t.advance('1h');
  for (const run of runs) expect(await rejectionOf(run.result())).toMatchObject({ code: 'run_failed' });
  const { once: [, ...more] = [], again: [first = 0, ...retries] = [] } = times;
  expect([more.length, retries.length]).toEqual([0, 3]);
  let last = first;
  for (const [index, time] of retries.entries()) {
    // Half of the wait is random, and a virtual clock is exact to some ms.
    expect(time - last).toBeGreaterThanOrEqual(500 * 2 ** index);
    expect(time - last).toBeLessThanOrEqual(1_000 * 2 ** index + 50);
    last = time;
  }
});

test('a namespace separates ids but not work; a prefix separates both', async () => {
  const backend = memory();
  const [shop, bank] = ['shop', 'bank'].map((namespace) => app({ backend, namespace, closeBackend: false }));
  const name = ({ input }: TaskContext<string>): string => input;
  const [mine, theirs] = [shop?.task('t', name), bank?.task('t', name)];
  const run = await mine?.run('mine', { id: 'o1' });
  const other = await theirs?.run('theirs', { id: 'o1' });
  expect(other?.deduplicated).toBe(false);
  await bank?.worker();
  expect([await run?.result(), await other?.result()]).toEqual(['mine', 'theirs']);
  await Promise.all([shop?.close(), bank?.close()]);
  await backend.close();
});

test('memory has one partition, a server 16, and both accept another number', async () => {
  const { url } = await sharedValkey();
  const path = mkdtempSync(join(tmpdir(), 'readme-'));
  const open = {
    memory: memory(),
    production: memory({ partitions: { count: 16 } }),
    embedded: await embedded({ path }),
    server: await valkey({ url, prefix: `readme-${process.pid}:` }),
    single: await valkey({ url, prefix: `readme-one-${process.pid}:`, partitions: { count: 1 } }),
  };
  const counts = Object.entries(open).map(([name, { partitions }]) => [name, partitions.count]);
  expect(Object.fromEntries(counts)).toEqual({ memory: 1, production: 16, embedded: 1, server: 16, single: 1 });
  for (const backend of Object.values(open)) await backend.close();
  rmSync(path, { recursive: true });
});

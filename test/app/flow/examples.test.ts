/** The examples of flows, in memory and on a server. */
import { readFile } from 'node:fs/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { nightlyOf } from '../../../examples/nightly.js';
import { wordCountOf } from '../../../examples/word-count.js';
import { raceOf } from '../../../examples/answer-race.js';
import { app, memory, type App } from '../../../src/index.js';
import { valkey } from '../../../src/valkey/index.js';
import { sharedValkey } from '../../support/valkey/index.js';
import { until } from '../support.js';

const BACKENDS = {
  memory: () => memory(),
  valkey: async () => valkey({ url: (await sharedValkey()).url, prefix: `flows-${process.pid}-${Date.now()}:` }),
};

describe.each(Object.entries(BACKENDS))('on %s', (_, backend) => {
  let a: App;
  afterEach(() => a.close());

  test('a race of twenty ends with the third answer', async () => {
    a = app({ backend: await backend() });
    const { race, seen } = raceOf(a);
    await a.worker({ slots: 21 });
    const text = await readFile('LICENSE', 'utf8');
    const run = race.run({ question: 'May I distribute copies of the work in source or object form?', text });
    const answer = await run.result({ timeout: '10s' });
    expect(answer).toMatchObject({ of: 3, models: [0, 1, 2] });
    expect(answer.sentence).toContain('copies of the Work');
    await until(async () => (await run.info()).members['active'] === undefined && seen.stopped === 17);
    expect((await run.info()).members).toEqual({ completed: 4, cancelled: 17 });
    expect(seen).toEqual({ asked: 20, stopped: 17 });
  });

  test('a night with a failing branch has its report', async () => {
    a = app({ backend: await backend() });
    const { nightly, seen } = nightlyOf(a);
    await a.worker();
    const files = ['architecture.md', 'decisions.md', 'lists.md'];
    const run = nightly.run({ folder: 'docs', files }, { id: '2026-11-29' });
    expect(await run.result({ timeout: '10s' })).toMatch(/^3 of \d+ pages, \d+ lines$/);
    expect(seen.tries).toBe(6);
    await until(async () => (await run.state()) === 'failed');
    const states: string[] = [];
    for await (const { task, state } of run.children) states.push(`${task} ${state}`);
    expect(states.slice(-3)).toEqual(['report completed', 'mail failed', 'archive skipped']);
  });

  test('a handler has others count, and holds no slot meanwhile', async () => {
    a = app({ backend: await backend() });
    const countAll = wordCountOf(a);
    const worker = await a.worker({ slots: 1 });
    const run = countAll.run({ folder: 'docs' });
    const { files, words } = await run.result({ timeout: '10s' });
    expect(words).toBeGreaterThan(1_000 * files);
    expect(worker.stats()).toMatchObject({ completed: files + 1, suspended: 1 });
    const other = await countAll.run({ folder: 'docs' });
    await until(async () => (await other.state()) === 'waiting_children');
    await other.cancel();
    const states = new Set<string>();
    for await (const { state } of other.children) states.add(state);
    expect([...states].filter((state) => state !== 'completed' && state !== 'cancelled')).toEqual([]);
  });
});

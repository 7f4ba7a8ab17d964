/** The examples of flows, budgets and quotas, in memory and on a server. */
import { readFile } from 'node:fs/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { nightlyOf } from '../../../examples/nightly.js';
import { mailsOf, sendingOf } from '../../../examples/tenants.js';
import { wordCountOf } from '../../../examples/word-count.js';
import { raceOf } from '../../../examples/answer-race.js';
import { app, memory, type App } from '../../../src/index.js';
import { testApp } from '../../../src/testing/index.js';
import { valkey } from '../../../src/valkey/index.js';
import { sharedValkey } from '../../support/valkey/index.js';
import { deferred, until } from '../support.js';

const BACKENDS = {
  memory: () => memory(),
  valkey: async () => valkey({ url: (await sharedValkey()).url, prefix: `flows-${process.pid}-${Date.now()}:` }),
};

const QUESTION = 'May I distribute copies of the work in source or object form?';

/** The usage of the budget of a race when nothing of it is reserved any more. */
async function spent(tokens: ReturnType<typeof raceOf>['tokens']): Promise<number | undefined> {
  await until(async () => ((await tokens.status()).reserved['tokens'] ?? 0) === 0);
  return (await tokens.status()).usage['tokens'];
}

describe.each(Object.entries(BACKENDS))('on %s', (_, backend) => {
  let a: App;
  afterEach(() => a.close());

  test('a race of twenty models ends with the third answer', async () => {
    a = app({ backend: await backend() });
    const { race, tokens, seen } = raceOf(a);
    await a.worker({ slots: 21 });
    const text = await readFile('LICENSE', 'utf8');
    const run = race.run({ question: QUESTION, text });
    const answer = await run.result({ timeout: '60s' });
    expect(answer.of).toBe(3);
    expect(answer.sentence).toContain('copies of the Work');
    await until(async () => (await run.info()).members['active'] === undefined);
    expect((await run.info()).members).toEqual({ completed: 4, cancelled: 17 });
    const used = await spent(tokens);
    expect(seen.stopped).toBeGreaterThan(0);
    // On a busy machine, some are cancelled before they begin, and another answers while it is told to stop.
    if (seen.asked - seen.stopped === 3) expect(used).toBe(answer.tokens);
    expect(await run.usage()).toMatchObject([{ name: 'tokens', used: { tokens: used } }]);
  });

  test('a race whose budget has room for five models asks only five at a time', async () => {
    a = app({ backend: await backend() });
    const { race, tokens, seen } = raceOf(a);
    await tokens.setLimits({ tokens: { hard: 5 * 200 } });
    await a.worker({ slots: 21 });
    const run = race.run({ question: QUESTION, text: await readFile('LICENSE', 'utf8') });
    const answer = await run.result({ timeout: '60s' });
    expect(answer.of).toBe(3);
    await until(async () => (await run.info()).members['active'] === undefined);
    // Each of the three answers makes room for one more.
    expect(seen.asked).toBeGreaterThanOrEqual(5);
    expect(seen.asked).toBeLessThanOrEqual(8);
    const used = await spent(tokens);
    expect(used).toBeGreaterThanOrEqual(answer.tokens);
    expect(used).toBeLessThanOrEqual(5 * 200);
  });

  test('a tenant with many mails is held to its limits, and does not delay another tenant', async () => {
    a = app({ backend: await backend() });
    const umbrellaIsDone = deferred();
    const [underWay, most, sent] = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()];
    const add = (counts: Map<string, number>, tenant: string, by: number): number => {
      const count = (counts.get(tenant) ?? 0) + by;
      counts.set(tenant, count);
      return count;
    };
    const send = sendingOf(a, async ({ tenant }) => {
      most.set(tenant, Math.max(most.get(tenant) ?? 0, add(underWay, tenant, 1)));
      if (tenant === 'acme') await umbrellaIsDone.promise;
      add(underWay, tenant, -1);
      add(sent, tenant, 1);
    });
    await a.worker({ slots: 20 });
    const many = await send.runMany(mailsOf('acme', 110));
    await until(() => underWay.get('acme') === 5);
    const few = await send.runMany(mailsOf('umbrella', 10));
    await Promise.all(few.map((run) => run.result({ timeout: '60s' })));
    expect(sent.get('acme')).toBeUndefined();
    expect(await a.quotas.of(send, { tenant: 'acme' })).toMatchObject([{ key: 'acme', held: 5, started: 5 }]);
    umbrellaIsDone.resolve();
    await until(() => sent.get('acme') === 100);
    expect(most.get('acme')).toBe(5);
    expect(most.get('umbrella')).toBeLessThanOrEqual(5);
    await until(async () => (await a.quotas.of(send, { tenant: 'acme' }))[0]?.held === 0);
    const [use] = await a.quotas.of(send, { tenant: 'acme' });
    expect(use).toMatchObject({ started: 100, rate: { limit: 100, windowMs: 60_000 } });
    expect(use?.roomAt).toBeGreaterThan(Date.now());
    expect(await a.quotas.of(send, { tenant: 'umbrella' })).toMatchObject([{ started: 10, roomAt: undefined }]);
    const states = await Promise.all(many.map((run) => run.state()));
    expect(states.filter((state) => state === 'waiting')).toHaveLength(10);
    expect(sent.get('acme')).toBe(100);
  });

  test('a nightly flow with a failing branch still produces its report', async () => {
    a = app({ backend: await backend() });
    const { nightly, seen } = nightlyOf(a);
    await a.worker();
    const files = ['architecture.md', 'decisions.md', 'lists.md'];
    const run = nightly.run({ folder: 'docs', files }, { id: '2026-11-29' });
    expect(await run.result({ timeout: '60s' })).toMatch(/^3 of \d+ pages, \d+ lines$/);
    expect(seen.tries).toBe(6);
    await until(async () => (await run.state()) === 'failed');
    const states: string[] = [];
    for await (const { task, state } of run.children) states.push(`${task} ${state}`);
    expect(states.slice(-3)).toEqual(['report completed', 'mail failed', 'archive skipped']);
  });

  test('a handler delegates the counting to children, and holds no slot while they run', async () => {
    a = app({ backend: await backend() });
    const countAll = wordCountOf(a);
    const worker = await a.worker({ slots: 1 });
    const run = countAll.run({ folder: 'docs' });
    const { files, words } = await run.result({ timeout: '60s' });
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

test('the 101st mail of a tenant starts a minute after the first', async () => {
  await using t = testApp();
  const starts: number[] = [];
  const send = sendingOf(t.app, () => starts.push(t.now()));
  await t.app.worker({ slots: 20 });
  const startedAt = t.now();
  const many = await send.runMany(mailsOf('acme', 110));
  await t.advance('59s');
  expect(starts).toHaveLength(100);
  expect(await send.run({ tenant: 'umbrella', to: 'reader-1' }).result()).toBe('reader-1 has mail from umbrella');
  await t.advance('2s');
  expect(starts).toHaveLength(111);
  expect(starts.filter((at) => at >= startedAt + 60_000)).toHaveLength(10);
  expect(await Promise.all(many.map((run) => run.state()))).toEqual(many.map(() => 'completed'));
});

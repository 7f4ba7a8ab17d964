/**
 * Under load each write right is taken from the user for a moment, one after another, so calls break off halfway. No
 * caller verifies a partition. In the end every run has its expected result.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { app, type App, type Run, type TaskContext } from '../../src/index.js';
import { PartitionMended } from '../../src/backend/mended.js';
import type { EngineError } from '../../model/errors.js';
import { aclOf, valkey } from '../../src/valkey/index.js';
import { deployment } from '../support/valkey/deployment.js';

const shared = deployment(2);
const { rules } = aclOf({ user: 'worker' });
const WRITES = rules
  .filter((rule) => /^\+(del|h|incr|l|mset|p?expire|r|s|unlink|x|z|exists)/.test(rule))
  .map((rule) => rule.slice(1))
  .filter((right) => right !== 'scan');

const notices: EngineError[] = [];
const grant = (...more: string[]): Promise<unknown> =>
  shared.admin.call('ACL', 'SETUSER', 'worker', '>secret', ...rules, ...more);
let it: App | undefined;
afterAll(() => it?.close({ timeout: '5s' }));

function tasksOf(client: App) {
  const plain = client.task('plain', ({ input }: TaskContext<number>) => input);
  const flaky = client.task('again', { retry: { failures: 3, backoff: { type: 'fixed', delayMs: 20 } } }, (context) => {
    if (context.attempt === 1) throw new Error('the first attempt fails');
    return 'again';
  });
  const waiting = client.task('waiting', async ({ waitFor, step }: TaskContext<number>) => {
    await step('first', () => 'x'.repeat(100));
    return waitFor('go');
  });
  const limited = client.task('limited', { quota: { concurrency: 3 } }, ({ input }: TaskContext<number>) => input);
  const delayed = client.task('delayed', async ({ input, sleep: pause }: TaskContext<number>) => {
    await pause('30ms');
    return input;
  });
  const add = client.task('add', ({ input }: TaskContext<{ parts: number[] }>) =>
    input.parts.reduce((all, part) => all + part, 0),
  );
  const sum = client.flow('sum', (f, input: { parts: number[] }) =>
    f.run(add, { parts: input.parts.map((part) => f.run(plain, part)) }),
  );
  return { plain, flaky, waiting, limited, delayed, sum };
}

/** A start that is repeated until it is accepted: counts can be wrong until the partition is repaired. */
async function again(start: () => Run<unknown>): Promise<Run<unknown>> {
  for (let tries = 1; ; tries++) {
    try {
      return await start();
    } catch (error) {
      if (tries === 100) throw error;
      await sleep(200);
    }
  }
}

async function endOf(id: string, expected: unknown, start: () => Run<unknown>): Promise<unknown> {
  try {
    const run = await again(start);
    if (id.startsWith('waiting')) await run.signal('go', expected, { idempotencyKey: 'go' }).catch(() => undefined);
    return await run.result({ timeout: '60s' });
  } catch (error) {
    return String(error);
  }
}

test('a load under which every write right is lost for a moment leaves every run with its end, and no caller has to verify', async () => {
  await grant();
  const url = shared.server.url.replace('//', '//worker:secret@');
  const backend = valkey({ url, callTimeoutMs: 2_000, onNotice: (notice) => notices.push(notice) });
  const client = app({ backend, log: { debug() {}, info() {}, warn() {}, error() {} } });
  it = client;
  const { plain, flaky, waiting, limited, delayed, sum } = tasksOf(client);
  await client.worker({ slots: 20, leaseTtl: '2s' });
  const made = new Map<string, { expected: unknown; start: () => Run<unknown> }>();
  /** Starts a run under an id of its own, so that a refused start can be repeated. */
  const begin = (id: string, expected: unknown, start: () => unknown): void => {
    made.set(id, { expected, start: start as () => Run<unknown> });
    Promise.resolve(start()).catch(() => undefined);
  };
  let count = 0;
  const load = async (): Promise<void> => {
    const n = count++;
    begin(`plain-${n}`, n, () => plain.run(n, { id: `plain-${n}` }));
    begin(`again-${n}`, 'again', () => flaky.run(undefined, { id: `again-${n}` }));
    begin(`limited-${n}`, n, () => limited.run(n, { id: `limited-${n}` }));
    begin(`delayed-${n}`, n, () => delayed.run(n, { id: `delayed-${n}` }));
    begin(`waiting-${n}`, n, () => waiting.run(n, { id: `waiting-${n}` }));
    await sleep(20);
    void Promise.resolve(waiting.get({ id: `waiting-${n}` }))
      .then((run) => run.signal('go', n, { idempotencyKey: 'go' }))
      .catch(() => undefined);
  };
  for (const right of WRITES) {
    for (let i = 0; i < 2; i++) {
      const n = count;
      begin(`sum-${n}`, 3 * n, () => sum.run({ parts: [n, 2 * n] }, { id: `sum-${n}` }));
      await load();
    }
    await grant(`-${right}`);
    for (let i = 0; i < 2; i++) await load();
    await grant();
  }
  const broke = notices.filter(({ code }) => code === 'server_refused');
  expect(broke.length).toBeGreaterThan(0);
  const broken = (): Promise<unknown[]> =>
    Promise.all(['fp:0', 'fp:1', 'q:0'].map((name) => shared.admin.hget(`ff:{${name}}:header`, 'b')));
  await expect.poll(broken, { timeout: 60_000, interval: 200 }).toEqual([null, null, null]);
  const wrong: unknown[] = [];
  await Promise.all(
    [...made].map(async ([id, { expected, start }]) => {
      const got = await endOf(id, expected, start);
      if (JSON.stringify(got) !== JSON.stringify(expected)) wrong.push([id, got]);
    }),
  );
  expect(wrong).toEqual([]);
  expect(notices.some((notice) => notice instanceof PartitionMended && notice.findings.length > 0)).toBe(true);
});

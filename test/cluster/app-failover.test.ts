/**
 * A primary of a cluster dies under a running app: every run that was stored ends once, with its own result, and what waits
 * goes on: results, signals, sleeps, steps, children, streams, quotas, events.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { app, child, type PendingRun, type Run, type TaskContext } from '../../src/index.js';
import { RunNotFoundError } from '../../src/shared/errors.js';
import { valkey } from '../../src/valkey/index.js';
import { startCluster, type ValkeyCluster } from '../support/valkey/index.js';
import { pause, until } from './support.js';

/** What is stored so long before the primary dies has reached its replica. */
const REPLICATED_MS = 1_000;
/** A successor is elected after the node timeout; leases lapse, and what was in hand is taken over. */
const BOUND_MS = 60_000;
const PARTITIONS = 12;

let cluster: ValkeyCluster;
beforeAll(async () => {
  cluster = await startCluster({ nodes: 3, replicas: 1 });
});
afterAll(() => cluster?.stop());

interface Started {
  readonly id: string;
  readonly atMs: number;
  readonly expected: unknown;
  /** How its `result()` settled. */
  settled?: { readonly value: unknown } | { readonly error: unknown };
}

it('a failover loses no run that the replica had and ends none twice, and the app continues by itself', async () => {
  const { url } = cluster.nodes[1] as { url: string };
  await using a = app({ backend: valkey({ url, prefix: 'app:', partitions: { count: PARTITIONS } }) });
  const completions = new Map<string, number>();
  const add = a.task('add', ({ input }: TaskContext<number>) => input + 1);
  const tasks = {
    plain: add,
    stepped: a.task('stepped', async ({ input, step, sleep, stream }: TaskContext<number>) => {
      const one = await step('one', () => input + 1);
      await stream.text(`${one}`);
      await sleep('300ms');
      return step('two', () => one);
    }),
    asking: a.task('asking', async ({ waitFor }: TaskContext<number>) => waitFor<number>('go')),
    parent: a.task('parent', async ({ input, children }: TaskContext<number>) => {
      const [sum] = await children.all([child(add, input)]);
      return sum;
    }),
    limited: a.task('limited', { quota: { concurrency: 3 } }, ({ input }: TaskContext<number>) => input + 1),
  };
  for (let worker = 0; worker < 2; worker++) await a.worker({ slots: 8, leaseTtl: '3s' });
  await a.on('completed', ({ id }) => void completions.set(id, (completions.get(id) ?? 0) + 1));

  const started: Started[] = [];
  const refused: unknown[] = [];
  let stopping = false;
  const create = async (name: keyof typeof tasks, n: number): Promise<void> => {
    const run: PendingRun<unknown> = tasks[name].run(n, { id: `${name} ${n}` });
    let stored: Run<unknown>;
    try {
      stored = await run;
    } catch (error) {
      refused.push(error);
      return;
    }
    const one: Started = { id: stored.id, atMs: performance.now(), expected: n + 1 };
    started.push(one);
    if (name === 'asking')
      void stored.signal('go', n + 1, { idempotencyKey: 'once' }).catch((error) => refused.push(error));
    void stored.result({ timeout: BOUND_MS }).then(
      (value) => void (one.settled = { value }),
      (error: unknown) => void (one.settled = { error }),
    );
  };
  const names = Object.keys(tasks) as (keyof typeof tasks)[];
  const creating = (async () => {
    const pending: Promise<void>[] = [];
    for (let n = 0; !stopping; n++) {
      pending.push(...names.map((name) => create(name, n)));
      await pause(60);
    }
    await Promise.all(pending);
  })();

  await pause(2_500);
  const killedAtMs = performance.now();
  await cluster.nodes[0]?.kill('SIGKILL');
  await pause(8_000);
  stopping = true;
  await creating;
  const late = started.filter(({ atMs }) => atMs > killedAtMs);
  await until(() => started.every(({ settled }) => settled !== undefined), BOUND_MS);

  const atRisk = ({ atMs }: Started): boolean => atMs > killedAtMs - REPLICATED_MS && atMs < killedAtMs + 100;
  const wrong = started.filter((one) => {
    const settled = one.settled as NonNullable<Started['settled']>;
    if ('value' in settled) return settled.value !== one.expected;
    return !(atRisk(one) && settled.error instanceof RunNotFoundError);
  });
  console.log(
    `app on a cluster: ${started.length} runs, ${late.length} of them after the death, ${refused.length} refused, ` +
      `${started.filter(({ settled }) => settled !== undefined && 'error' in settled).length} lost`,
  );
  expect(wrong.map(({ id, settled }) => [id, settled])).toEqual([]);
  expect(late.length).toBeGreaterThan(10);
  // Told once of each, unless the last of it was lost with the primary and done again.
  await until(() => started.every((one) => atRisk(one) || completions.has(one.id)));
  const twice = started.filter(
    (one) => (completions.get(one.id) ?? 0) > 1 && one.atMs < killedAtMs - 2 * REPLICATED_MS,
  );
  expect(twice).toEqual([]);
});

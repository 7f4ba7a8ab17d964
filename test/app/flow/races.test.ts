/** The state of a flow in which members lost a race: the order of their ends does not decide it. */
import { afterEach, describe, expect, test } from 'vitest';
import { app, child, memory, NonRetryableError, type App, type TaskContext } from '../../../src/index.js';
import type { FlowFailedError } from '../../../src/shared/errors.js';
import { valkey } from '../../../src/valkey/index.js';
import { sharedValkey } from '../../support/valkey/index.js';
import { deferred, rejectionOf, until } from '../support.js';

const opened: App[] = [];
let prefixes = 0;

const BACKENDS = {
  memory: () => memory(),
  valkey: async () => valkey({ url: (await sharedValkey()).url, prefix: `races-${process.pid}-${prefixes++}:` }),
} as const;

afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each.close()));
});

describe.each(Object.keys(BACKENDS) as (keyof typeof BACKENDS)[])('a race in a flow on %s', (name) => {
  async function setUp() {
    const a = app({ backend: await BACKENDS[name]() });
    opened.push(a);
    const gate = deferred();
    const ends: string[] = [];
    await a.on('flowCompleted', ({ flow }) => void ends.push(`${flow} completed`));
    await a.on(
      'flowFailed',
      ({ flow, members }) => void ends.push(`${flow} failed: ${members.map(({ task }) => task)}`),
    );
    const good = a.task('good', async ({ input }: TaskContext<unknown>) => {
      await gate.promise;
      return input;
    });
    const bad = a.task('bad', ({ input }: TaskContext<unknown>) => {
      throw new NonRetryableError(`no ${String(input)}`);
    });
    const join = a.task('join', ({ input }: TaskContext<unknown>) => input);
    await a.worker({ slots: 10 });
    return { a, gate, ends, good, bad, join };
  }

  test('is decided by the winner, although a loser failed before it', async () => {
    const { a, gate, ends, good, bad, join } = await setUp();
    const race = a.flow('race', (f) => {
      const last = f.run(join, f.run(bad, 'first'));
      return f.run(join, f.any([f.run(good, 1), f.run(bad, 2), last]));
    });
    const run = await race.run();
    await until(async () => (await run.info()).members.failed === 2);
    gate.resolve();
    expect(await run.result()).toBe(1);
    expect(await run.info()).toMatchObject({ state: 'completed', members: { completed: 2, failed: 2, skipped: 1 } });
    expect(await run.explain()).toMatchObject({ state: 'completed', failed: [], sentence: 'It ended completed.' });
    await until(() => ends.length > 0);
    expect(ends).toEqual(['race completed']);
  });

  test('leaves the flow failed if another member needed the loser', async () => {
    const { a, gate, ends, good, bad, join } = await setUp();
    const race = a.flow('needed', (f) => {
      const loser = f.run(bad, 'both');
      f.run(join, { of: loser });
      f.run(join, f.any([f.run(good, 1), loser]));
    });
    const run = await race.run();
    gate.resolve();
    await expect(run.result()).rejects.toMatchObject({ members: [{ task: 'bad', message: 'no both' }] });
    expect(await run.state()).toBe('failed');
    expect((await run.explain()).failed).toMatchObject([{ task: 'bad' }]);
    await until(() => ends.length > 0);
    expect(ends).toEqual(['needed failed: bad']);
  });

  test('leaves the flow failed if no racer won', async () => {
    const { a, gate, good, bad, join } = await setUp();
    gate.resolve();
    const race = a.flow('lost', (f) => void f.run(join, f.quorum(2, [f.run(good, 1), f.run(bad, 2)])));
    const run = await race.run();
    const error = await rejectionOf(run.result());
    expect((error as FlowFailedError).members.map(({ task }) => task)).toContain('bad');
    expect(await run.state()).toBe('failed');
  });

  test('among children does not affect the flow: the handler decides', async () => {
    const { a, gate, good, bad } = await setUp();
    const parent = a.task('parent', async ({ children }: TaskContext<unknown>) =>
      children.any([child(bad, 1), child(good, 2)]),
    );
    const flow = a.flow('children', (f) => void f.run(parent, null));
    const run = await flow.run();
    await until(async () => (await run.info()).members.failed === 1);
    gate.resolve();
    await run.result();
    expect(await run.info()).toMatchObject({ state: 'completed', members: { completed: 2, failed: 1 } });
  });

  test('stays decided when the replay of its winner fails', async () => {
    const { a, gate, join } = await setUp();
    gate.resolve();
    let runs = 0;
    const once = a.task('once', () => {
      if (++runs > 1) throw new NonRetryableError('only once');
      return 1;
    });
    const race = a.flow('replayed', (f) => void f.run(join, f.any([f.run(once, null)])));
    const run = await race.run();
    await run.result();
    for await (const { id, task } of run.children) if (task === 'once') await a.get(id).replay();
    await until(async () => (await run.info()).members.failed === 1);
    expect(await run.state()).toBe('failed');
  });
});

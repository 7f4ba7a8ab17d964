/** A replay of a failed member brings back what was skipped because of it. */
import { afterEach, describe, expect, test } from 'vitest';
import { app, memory, NonRetryableError, valkey, type App, type TaskContext } from '../../../src/index.js';
import { sharedValkey } from '../../support/valkey/index.js';
import { until } from '../support.js';

let a: App;
afterEach(() => a?.close());

describe.each(['memory', 'valkey'] as const)('on %s', (name) => {
  /** A flow in which two nodes fail, and a chain of nodes depends on both. */
  async function setUp() {
    a = app({
      backend:
        name === 'memory' ? memory() : valkey({ url: (await sharedValkey()).url, prefix: `replays-${Math.random()}` }),
    });
    const broken = new Set(['left', 'right']);
    const source = a.task('source', ({ input }: TaskContext<string>) => {
      if (broken.has(input)) throw new NonRetryableError(`${input} is broken`, { category: 'broken' });
      return input;
    });
    const join = a.task('join', ({ input }: TaskContext<readonly string[]>) => input.join(' and '));
    const shout = a.task('shout', ({ input }: TaskContext<string>) => `${input}!`);
    const flow = a.flow('chain', (f) =>
      f.run(shout, f.run(shout, f.run(join, [f.run(source, 'left'), f.run(source, 'right')]))),
    );
    await a.worker();
    const run = await flow.run();
    await run.result().catch(() => undefined);
    await until(async () => (await run.state()) === 'failed');
    expect((await run.info()).members).toMatchObject({ failed: 2, skipped: 3 });
    const failed: string[] = [];
    for await (const { id, state } of run.children) if (state === 'failed') failed.push(id);
    return { run, broken, failed: failed as [string, string] };
  }

  test('once no other failure stands in the way', async () => {
    const { run, broken, failed } = await setUp();
    broken.clear();
    await a.get(failed[0]).replay();
    await until(async () => (await run.info()).members.completed === 1);
    expect((await run.info()).members).toMatchObject({ failed: 1, skipped: 3 });
    await a.get(failed[1]).replay({ reason: 'mended' });
    await until(async () => (await run.state()) === 'completed');
    expect((await run.info()).members).toEqual({ completed: 5 });
    expect(await run.result()).toBe('left and right!!');
  });

  test('also when dead letters are replayed together', async () => {
    const { run, broken } = await setUp();
    broken.clear();
    expect(await a.deadLetters.replay({ failure: 'broken' })).toMatchObject({ matched: 2, replayed: 2, failed: 0 });
    await until(async () => (await run.state()) === 'completed');
    expect(await run.result()).toBe('left and right!!');
  });

  test('and they are skipped again when it fails again', async () => {
    const { run, broken, failed } = await setUp();
    broken.delete('right');
    for (const id of failed) await a.get(id).replay();
    await until(async () => (await run.state()) === 'failed');
    expect((await run.info()).members).toEqual({ completed: 1, failed: 1, skipped: 3 });
  });
});

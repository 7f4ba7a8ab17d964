/** What users are told of runs: `app.on` and `run.events()`. */
import { afterEach, describe, expect, it } from 'vitest';
import { app, memory, NonRetryableError, RunNotFoundError, type App, type Backend } from '../../src/index.js';
import { sharedValkey } from '../support/valkey/index.js';
import { valkey } from '../../src/valkey/index.js';
import { collectingLog, rejectionOf } from './support.js';

const apps: App[] = [];
afterEach(async () => {
  for (const a of apps.splice(0)) await a.close();
});
function opened(options: Parameters<typeof app>[0]): App {
  const a = app(options);
  apps.push(a);
  return a;
}

const backendOf = async (label: string): Promise<Backend> =>
  label === 'memory'
    ? memory()
    : valkey({ url: (await sharedValkey()).url, prefix: `events-${Math.random()}:`, partitions: { count: 2 } });

async function collected(events: AsyncIterable<{ type: string }>): Promise<string[]> {
  const types: string[] = [];
  for await (const { type } of events) types.push(type);
  return types;
}

describe.each(['memory', 'valkey'])('on %s', (label) => {
  it('ends of runs of the namespace are told to all listeners, with what they need', async () => {
    const backend = await backendOf(label);
    const a = opened({ backend });
    const other = opened({ backend, namespace: 'other', closeBackend: false });
    const task = a.task('t', ({ input }: { input: string }) => {
      if (input === 'bad') throw new NonRetryableError('no such order');
      return input;
    });
    const told: unknown[] = [];
    const offs = [
      await a.on('completed', ({ id, task: name }) => told.push(['completed', name, id])),
      await a.on('failed', ({ id, failure }) => told.push(['failed', failure.message, failure.category, id])),
      await a.on('cancelled', ({ id, reason }) => told.push(['cancelled', reason, id])),
      await other.on('completed', () => told.push('not mine')),
    ];
    const late = await task.run('late', { delay: '1h' });
    await late.cancel('changed my mind');
    await a.worker();
    const good = await task.run('good');
    const bad = await task.run('bad');
    await good.result();
    await bad.result().catch(() => undefined);
    await expect.poll(() => told.length).toBe(3);
    expect(told).toEqual(
      expect.arrayContaining([
        ['cancelled', 'changed my mind', late.id],
        ['completed', 't', good.id],
        ['failed', 'no such order', 'handler_error', bad.id],
      ]),
    );
    for (const off of offs) off();
    await (await task.run('good')).result();
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(told).toHaveLength(3);
  });

  it('a run tells its whole life, while it lives and after it', async () => {
    const a = opened({ backend: await backendOf(label) });
    let finish = (): void => undefined;
    const task = a.task('t', () => new Promise<void>((resolve) => (finish = resolve)));
    const run = await task.run();
    await task.run(undefined, { delay: '1h' });
    const live = run.events();
    expect((await live.next()).value).toMatchObject({ type: 'execution_created', executionId: run.id });
    await a.worker();
    expect((await live.next()).value).toMatchObject({ type: 'execution_claimed' });
    finish();
    const expected = ['execution_created', 'execution_claimed', 'execution_completed'];
    expect(await collected(live)).toEqual(expected.slice(2));
    expect(await collected(run.events())).toEqual(expected);
    expect(await collected(task.get(run.id).events())).toEqual(expected);
  });

  it('a wait for events ends with its signal, and a run that is not there has none', async () => {
    const a = opened({ backend: await backendOf(label) });
    const task = a.task('t', () => undefined);
    const run = await task.run();
    const controller = new AbortController();
    const events = run.events({ signal: controller.signal });
    await events.next();
    const waiting = events.next();
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await expect(run.events({ signal: controller.signal }).next()).rejects.toThrow('enough');
    const nobody = '{fp:0}:00000000-0000-4000-8000-000000000001';
    expect(await rejectionOf(a.get(nobody).events().next())).toBeInstanceOf(RunNotFoundError);
  });
});

describe('listeners', () => {
  it('that throw are told of in the log, and others hear all the same', async () => {
    const { log, lines } = collectingLog();
    const a = opened({ backend: memory(), log });
    const task = a.task('t', () => 1);
    let heard = 0;
    await a.on('completed', () => {
      throw new Error('hunter2');
    });
    await a.on('completed', () => (heard += 1));
    await a.worker();
    await task.run().result();
    await expect.poll(() => heard).toBe(1);
    expect(lines.some((line) => line.includes('A listener of "completed" failed.'))).toBe(true);
  });

  it('are refused when they are none', async () => {
    const a = opened({ backend: memory() });
    await expect(a.on('exploded' as never, () => undefined)).rejects.toThrow('one of completed, failed');
    await expect(a.on('failed', 7 as never)).rejects.toThrow('must be a function');
    await a.close();
    await expect(a.on('failed', () => undefined)).rejects.toMatchObject({ code: 'app_closed' });
  });
});

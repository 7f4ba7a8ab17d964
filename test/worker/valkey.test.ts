/** The same app and worker on a server: switching the backend is one argument. */
import { randomUUID } from 'node:crypto';
import { Valkey } from 'iovalkey';
import { afterEach, describe, expect, it } from 'vitest';
import { CHANNELS } from '../../lua/layout.js';
import { app, backoff, type App, type AppOptions, type TaskContext } from '../../src/index.js';
import { valkey } from '../../src/valkey/index.js';
import { coreKey } from '../../src/valkey/keys.js';
import { block, deferred, pause, rejectionOf, until } from '../app/support.js';
import { watchLateness } from '../support/lateness.js';
import { sharedValkey, startValkey, type ValkeyServer } from '../support/valkey/index.js';

/** Workers look again by themselves only long after a test, however long a busy machine makes it. */
const RARELY = '10m';

const apps: App[] = [];
let own: ValkeyServer | undefined;
afterEach(async () => {
  for (const a of apps.splice(0)) await a.close();
  await own?.stop();
  own = undefined;
});

/** Apps with connections of their own on one deployment: what different processes are to each other. */
async function deployment(url?: string): Promise<(options?: Partial<AppOptions>) => App> {
  const prefix = `t${randomUUID().slice(0, 8)}:`;
  const server = url ?? (await sharedValkey()).url;
  return (options = {}) => {
    const a = app({ backend: valkey({ url: server, prefix, partitions: { count: 4 } }), ...options });
    apps.push(a);
    return a;
  };
}

describe('on a server', () => {
  it.each([1, 10])(
    'with %i slots, work behind damaged records does not wait for the sweep, and each record is reported once',
    async (slots) => {
      const { url } = await sharedValkey();
      const prefix = `t${randomUUID().slice(0, 8)}:`;
      const a = app({ backend: valkey({ url, prefix, partitions: { count: 1 } }) });
      apps.push(a);
      const starts: number[] = [];
      const task = a.task('t', () => void starts.push(performance.now()));
      const runs = await task.runMany(Array.from({ length: 20 }, (_, index) => index));
      const damaged = [2, 3, 9].map((index) => runs[index]?.id as string);
      const admin = new Valkey(url);
      await admin.del(...damaged.map((id) => coreKey(prefix, id)));
      admin.disconnect();
      const told: string[] = [];
      starts.push(performance.now());
      const worker = await a.worker({ slots, sweepInterval: '1m' });
      worker.on('error', ({ error }) => told.push(String(error)));
      await until(() => starts.length === 18);
      const gaps = starts.slice(1).map((at, index) => at - (starts[index] as number));
      // The sweep would find it after a minute.
      expect(Math.max(...gaps)).toBeLessThan(20_000);
      expect(damaged.map((id) => told.filter((error) => error.includes(id)).length)).toEqual([1, 1, 1]);
    },
  );

  it('other processes do the work of one process, each execution once, and their results return', async () => {
    const open = await deployment();
    const seen: string[] = [];
    const define = (a: App) =>
      a.task(
        'square',
        { retry: { failures: 2, backoff: backoff.fixed(1) } },
        ({ input, executionId, attempt }: TaskContext<number>) => {
          if (input % 50 === 0 && attempt === 1) throw new Error('once');
          seen.push(executionId);
          return input * input;
        },
      );
    const producer = define(open());
    const workers = [open(), open()];
    workers.map(define);
    await workers[0]?.worker({ slots: 3 });
    await workers[1]?.worker({ slots: 2, claimAhead: 20 });
    const runs = await producer.runMany(Array.from({ length: 400 }, (_, i) => i));
    expect(await Promise.all(runs.map((run) => run.result({ timeout: '20s' })))).toEqual(
      Array.from({ length: 400 }, (_, i) => i * i),
    );
    expect(new Set(seen).size).toBe(seen.length);
  });

  it('handlers that hold the event loop for less than two thirds of a lease, with one turn in between, lose nothing', async () => {
    const open = await deployment();
    const a = open();
    let calls = 0;
    const heavy = a.task('heavy', async ({ signal, progress, input }: TaskContext<number>) => {
      calls++;
      for (let stretch = 0; stretch < 5; stretch++) {
        block(800);
        if (stretch === input) await progress(stretch);
        else await new Promise((resolve) => setImmediate(resolve));
      }
      return signal.aborted;
    });
    const worker = await a.worker({ slots: 2, leaseTtl: 6_000 });
    const lost: unknown[] = [];
    worker.on('leaseLost', (event) => lost.push(event));
    const runs = await heavy.runMany([1, 2]);
    expect(await Promise.all(runs.map((run) => run.result({ timeout: '60s' })))).toEqual([false, false]);
    expect([calls, lost]).toEqual([2, []]);
  });

  it('a handler that holds it for longer is named', async () => {
    const open = await deployment();
    const a = open();
    const task = a.task('endless', () => block(1_500));
    const worker = await a.worker({ leaseTtl: 1_000 });
    const blocked: { forMs: number; tasks: readonly string[] }[] = [];
    worker.on('loopBlocked', (event) => blocked.push(event));
    await task.run();
    await until(() => blocked.length > 0);
    expect(blocked[0]?.tasks).toEqual(['endless']);
    expect(blocked[0]?.forMs).toBeGreaterThanOrEqual(1_400);
  });

  it('a result and a cancellation reach another process soon', async () => {
    const open = await deployment();
    const heard = deferred<unknown>();
    const started = deferred();
    const define = (a: App) => ({
      echo: a.task('echo', ({ input }: TaskContext<string>) => input),
      hang: a.task('hang', async ({ signal }) => {
        started.resolve();
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        heard.resolve(signal.reason);
      }),
    });
    const producer = define(open());
    const worker = open();
    define(worker);
    // The next renewal would tell it after ten seconds.
    await worker.worker({ slots: 2, leaseTtl: 30_000 });
    expect(await producer.echo.run('warm').result({ timeout: '10s' })).toBe('warm');
    const lateMs = watchLateness();
    const startedAt = performance.now();
    expect(await producer.echo.run('soon').result({ timeout: '10s' })).toBe('soon');
    expect(performance.now() - startedAt).toBeLessThan(1_500 + lateMs());
    const run = producer.hang.run();
    await started.promise;
    await pause(1_000);
    const cancelledAt = performance.now();
    expect(await run.cancel('enough')).toBe(true);
    expect(await heard.promise).toMatchObject({ code: 'cancelled' });
    expect(performance.now() - cancelledAt).toBeLessThan(2_000 + lateMs());
    expect(await rejectionOf(run.result())).toMatchObject({ code: 'run_cancelled', reason: 'enough' });
  });

  it('endings and the next claims are one call, for all slots that work in a partition', async () => {
    own = await startValkey();
    const admin = new Valkey(own.port, own.host);
    const open = await deployment(own.url);
    const a = open();
    const task = a.task('t', ({ input }: TaskContext<number>) => input);
    const calls = async (): Promise<number> =>
      Number(/cmdstat_fcall:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1] ?? 0);
    const costOf = async (count: number, slots: number): Promise<number> => {
      await task.runMany(Array.from({ length: count }, (_, i) => i));
      const before = await calls();
      const worker = await a.worker({ slots, engine: false, liveness: false, sweepInterval: RARELY });
      await until(() => worker.stats().completed === count);
      await worker.close();
      return (await calls()) - before;
    };
    // One per execution, and one per partition to see first where there is work, and of what priority.
    expect(await costOf(100, 1)).toBeLessThanOrEqual(116);
    expect(await costOf(400, 16)).toBeLessThanOrEqual(75);
    admin.disconnect();
  });

  it('an execution whose worker waits in the same process costs two calls', async () => {
    own = await startValkey();
    const admin = new Valkey(own.port, own.host);
    const open = await deployment(own.url);
    const a = open();
    const task = a.task('t', ({ input }: TaskContext<number>) => input);
    const worker = await a.worker({ slots: 4, engine: false, liveness: false, sweepInterval: RARELY });
    const count = async (command: string): Promise<number> =>
      Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await admin.info('commandstats'))?.[1] ?? 0);
    await until(() => worker.stats().claiming === 'idle');
    const listener = new Valkey(own.port, own.host);
    const heard: string[] = [];
    listener.on('pmessage', (_pattern, channel: string) => heard.push(channel));
    await listener.psubscribe('*');
    const before = await count('fcall');
    for (let i = 0; i < 20; i++) {
      await task.run(i);
      await until(() => worker.stats().completed === i + 1);
    }
    // Three calls each come to 60. A busy machine adds renewals of the leases that it holds up.
    expect((await count('fcall')) - before).toBeLessThan(50);
    // Ends of leases that come to be the first timers are told. Work is not: whoever could hear of it has it.
    expect(heard.filter((channel) => !channel.endsWith(CHANNELS.timers))).toEqual([]);
    expect(heard.length).toBeGreaterThan(0);
    listener.disconnect();
    admin.disconnect();
  });

  it('work continues after the server was away', async () => {
    own = await startValkey({ appendonly: true });
    const open = await deployment(own.url);
    const a = open();
    const done: number[] = [];
    const task = a.task('t', async ({ input }: TaskContext<number>) => {
      await pause(5);
      done.push(input);
    });
    const runs = await task.runMany(Array.from({ length: 120 }, (_, i) => i));
    await a.worker({ slots: 2, leaseTtl: 2_000 });
    await until(() => done.length > 20);
    await own.restart();
    await Promise.all(runs.map((run) => run.result({ timeout: '25s' })));
    expect(new Set(done).size).toBe(120);
  });
});

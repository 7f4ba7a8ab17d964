/** What users hand to an app at its other boundaries than a handler: it is refused in words, or taken as it was when it was given. */
import { afterEach, describe, expect, it } from 'vitest';
import {
  app,
  child,
  count,
  InvalidDefinitionError,
  type App,
  type RunQuery,
  type TaskContext,
} from '../../src/index.js';
import type { AnySchema } from '../../src/shared/schema.js';
import { memoryApp, rejectionOf } from './support.js';

const apps: App[] = [];
const opened = (): App => {
  const a = memoryApp();
  apps.push(a);
  return a;
};
afterEach(async () => {
  for (const a of apps.splice(0)) await a.close();
});

const revoked = (target: object = {}): object => {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
};

describe('values from callers', () => {
  it('are refused at once if they are lists of items that they do not hold', async () => {
    const a = opened();
    const endless = new Array(2 ** 32 - 1) as never;
    const task = a.task('t', () => 1);
    expect(await rejectionOf(a.worker({ capabilities: endless }))).toMatchObject({ code: 'invalid_definition' });
    expect(await rejectionOf(a.worker({ lanes: endless }))).toMatchObject({ code: 'invalid_definition' });
    expect(await rejectionOf(a.worker({ tasks: endless }))).toMatchObject({ code: 'invalid_definition' });
    expect(await rejectionOf(task.runMany(endless))).toMatchObject({ code: 'invalid_definition' });
    expect(() => a.task('u', { needs: endless }, () => 1)).toThrow('1000000 items, not');
  });

  it('are taken at the time of the call, whatever happens to the object later', async () => {
    const a = opened();
    const echo = a.task('echo', ({ input }: TaskContext<{ n: number }>) => input.n);
    const bytes = a.task('bytes', ({ input }: TaskContext<Uint8Array>) => [...input]);
    const asks = a.task('asks', ({ waitFor }) => waitFor<{ n: number }>('go'));
    const checked = a.task(
      'checked',
      {
        input: {
          '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: value as { n: number } }) },
        } satisfies AnySchema,
      },
      ({ input }: { input: unknown }) => input,
    );
    await a.worker({ slots: 10 });
    const reused = { n: 0 };
    const runs = [1, 2, 3].map((n) => {
      reused.n = n;
      return [echo.run(reused), checked.run(reused)] as const;
    });
    const many = echo.runMany([reused]);
    const waits = await asks.run(undefined);
    const sent = waits.signal('go', reused);
    const pooled = new Uint8Array([1, 2]);
    const ofBytes = bytes.run(pooled);
    reused.n = 9;
    pooled.fill(9);
    expect(await Promise.all(runs.map(([run]) => run.result()))).toEqual([1, 2, 3]);
    expect(await Promise.all(runs.map(([, run]) => run.result()))).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
    expect(await (await many)[0]?.result()).toBe(3);
    await sent;
    expect(await waits.result()).toEqual({ n: 3 });
    expect(await ofBytes.result()).toEqual([1, 2]);
  });

  it('decide about quotas as they were then, also if the schema takes its time', async () => {
    const a = opened();
    const keys: string[] = [];
    const per = ({ tenant }: { tenant: string }): string => {
      keys.push(tenant);
      return tenant;
    };
    const validate = async (value: unknown) =>
      (value as { tenant: string }).tenant === '' ? { issues: [{ message: 'no tenant' }] } : { value };
    const input = { '~standard': { version: 1, vendor: 'test', validate } } as unknown as AnySchema;
    const task = a.task('t', { input, quota: { concurrency: 1, per: per as never } }, () => 1);
    const reused = { tenant: 'first' };
    const run = task.run(reused);
    reused.tenant = 'second';
    await run;
    expect(keys).toEqual(['first']);
    expect(await rejectionOf(task.run({ tenant: '' }))).toMatchObject({ message: 'Input of task "t": no tenant' });
  });

  it('and bytes from handlers are copied, so a handler may reuse them', async () => {
    const a = opened();
    const pooled = new Uint8Array([1, 2]);
    const task = a.task('t', async ({ step }) => {
      const stored = await step('s', () => pooled);
      pooled.fill(7);
      expect([...stored]).toEqual([1, 2]);
      // As a pool does that hands the buffer to the next handler: the result is still on its way.
      setImmediate(() => pooled.fill(9));
      return pooled;
    });
    const slow = (await a.backend()) as { execute: (...args: never[]) => unknown };
    const execute = slow.execute.bind(slow);
    slow.execute = async (...args) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return execute(...args);
    };
    await a.worker();
    expect([...(await task.run().result())]).toEqual([7, 7]);
  });
});

describe('refused with a clear message:', () => {
  it('a value that is not a backend, where it is passed and where it is created', async () => {
    for (const wrong of [{}, [], new Map(), { execute: 1 }])
      expect(() => app({ backend: wrong as never })).toThrow(InvalidDefinitionError);
    const mistaken = () => (undefined as unknown as { open(): never }).open();
    for (const wrong of [() => ({}) as never, mistaken, class {} as never, Promise.resolve(undefined as never)]) {
      const a = app({ backend: wrong });
      apps.push(a);
      const task = a.task('t', () => 1);
      expect(await rejectionOf(task.run())).toMatchObject({ code: 'invalid_definition' });
    }
  });

  it('a filter that is not an object, an id that is not a run, and names that are not a list', async () => {
    const a = opened();
    const first = async (rows: AsyncIterable<unknown>): Promise<void> => {
      for await (const _ of rows) break;
    };
    const flow = a.flow('f', (f) => f.run(a.task('t', () => 1)));
    const all = [
      first(a.runs(null as never)),
      first(a.runs({ order: 'newest', limit: 5 } as RunQuery)),
      a.deadLetters.replay(null as never),
      flow.get(undefined as never).state(),
      flow.get(null as never).state(),
      a.lane('z').pause({ reason: 1 as never }),
      a.deadLetters.replay({}, { reason: 1 as never }),
      a.markWorkerDead('w', { requestedBy: '' }),
    ];
    for (const one of all) expect(await rejectionOf(one)).toMatchObject({ code: 'invalid_definition' });
    for (const wrong of [undefined, 5, new Set(['a']), revoked(Object)])
      expect(() => count(1, wrong as never)).toThrow();
    expect(() => count(1, 5 as never)).toThrow(InvalidDefinitionError);
    expect(() => a.budget('b', { limits: Promise.resolve({ tokens: { hard: 1 } }) as never })).toThrow(
      InvalidDefinitionError,
    );
  });

  it('a missing budget, and missing children', async () => {
    const a = opened();
    const inner = a.task('inner', () => 1);
    const refusals: unknown[] = [];
    const outer = a.task('outer', async ({ children }) => {
      for (const wrong of [undefined, null, 5]) {
        refusals.push(await rejectionOf((async () => children.all([wrong as never]))()));
        refusals.push(await rejectionOf((async () => children.any([child(inner, undefined), wrong as never]))()));
      }
    });
    const flow = a.flow('f', (f) => f.run(inner));
    await a.worker({ slots: 2 });
    const [run, flowRun] = await Promise.all([outer.run(), flow.run()]);
    await Promise.all([run.result(), flowRun.result()]);
    expect(refusals).toHaveLength(6);
    for (const wrong of [undefined, null, 5, revoked()])
      refusals.push(await rejectionOf(run.usage(wrong as never)), await rejectionOf(flowRun.usage(wrong as never)));
    for (const refusal of refusals) expect(refusal).toMatchObject({ code: 'invalid_definition' });
  });

  it('a list with holes: they are inputs that are not there', async () => {
    const a = opened();
    const task = a.task('t', ({ input }: TaskContext<number | undefined>) => input ?? 'none');
    await a.worker({ slots: 3 });
    const holes: number[] = [1];
    holes[2] = 3;
    const runs = await task.runMany(holes);
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual([1, 'none', 3]);
  });

  it('any value that a function of the input throws', async () => {
    const a = opened();
    for (const thrown of [revoked(), revoked(new Error('x')), Symbol('s'), null, { message: { status: 500 } }]) {
      const failing = (): never => {
        throw thrown;
      };
      const ofQuota = a.task(`q${Math.random()}`, { quota: { concurrency: 1, per: failing } }, () => 1);
      const ofBudget = a.task(`b${Math.random()}`, { budget: failing }, () => 1);
      expect(await rejectionOf(ofQuota.run())).toMatchObject({ code: 'invalid_task_input' });
      expect(await rejectionOf(ofBudget.run())).toMatchObject({ code: 'invalid_task_input' });
    }
  });

  it.each([
    ['nothing', () => undefined],
    ['a text', () => 'x'],
    ['issues that are none', () => ({ issues: 5 })],
    ['an issue of nothing', () => ({ issues: [null] })],
    ['a path of anything', () => ({ issues: [{ message: {}, path: [Symbol('s'), null, {}, revoked()] }] })],
    [
      'issues of a promise that is not the language’s own',
      () => ({ then: (done: (x: unknown) => void) => done({ issues: [] }) }),
    ],
  ])('a schema that answers with %s', async (_name, answer) => {
    const a = opened();
    const schema = { '~standard': { version: 1, vendor: 'test', validate: answer } } as unknown as AnySchema;
    const task = a.task('t', { input: schema }, () => 1);
    expect(await rejectionOf(task.run('x'))).toMatchObject({ code: 'invalid_task_input' });
  });
});

it('inputs of flows in which one object is in a great many places, or items are that a list does not hold, are refused at once', async () => {
  const a = opened();
  const task = a.task('t', () => 1);
  let shared: unknown = ['x'];
  for (let n = 0; n < 40; n++) shared = [shared, shared];
  for (const input of [shared, new Array<unknown>(2 ** 32 - 1)]) {
    const flow = a.flow(`f${typeof input}${(input as unknown[]).length}`, (f) => f.run(task, input as never));
    const startedAt = performance.now();
    expect(await rejectionOf(flow.run())).toMatchObject({ code: 'invalid_task_input' });
    // A second; a garbage collection on a busy machine has made it forty. Without a bound it takes for ever.
    expect(performance.now() - startedAt).toBeLessThan(120_000);
  }
});

it('amounts of a budget are members of an object, not bytes or a Map, which are not looked through', async () => {
  const a = opened();
  const budget = a.budget('b', { limits: { tokens: { hard: 1 } } });
  for (const wrong of [new Uint8Array(2), new Map([['tokens', 1]]), [1], revoked()])
    expect(await rejectionOf(budget.report(wrong as never))).toMatchObject({
      message: expect.stringContaining('the amounts must be an object') as string,
    });
});

describe('a reason that is too long', () => {
  it('is cut wherever operators give a reason', async () => {
    const a = opened();
    const task = a.task('t', () => {
      throw new Error('x');
    });
    const long = 'r'.repeat(10_000);
    await a.worker();
    await rejectionOf(task.run().result());
    await a.lane('t').pause({ reason: long });
    expect((await a.lane('t').state()).reason).toMatch(/r…$/);
    expect(await a.deadLetters.replay({}, { reason: long })).toMatchObject({ replayed: 1, failed: 0 });
  });
});

/**
 * What the compiler says about tasks. Every expected error stands above the line that it must be reported at: a message
 * about another member would not be silenced, and the type check would fail.
 */
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { expect, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import {
  all,
  any,
  child,
  count,
  delay,
  type App,
  type CallStep,
  type CannotTravel,
  type Child,
  type ContextOf,
  type Handler,
  type Jsonify,
  type PendingFlowRun,
  type PendingRun,
  type Run,
  type Signal,
  type Task,
  type TaskContext,
  type UnblockStep,
  type WaitStep,
} from '../../src/index.js';
import { memoryApp } from './support.js';

const IN = z.object({ n: z.string().transform((text) => text.length) });
const OUT = z.object({ r: z.string(), d: z.number().default(1) });
const KINDS = z.object({ k: z.enum(['a', 'b']) });

it('types flow from schemas, or from the handler', async () => {
  await using a = memoryApp();
  expectTypeOf(a.task('1', { input: IN, output: OUT }, ({ input }) => ({ r: input.n.toFixed() }))).toEqualTypeOf<
    Task<{ n: string }, { r: string; d: number }>
  >();
  expectTypeOf(a.task('2', { input: IN }, ({ input }) => input.n)).toEqualTypeOf<Task<{ n: string }, number>>();
  expectTypeOf(
    a.task('3', { output: OUT }, async ({ input }: TaskContext<number>) => ({ r: String(input) })),
  ).toEqualTypeOf<Task<number, { r: string; d: number }>>();
  expectTypeOf(a.task('4', { priority: 1 }, async ({ input }: TaskContext<number>) => String(input))).toEqualTypeOf<
    Task<number, string>
  >();
  expectTypeOf(a.task('5', { output: z.string() }, ({ attempt }) => (attempt === 1 ? delay('1s') : 'x'))).toEqualTypeOf<
    Task<unknown, string>
  >();
  expectTypeOf(a.task('6', { output: KINDS }, async () => ({ k: 'a' }))).toEqualTypeOf<
    Task<unknown, { k: 'a' | 'b' }>
  >();
  expectTypeOf(a.task<number, string>('7', { priority: 1 }, ({ input }) => String(input))).toEqualTypeOf<
    Task<number, string>
  >();
});

it('the context of a task without a handler has a name of its own, for handlers that are methods', async () => {
  await using a = memoryApp();
  const signals = { paid: z.object({ cents: z.int() }) };
  const sent = a.task('sent', { input: IN, output: z.string(), signals });
  expectTypeOf<ContextOf<typeof sent>>().toEqualTypeOf<TaskContext<{ n: string }, { n: number }, typeof signals>>();
  const plain = a.task<{ at: Date }, void>('plain');
  expectTypeOf<ContextOf<typeof plain>['input']>().toEqualTypeOf<{ at: string }>();
  class Sender {
    private readonly unit = 'cents';
    async send({ input, waitFor }: ContextOf<typeof sent>): Promise<string> {
      return `${input.n}: ${(await waitFor('paid')).cents} ${this.unit}`;
    }
  }
  const sender = new Sender();
  sent.handle((context) => sender.send(context));
  await a.worker({ tasks: [sent] });
  const run = await sent.run({ n: 'two' });
  await run.signal('paid', { cents: 5 });
  expect(await run.result()).toBe('3: 5 cents');
  const handled = a.task('handled', () => 1);
  // @ts-expect-error: its handler stands where it is defined
  expectTypeOf<ContextOf<typeof handled>>();
});

it("a step has the type of its value after JSON, or of its schema's output", async () => {
  await using a = memoryApp();
  a.task('steps', async ({ step }) => {
    expectTypeOf(await step('date', () => new Date())).toEqualTypeOf<string>();
    expectTypeOf(await step('nothing', () => undefined)).toEqualTypeOf<undefined>();
    expectTypeOf(await step('async', async ({ attempt }) => ({ attempt }))).toEqualTypeOf<{ attempt: number }>();
    expectTypeOf(await step('bytes', () => new Uint8Array(1))).toEqualTypeOf<Uint8Array>();
    expectTypeOf(
      await step('schema', () => new Date(), { schema: z.coerce.date(), timeout: '1s' }),
    ).toEqualTypeOf<Date>();
    // @ts-expect-error -- a bigint does not travel
    await step('bigint', () => 1n);
  });
});

it('a wait for a declared signal has the type that its sender passes, or that of its own schema', async () => {
  await using a = memoryApp();
  const signals = { paid: IN, due: z.date(), any: z.any() };
  const waits = a.task('waits', { signals, input: IN, output: OUT }, async ({ input, waitFor }) => {
    expectTypeOf(await waitFor('paid')).toEqualTypeOf<{ n: string }>();
    expectTypeOf(await waitFor('due', { timeout: '1d', onTimeout: 'value' })).toEqualTypeOf<string | null>();
    expectTypeOf(await waitFor('paid', { schema: IN })).toEqualTypeOf<{ n: number }>();
    expectTypeOf(await waitFor<Uint8Array>('any')).toEqualTypeOf<Uint8Array>();
    // @ts-expect-error -- the task declares its signals, and this is none of them
    await waitFor('another');
    // @ts-expect-error -- nor is this
    await waitFor(any('paid', 'another'));
    type Paid = Signal<{ n: string }, 'paid'>;
    type Due = Signal<string, 'due'>;
    expectTypeOf(await waitFor(any('paid', 'due'))).toEqualTypeOf<readonly (Paid | Due)[]>();
    expectTypeOf(await waitFor(all('paid', count(2, 'due')))).toEqualTypeOf<readonly (Paid | Due)[]>();
    const timed = { timeout: '1d', onTimeout: 'value' } as const;
    expectTypeOf(await waitFor(count(2, ['due']), timed)).toEqualTypeOf<readonly Due[] | null>();
    expectTypeOf(await waitFor(any('paid'), { schema: IN })).toEqualTypeOf<readonly Signal<{ n: number }>[]>();
    return { r: input.n.toFixed() };
  });
  expectTypeOf(waits).toEqualTypeOf<Task<{ n: string }, { r: string; d: number }, typeof signals>>();
  const run = await waits.run({ n: '1' });
  expectTypeOf(run).toEqualTypeOf<Run<{ r: string; d: number }, typeof signals>>();
  const sent = async (): Promise<void> => {
    for (const each of [run, waits.run({ n: '1' }), waits.get('id'), ...(await waits.runMany([]))]) {
      await each.signal('paid', { n: '1' }, { from: 'bank' });
      await each.signal('due', new Date());
      await each.signal('any');
      // @ts-expect-error -- the task declares its signals, and this is none of them
      await each.signal('another');
      // @ts-expect-error -- the schema takes a text
      await each.signal('paid', { n: 1 });
      // @ts-expect-error -- the payload is missing
      await each.signal('paid');
    }
    await a.get('id').signal('whatever', 7);
  };
  expectTypeOf(sent).toBeFunction();
  // Where signals do not matter, a task that declares some is a task.
  const plain: Task<{ n: string }, { r: string; d: number }> = waits;
  a.flow('of such a task', (f) => f.run(plain, { n: '1' }));
  a.flow('of a task with signals', (f) => f.run(waits, { n: '1' }));
  expectTypeOf(child(waits, { n: '1' })).toEqualTypeOf<Child<{ r: string; d: number }>>();
  a.task<number, string>('later', { signals: { paid: IN } }).handle(async ({ input }) => String(input));
  a.task('handled later', { signals }).handle(async ({ waitFor }) => {
    expectTypeOf(await waitFor('paid')).toEqualTypeOf<{ n: string }>();
  });
  a.task('annotated', { signals }, async ({ waitFor }: TaskContext<number>) => {
    expectTypeOf(await waitFor('paid')).toEqualTypeOf<unknown>();
  });
});

it('values that travel as JSON have their JSON types', async () => {
  interface Order {
    readonly id: string;
    at: Date;
    lines: { sku: string; due?: Date }[];
    pair: [Date, number];
    total(): number;
    link: URL;
  }
  interface Arrived {
    readonly id: string;
    at: string;
    lines: { sku: string; due?: string }[];
    pair: [string, number];
    link: string;
  }
  expectTypeOf<Jsonify<Order>>().toEqualTypeOf<Arrived>();
  expectTypeOf<Jsonify<unknown>>().toBeUnknown();
  expectTypeOf<Jsonify<string | Date | null>>().toEqualTypeOf<string | null>();
  expectTypeOf<Jsonify<(Date | undefined)[]>>().toEqualTypeOf<(string | null)[]>();
  expectTypeOf<Jsonify<void[]>>().toEqualTypeOf<null[]>();
  expectTypeOf<Jsonify<{ a: Map<string, number> }>['a']>().toExtend<CannotTravel<string>>();
  await using a = memoryApp();
  // The handler gets what arrives; callers pass, and get, their own and JSON's.
  const stamp = a.task('stamp', ({ input }: TaskContext<{ at: Date }>) => {
    expectTypeOf(input).toEqualTypeOf<{ at: string }>();
    return { at: new Date(input.at), seen: input.at };
  });
  expectTypeOf(stamp).toEqualTypeOf<Task<{ at: Date }, { at: string; seen: string }>>();
  const handler: Handler<{ at: Date }, number> = ({ input }) => input.at.length;
  expectTypeOf(a.task('typed', handler)).toEqualTypeOf<Task<{ at: Date }, number>>();
  // A schema says otherwise.
  const parsed = a.task('parsed', { input: z.object({ at: z.coerce.date() }) }, ({ input }) => {
    expectTypeOf(input).toEqualTypeOf<{ at: Date }>();
    return input.at.getTime();
  });
  expectTypeOf(parsed.run).parameter(0).toEqualTypeOf<{ at: unknown }>();
  const bytes = a.task('bytes', ({ input }: TaskContext<Buffer>) => Buffer.from(input));
  expectTypeOf(bytes).toEqualTypeOf<Task<Buffer, Uint8Array>>();
  expectTypeOf(a.task('nothing', () => undefined)).toEqualTypeOf<Task<unknown, undefined>>();
  expectTypeOf(a.task('async nothing', async () => {})).toEqualTypeOf<Task<unknown, void>>();
  expectTypeOf(a.task('either', () => (Math.random() < 2 ? String(1) : { at: new Date(0) }))).toEqualTypeOf<
    Task<unknown, string | { at: string }>
  >();
  // An annotation of one's own says what arrives, and so what callers pass.
  expectTypeOf(a.task('own', ({ input }: { input: { n: number } }) => input.n)).toEqualTypeOf<
    Task<{ n: number }, number>
  >();
  expectTypeOf(
    a.task('own with options', { priority: 1 }, ({ input }: { input: { n: number }; signal: AbortSignal }) => input.n),
  ).toEqualTypeOf<Task<{ n: number }, number>>();
  expectTypeOf(a.task('coerced', { input: z.coerce.date() }, ({ input }) => input.getTime())).toEqualTypeOf<
    Task<unknown, number>
  >();
  type Tree = { name: string; children: Tree[] };
  expectTypeOf(a.task('tree', ({ input }: TaskContext<Tree>) => input.children.length)).toEqualTypeOf<
    Task<Tree, number>
  >();
  await a.worker({ slots: 8 });
  const at = new Date(5);
  expect(await stamp.run({ at }).result()).toEqual({ at: at.toJSON(), seen: at.toJSON() });
  expect(await parsed.run({ at }).result()).toBe(5);
});

/** Compiled, never run. */
function untravelled(a: App): void {
  // @ts-expect-error -- a Map becomes {}
  a.task('map', () => new Map([['a', 1]]));
  // @ts-expect-error -- an Error becomes {}
  a.task('error', () => ({ failed: new Error('x') }));
  // @ts-expect-error -- a RegExp becomes {}
  a.task('regexp', ({ input }: TaskContext<{ pattern: RegExp }>) => String(input));
  // @ts-expect-error -- a bigint cannot be written
  a.task('bigint', () => [1n]);
  // @ts-expect-error -- a Set becomes {}
  a.task('options', { priority: 1 }, () => new Set([1]));
  // @ts-expect-error -- memory of several threads becomes {}
  a.task('shared', () => new SharedArrayBuffer(1));
  // @ts-expect-error -- a WeakRef becomes {}
  a.task('weak', () => new WeakRef({}));
  // @ts-expect-error -- a Blob becomes {}
  a.task('blob', () => ({ file: new Blob([]) }));
  // @ts-expect-error -- Headers become {}
  a.task('headers', () => new Headers());
  // @ts-expect-error -- a format becomes {}
  a.task('format', () => new Intl.NumberFormat());
  // @ts-expect-error -- a boxed bigint cannot be written
  a.task('boxed', () => Object(1n) as { valueOf(): bigint });
  // @ts-expect-error -- search parameters become {}
  a.task('parameters', () => ({ asked: new URLSearchParams() }));
  // @ts-expect-error -- a signal becomes {}
  a.task('signal', () => new AbortController().signal);
  // @ts-expect-error -- what is streamed travels too: a Map becomes {}
  a.task('streams', ({ stream }) => stream.json({ found: new Map() }));
  // @ts-expect-error -- a generator becomes {}
  a.task('generator', function* () {
    yield 1;
  });
  // @ts-expect-error -- an asynchronous generator becomes {}
  a.task('generating', async function* () {
    yield await 1;
  });
  // @ts-expect-error -- what arrives is a text, which the schema refuses
  a.task('date', { input: z.object({ at: z.date() }) }, ({ input }) => input.at.getTime());
  a.task('unhandled', { output: z.object({ r: z.string() }) }).handle(
    // @ts-expect-error -- a number is no text
    () => ({ r: 5 }),
  );
  // @ts-expect-error -- a Date arrives as a text, whatever the annotation says
  a.task('annotated', ({ input }: { input: { at: Date } }) => input.at.getTime());
  // @ts-expect-error -- the same, with type arguments
  a.task<{ at: Date }, number>('explicit', ({ input }) => input.at.getTime());
  const charge = a.task('charge', ({ input }: TaskContext<{ cents: number }>) => input.cents);
  // @ts-expect-error -- cents are missing
  void charge.run({});
  // @ts-expect-error -- a lane is no option of one run
  void charge.run({ cents: 1 }, { lane: 'x' });
  // @ts-expect-error -- an own id is a text
  void charge.get({ id: 5 });
}

/** Compiled, never run. */
function mistakes(a: App): void {
  const input = z.object({ n: z.string() });
  const output = z.object({ r: z.string() });
  a.task(
    'unknown option',
    {
      input,
      // @ts-expect-error -- there is no such option
      retries: 3,
    },
    () => 1,
  );
  a.task(
    'unknown option within',
    {
      input,
      output,
      // @ts-expect-error -- it is called failures
      retry: { failure: 3 },
    },
    () => ({ r: '' }),
  );
  a.task(
    'wrong option',
    {
      // @ts-expect-error -- a lane is a text
      lane: 5,
    },
    () => 1,
  );
  a.task(
    'wrong result',
    { output },
    // @ts-expect-error -- a number is no text
    async () => ({ r: 5 }),
  );
  a.task(
    'wrong result of an input',
    { input, output },
    // @ts-expect-error -- there is no r in it
    async (context) => ({ q: context.input.n }),
  );
}

it('mistakes are type errors at their own lines', () => {
  expect([mistakes, untravelled]).toHaveLength(2);
});

it('every option may be undefined as well as absent, for users of exactOptionalPropertyTypes', () => {
  const files = [
    'app/app-options',
    'app/api',
    'app/tasks/backoff',
    'app/runs/run',
    'app/tasks/task',
    'app/workers/options',
    'testing/test-app',
    'testing/engine',
    'worker/options',
    'worker/handler/outcome',
    'worker/steps/options',
    'app/operating/operating',
    'memory/backend',
    'valkey/options',
    'valkey/connection/address',
  ];
  const options = files.flatMap((file) => {
    const text = readFileSync(new URL(`../../src/${file}.ts`, import.meta.url), 'utf8');
    return [...text.matchAll(/^ +readonly \w+\?:[^;{]*(?:\{[^}]*\}[^;]*)?;/gm)].map(
      ([option]) => `${file}: ${option.trim()}`,
    );
  });
  expect(options.length).toBeGreaterThan(70);
  expect(options.filter((option) => !/(\| undefined|: unknown);$/.test(option))).toEqual([]);
});

it('started runs and flows are promises with all promise methods', async () => {
  expectTypeOf<PendingRun<number>>().toExtend<Promise<Run<number>>>();
  expectTypeOf<PendingFlowRun<number>>().toExtend<Promise<{ readonly id: string }>>();
  await using a = memoryApp();
  const wrong = a.task('wrong', { input: IN }, ({ input }) => input.n);
  const double = a.task('double', ({ input }: TaskContext<number>) => input * 2);
  const twice = a.flow('twice', (f, input: number) => f.run(double, input));
  await a.worker();
  let ends = 0;
  const end = (): void => void ends++;
  const refused = await wrong
    .run({ n: 5 as never })
    .catch((error: Error) => error.name)
    .finally(end);
  expect(refused).toBe('InvalidInputError');
  const [run, flow] = await Promise.all([double.run(21).finally(end), twice.run(4).finally(end)]);
  expectTypeOf(run).toEqualTypeOf<Run<number>>();
  expect([await run.result(), await flow.result(), ends]).toEqual([42, 8, 3]);
  expect(await twice.get('{fp:0}:00000000-0000-4000-8000-000000000000').catch(() => 'unknown')).toBe('unknown');
});

it('the type of an unblocking step follows from its kind', () => {
  const wordsOf = (step: UnblockStep): string => {
    if (step.kind === 'wait') {
      expectTypeOf(step).toEqualTypeOf<WaitStep>();
      return `wait until ${step.until}`;
    }
    expectTypeOf(step).toEqualTypeOf<CallStep>();
    return `${step.call} of ${step.of}`;
  };
  expect(wordsOf({ kind: 'call', call: 'resumeLane', of: 'mail' })).toBe('resumeLane of mail');
  expect(wordsOf({ kind: 'wait', until: 5 })).toBe('wait until 5');
});

it('a spread copy of a context has only its facts, in the types as at run time', async () => {
  await using a = memoryApp();
  const copied = a.task('copied', ({ ...copy }: TaskContext<number>) => Object.keys(copy));
  a.task('wrapped', (context: TaskContext<number>) => {
    const copy = { ...context, tenant: 'shop' };
    expectTypeOf(copy.input).toEqualTypeOf<number>();
    // @ts-expect-error -- a step is made when it is asked for: pass the context on whole
    return copy.step('charge', () => 1);
  });
  await a.worker();
  expect((await copied.run(1).result()).sort()).toEqual(['attempt', 'executionId', 'fence', 'input', 'resumes']);
});

it('a context works through a proxy, and as a prototype', async () => {
  await using a = memoryApp();
  const traced = (context: TaskContext<number>): TaskContext<number> =>
    new Proxy(context, { get: (target, name, proxy) => Reflect.get(target, name, proxy) as unknown });
  const inherited = (context: TaskContext<number>): TaskContext<number> =>
    Object.create(context, { tenant: { value: 'shop' } }) as TaskContext<number>;
  const wrapped = a.task('wrapped', async (given: TaskContext<number>) => {
    const seen: unknown[] = [];
    for (const context of [given, traced(given), inherited(given), inherited(traced(given))]) {
      const { sleep, sleepUntil, waitFor, approval, waitpoint, children, budget, stream, log } = context;
      for (const member of [sleep, sleepUntil, waitFor, approval, waitpoint, children, budget, stream, log])
        expect(member).toBeTypeOf(member === children || member === stream || member === log ? 'object' : 'function');
      await context.progress(50, 'half');
      expect(context.sleep).toBe(given.sleep);
      seen.push([await context.step('once', () => given.input), context.tags['shop.of'], context.signal.aborted]);
    }
    // Neither it nor its fence shows what it is made of.
    const print = inspect(given, { depth: 9, showHidden: true }) + JSON.stringify(given);
    expect(print).not.toMatch(/claimed|backend|dependencies|hunter2/);
    const copy = Object.create(given, { fence: { value: { ...given.fence } } }) as TaskContext<number>;
    expect(() => copy.signal).toThrow('what wraps it must give its own `fence`');
    return seen;
  });
  await a.worker();
  const seen = [7, 'hunter2', false];
  expect(await wrapped.run(7, { tags: { 'shop.of': 'hunter2' } }).result()).toEqual([seen, seen, seen, seen]);
});

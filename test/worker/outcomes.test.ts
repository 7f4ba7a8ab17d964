/** What a handler ends with means the same whichever copy of the package, or which realm, made it. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';
import { afterEach, describe, expect, it } from 'vitest';
import * as own from '../../src/index.js';
import { shown } from '../../src/shared/shown.js';
import { rejectionOf } from '../app/support.js';
import { harness, type Harness } from './harness.js';

let h: Harness | undefined;
afterEach(async () => {
  await h?.close();
  h = undefined;
});

type Outcomes = typeof import('../../src/worker/handler/outcome.js');

/** The module a second time, with classes of its own. */
const copy = (): Promise<Outcomes> =>
  import(/* @vite-ignore */ `../../src/worker/handler/outcome.js?copy=${Date.now()}`);

/** Classes with the brands, made in another realm. */
function elsewhere(): Outcomes {
  return vm.runInNewContext(`
    const BRAND = Symbol.for('flowfabric.brand');
    const branded = (Class, name) => (Object.defineProperty(Class.prototype, BRAND, { value: name }), Class);
    class RetryableError extends Error { constructor(m, o = {}) { super(m); Object.assign(this, o); } }
    class NonRetryableError extends Error { constructor(m, o = {}) { super(m); Object.assign(this, o); } }
    class Delay { constructor(until) { this.until = until; } }
    branded(RetryableError, 'retryable_error');
    branded(NonRetryableError, 'non_retryable_error');
    branded(Delay, 'delay');
    ({ RetryableError, NonRetryableError, Delay, delay: (ms) => new Delay({ inMs: ms }) });
  `) as Outcomes;
}

/** The error of a run that has used up its two retries, or was not retried, and how often its handler was called. */
async function failed(
  handler: (context: own.TaskContext) => unknown,
): Promise<{ readonly error: unknown; readonly attempts: number }> {
  h = harness();
  let attempts = 0;
  const task = h.a.task('t', { retry: { failures: 2 } }, (context: own.TaskContext): unknown => {
    attempts++;
    return handler(context);
  });
  await h.worker();
  const error = rejectionOf(task.run(undefined).result());
  await h.pass(600_000);
  return { error: await error, attempts };
}

describe('a mistake of the handler itself', () => {
  const inStep = ({ step }: own.TaskContext) =>
    step('a', () => own.delay('1 day' as never), { retry: { failures: 3 } });
  const twice = ({ step }: own.TaskContext) => step('a', () => step('b', () => 1));
  it.each([
    [
      'a wrong argument',
      'invalid_definition',
      ({ sleep }: own.TaskContext) => sleep('1 day' as never),
      /Correct what the message names/,
    ],
    ['a wrong argument in a step', 'invalid_definition', inStep, /Correct what the message names/],
    ['a step in a step', 'step_misused', twice, /not inside the function of a step/],
  ])('%s is not retried, its category is %s, and its hint is kept', async (_, category, handler, hint) => {
    const { error, attempts } = await failed(handler);
    expect(error).toMatchObject({ code: 'run_failed', category, details: expect.stringMatching(hint) });
    expect(attempts).toBe(1);
  });
});

describe('the category of a failure', () => {
  const card = Object.assign(new Error('no cover'), { category: 'card' });
  const declined = (): never => {
    throw card;
  };
  it.each([
    ['that of the error', 'card', declined],
    ['that of the error, in a step', 'card', ({ step }: own.TaskContext) => step('a', declined)],
    [
      'the code, where the engine refused the code of a new deployment, which is tried again',
      'step_changed',
      async ({ step, sleep, attempt }: own.TaskContext) => {
        if (attempt > 1) return sleep('1s', { name: 'a' });
        await step('a', () => 1);
        throw new Error('once more');
      },
    ],
  ])('is %s', async (_, category, handler) => {
    const { error, attempts } = await failed(handler);
    expect(error).toMatchObject({ code: 'run_failed', category });
    expect(attempts).toBe(3);
  });
});

describe.each([
  ['another copy of the package', copy],
  ['another realm', () => Promise.resolve(elsewhere())],
])('outcomes of %s', (_, load) => {
  it('are other classes, and instances of our classes', async () => {
    const other = await load();
    expect(other.NonRetryableError).not.toBe(own.NonRetryableError);
    const never = new other.NonRetryableError('x');
    expect([never instanceof own.NonRetryableError, never instanceof own.RetryableError]).toEqual([true, false]);
    expect(other.delay(1) instanceof own.Delay).toBe(true);
  });

  it('"never retry" ends the run at the first attempt, with its category', async () => {
    const other = await load();
    h = harness();
    let tries = 0;
    const task = h.a.task('t', { retry: { failures: 3, backoff: own.backoff.fixed(10) } }, () => {
      tries++;
      throw new other.NonRetryableError('no use', { category: 'bad_card' });
    });
    await h.worker();
    const result = rejectionOf(task.run().result());
    await h.pass(1_000);
    expect(await result).toMatchObject({ code: 'run_failed', category: 'bad_card', reason: 'no use' });
    expect(tries).toBe(1);
  });

  it('"retry" uses its own time', async () => {
    const other = await load();
    h = harness();
    const at: number[] = [];
    const task = h.a.task('t', { retry: { failures: 1, backoff: own.backoff.fixed('1h') } }, () => {
      at.push(h?.clock.now() ?? 0);
      if (at.length === 1) throw new other.RetryableError('soon', { retryAfterMs: 50 });
      return 'fine';
    });
    await h.worker();
    const result = task.run().result();
    await h.pass(1_000);
    expect(await result).toBe('fine');
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBe(50);
  });

  it('a delay parks the attempt', async () => {
    const other = await load();
    h = harness();
    let calls = 0;
    const task = h.a.task('t', () => (++calls === 1 ? other.delay(200) : 'done'));
    await h.worker();
    const result = task.run().result();
    await h.pass(1_000);
    expect([await result, calls]).toEqual(['done', 2]);
  });
});

describe('a duration as the time of a retry', () => {
  it('is accepted', async () => {
    h = harness();
    const at: number[] = [];
    const task = h.a.task('t', { retry: { failures: 1, backoff: own.backoff.fixed('1h') } }, () => {
      at.push(h?.clock.now() ?? 0);
      if (at.length === 1) throw new own.RetryableError('soon', { retryAfter: '5s' });
      return 'fine';
    });
    await h.worker();
    const result = task.run().result();
    await h.pass(10_000);
    expect(await result).toBe('fine');
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBe(5_000);
  });
});

describe.each(['5 minutes', '', NaN, true, {}, ['5s']])('%j as the time of a retry', (retryAfter) => {
  const wrong = { retryAfter } as unknown as own.RetryableOptions;
  const said = (): string[] =>
    (h?.said ?? []).flatMap(([level, text]) => (level === 'warn' && text.includes('is no duration') ? [text] : []));

  it('leaves the backoff of the task, and the log names it', async () => {
    h = harness();
    const at: number[] = [];
    const task = h.a.task('t', { retry: { failures: 1, backoff: own.backoff.fixed('2s') } }, () => {
      at.push(h?.clock.now() ?? 0);
      if (at.length === 1) throw new own.RetryableError('soon', wrong);
      return 'fine';
    });
    await h.worker();
    const run = await task.run();
    await h.pass(10_000);
    expect(await run.result()).toBe('fine');
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBe(2_000);
    expect(said()).toEqual([
      `Task "t" failed in attempt 1 of ${run.id}; it will be retried. Its retryAfter, ${shown(retryAfter)}, is no ` +
        'duration, so the backoff applies.',
    ]);
  });

  it('leaves the backoff of a step, and the log names it', async () => {
    h = harness();
    const at: number[] = [];
    const task = h.a.task('t', ({ step }: own.TaskContext) =>
      step(
        'ask',
        () => {
          at.push(h?.clock.now() ?? 0);
          if (at.length === 1) throw new own.RetryableError('soon', wrong);
        },
        { retry: { failures: 1, backoff: own.backoff.fixed('2s') } },
      ),
    );
    await h.worker();
    const run = await task.run();
    await h.pass(10_000);
    expect(await run.state()).toBe('completed');
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBe(2_000);
    expect(said()).toEqual([
      `[t ${run.id}] Step "ask" failed. Its retryAfter, ${shown(retryAfter)}, is no duration, so the backoff applies.`,
    ]);
  });
});

it('a time of a retry that has passed means at once, for a task and for a step', async () => {
  h = harness();
  let calls = 0;
  const retry = { failures: 1, backoff: own.backoff.fixed('1m') } as const;
  const often = (): void => {
    calls += 1;
    if (calls % 2 === 1) throw new own.RetryableError('now', { retryAfter: -5 });
  };
  const task = h.a.task('t', { retry }, async ({ step }: own.TaskContext) => {
    await step('ask', often, { retry });
    often();
  });
  await h.worker();
  const result = task.run().result();
  await h.pass(100);
  await result;
  expect([calls, h.said.filter(([, text]) => text.includes('no duration'))]).toEqual([4, []]);
});

it('an error without options keeps its kind, also when they are null', async () => {
  h = harness();
  let tries = 0;
  const task = h.a.task('t', { retry: { failures: 3, backoff: own.backoff.fixed(10) } }, () => {
    tries += 1;
    throw new own.NonRetryableError('no use', null as never);
  });
  await h.worker();
  const result = rejectionOf(task.run().result());
  await h.pass(1_000);
  expect(await result).toMatchObject({ reason: 'no use', category: 'handler_error' });
  expect(tries).toBe(1);
  expect(new own.RetryableError('x', null as never)).toMatchObject({ message: 'x', retryAfter: undefined });
});

describe('names of errors', () => {
  it('do not depend on the names of classes, which a minifier changes', async () => {
    const made: Error[] = [
      new own.RunFailedError('x', 'r', 'c'),
      new own.RunCancelledError('x', 'r'),
      new own.RunExpiredError('x', 'r'),
      new own.RunNotFoundError('x'),
      new own.ResultTimeoutError('x', 1),
      new own.InvalidInputError('t', 'p'),
      new own.InvalidDefinitionError('d'),
      new own.AppClosedError(),
      new own.RetryableError('x'),
      new own.NonRetryableError('x'),
      new own.TaskAbort('cancelled'),
      new own.EngineError('call_timeout', 'x.'),
    ];
    for (const error of made) expect(error.name).toBe(error.constructor.name);
    // And none of them asks the class: its name is a letter in a minified bundle.
    for (const file of [
      'src/shared/errors.ts',
      'src/worker/handler/outcome.ts',
      'src/worker/attempt/abort.ts',
      'model/errors.ts',
    ]) {
      const text = readFileSync(fileURLToPath(new URL(`../../${file}`, import.meta.url)), 'utf8');
      expect(text).not.toMatch(/new\.target\.name|constructor\.name/);
    }
  });
});

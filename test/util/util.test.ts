import vm from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EngineError } from '../../model/errors.js';
import { LIMITS } from '../../model/limits.js';
import { SetAsideError } from '../../src/backend/set-aside.js';
import { isRetryable } from '../../src/engine/retry.js';
import { brand, brandOf } from '../../src/util/brand.js';
import { copied } from '../../src/util/copied.js';
import { asEngineError } from '../../src/util/engine-error.js';
import { failureTextOf, partsOfFailure, reasonOf } from '../../src/util/failure-text.js';
import { groupBy } from '../../src/util/group-by.js';
import { InFlight } from '../../src/util/in-flight.js';
import { quietly } from '../../src/util/quietly.js';
import { boundText } from '../../src/util/text.js';

describe('bounded text', () => {
  it('is well-formed and within its bytes, unchanged when it fits, and marked when it was cut', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), fc.integer({ min: 3, max: 80 }), (text, maxBytes) => {
        const bounded = boundText(text, maxBytes);
        const whole = text.toWellFormed();
        expect(bounded.isWellFormed()).toBe(true);
        expect(Buffer.byteLength(bounded)).toBeLessThanOrEqual(maxBytes);
        if (Buffer.byteLength(whole) <= maxBytes) {
          expect(bounded).toBe(whole);
        } else {
          expect(bounded.endsWith('…')).toBe(true);
          expect(whole.startsWith(bounded.slice(0, -1))).toBe(true);
          // No more is cut than a character that did not fit.
          expect(Buffer.byteLength(bounded)).toBeGreaterThan(maxBytes - 4);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('costs no more for a huge text than for one that is slightly too long', () => {
    const huge = '😀'.repeat(5_000_000);
    const startedAt = performance.now();
    for (let n = 0; n < 200; n++) boundText(huge, 100);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });
});

const membersOf = (make: () => unknown): object =>
  Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`m${n}`, make()]));

/** Values in which a look at everything does not end, or takes all memory. */
const VAST: Readonly<Record<string, () => object>> = {
  'a list in a great many places of another': () => {
    let list: unknown[] = ['x'];
    for (let n = 0; n < 50; n++) list = [list, list];
    return list;
  },
  'an object in a great many places of another': () => {
    let object: object = { big: 1n };
    for (let n = 0; n < 50; n++) object = { a: object, b: object };
    return object;
  },
  'a list of items that it does not hold': () => new Array<unknown>(2 ** 32 - 1),
  bytes: () => Buffer.alloc(50_000_000),
  'an answer with bytes': () => ({ status: 500, body: Buffer.alloc(50_000_000) }),
  'an object of objects with many members': () => membersOf(() => membersOf(() => membersOf(() => 1n))),
};

describe.each(Object.entries(VAST))('%s', (_, make) => {
  it('has a text at once, as something thrown and as its cause', () => {
    const vast = make();
    const startedAt = performance.now();
    for (const thrown of [vast, new Error('x', { cause: vast })])
      expect(failureTextOf(thrown).length).toBeGreaterThan(1);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });

  it('is copied at once', () => {
    const vast = make();
    const startedAt = performance.now();
    copied(vast);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });
});

it('an object with bytes is shown with what is beside them', () => {
  expect(failureTextOf({ status: 500, body: Buffer.alloc(1_000_000) })).toContain('status: 500');
});

it('the copy of a value with circles has the same circles', () => {
  const given: { list: unknown[]; self?: unknown } = { list: [1, { n: 2 }] };
  given.self = given;
  given.list.push(given.list);
  const copy = copied(given);
  expect(copy).not.toBe(given);
  expect(copy.self).toBe(copy);
  expect(copy.list).toEqual([1, { n: 2 }, copy.list]);
  expect(copy.list[1]).not.toBe(given.list[1]);
});

describe('the text of a failure', () => {
  class CardDeclined extends Error {}

  it('begins with the messages, and keeps classes, stacks and inner errors', () => {
    const error = new CardDeclined('declined', {
      cause: new AggregateError([new TypeError('first'), 'second'], 'both banks'),
    });
    const stored = failureTextOf(error);
    const { summary, details } = partsOfFailure(stored);
    expect(summary).toBe(reasonOf(error));
    expect(summary).toBe('declined: both banks');
    const lines = details.split('\n');
    expect(lines[0]).toBe('CardDeclined: declined');
    expect(lines[1]).toMatch(/^\s+at .*util\.test\.ts/);
    expect(details).toContain('\nCaused by AggregateError: both banks\n');
    expect(details).toContain('\nInner error 1 of 2: TypeError: first\n');
    expect(details).toContain('\nInner error 2 of 2: second');
  });

  it('has the hint of an EngineError among the details', () => {
    const refusal = new EngineError('step_changed', 'step "a" is stored as a wait.');
    const { summary, details } = partsOfFailure(failureTextOf(refusal));
    expect(summary).toBe(refusal.message);
    expect(details.split('\n').slice(0, 2)).toEqual([`EngineError: ${refusal.message}`, `Hint: ${refusal.hint}`]);
  });

  it('has no details when no error was thrown', () => {
    expect(failureTextOf('text')).toBe('text');
    expect(partsOfFailure('text')).toEqual({ summary: 'text', details: '' });
    // A message may hold the divider.
    const injected = 'a\n\n--- details ---\nevil: x';
    for (const thrown of [injected, new Error(injected)]) {
      const { summary, details } = partsOfFailure(failureTextOf(thrown));
      expect(summary).toBe('a\n\n- -- details ---\nevil: x');
      expect(details).not.toContain('evil: x\nError');
      expect(details.split('\n')[0]).toBe(thrown instanceof Error ? 'Error: a' : '');
    }
  });

  it('is made by toString, or as Node prints a value, where JSON gives nothing', () => {
    expect(reasonOf({ toString: () => 'weird' })).toBe('weird');
    expect(reasonOf(new String('str'))).toBe('str');
    expect(reasonOf(new Date(0))).toBe('1970-01-01T00:00:00.000Z');
    expect(reasonOf(new Map([[1, 2]]))).toBe('Map(1) { 1 => 2 }');
    // Node adds members of its own to the promises of a process that follows asynchronous calls.
    expect(reasonOf(Promise.resolve(1))).toMatch(/^Promise \{ 1/);
    expect(reasonOf({ then: () => undefined })).toContain('then');
    expect(reasonOf({ code: 1, toString: () => 'weird' })).toBe('{"code":1}');
    expect(reasonOf({})).toBe('{}');
    expect(partsOfFailure(failureTextOf(undefined))).toEqual({ summary: 'unknown error', details: '' });
  });

  it('is never longer than the engine accepts, and is marked where it was cut', () => {
    for (const error of [
      new Error('x'.repeat(100_000)),
      new Error('outer', { cause: new Error('y'.repeat(100_000)) }),
      new AggregateError(
        Array.from({ length: 1_000 }, (_, n) => new Error(`inner ${n} ${'z'.repeat(1_000)}`)),
        'many',
      ),
      Object.assign(new Error('x'), { stack: `Error: x\n${'    at f (file.js:1:1)\n'.repeat(100_000)}` }),
    ]) {
      const stored = failureTextOf(error);
      expect(Buffer.byteLength(stored)).toBeLessThanOrEqual(LIMITS.maxReasonBytes);
      const { summary, details } = partsOfFailure(stored);
      expect(details).not.toBe('');
      expect(Buffer.byteLength(summary)).toBeLessThanOrEqual(LIMITS.maxReasonBytes / 2);
    }
    expect(partsOfFailure(failureTextOf(new Error('x'.repeat(100_000)))).summary.endsWith('…')).toBe(true);
  });

  it('keeps eight causes, eight frames of each, and five inner errors with two frames', () => {
    const withFrames = (error: Error): Error => {
      const frames = Array.from({ length: 20 }, (_, n) => `    at f${n} (file.js:${n}:1)`);
      return Object.assign(error, { stack: `${error.name}: ${error.message}\n${frames.join('\n')}` });
    };
    const count = (text: string, part: RegExp): number => text.match(part)?.length ?? 0;
    const detailsOf = (error: unknown): string => partsOfFailure(failureTextOf(error)).details;

    let chain: Error | undefined;
    for (let n = 9; n > 0; n--) chain = new Error(`cause ${n}`, { cause: chain });
    expect(reasonOf(chain)).toBe(Array.from({ length: 8 }, (_, n) => `cause ${n + 1}`).join(': '));

    expect(count(detailsOf(withFrames(new Error('x'))), /^ +at f/gm)).toBe(8);
    const inner = Array.from({ length: 6 }, (_, n) => withFrames(new Error(`inner ${n}`)));
    const many = detailsOf(withFrames(new AggregateError(inner, 'many')));
    expect(count(many, /^Inner error \d of 6: /gm)).toBe(5);
    expect(count(many, /^ +at f/gm)).toBe(8 + 5 * 2);
  });

  it('shows the first frames behind a long message', () => {
    const details = partsOfFailure(failureTextOf(new Error('x'.repeat(20_000)))).details.split('\n');
    expect(Buffer.byteLength(details[0] ?? '')).toBeLessThanOrEqual('Error: '.length + LIMITS.maxReasonBytes / 8);
    expect(details[1]).toMatch(/^\s+at .*util\.test\.ts/);
  });

  it('knows errors whose stack was taken away, and such as no constructor made', () => {
    const bare = Object.assign(new TypeError('bare'), { stack: undefined });
    const made: unknown = Object.create(TypeError.prototype, { message: { value: 'made' } });
    expect([bare, made].map((error) => partsOfFailure(failureTextOf(error)))).toEqual([
      { summary: 'bare', details: 'TypeError: bare' },
      { summary: 'made', details: 'TypeError: made' },
    ]);
  });

  it('includes errors of another realm', () => {
    const error: unknown = vm.runInNewContext('Object.assign(new RangeError("far"), { cause: new Error("root") })');
    expect(error instanceof Error).toBe(false);
    expect(partsOfFailure(failureTextOf(error)).summary).toBe('far: root');
    expect(partsOfFailure(failureTextOf(error)).details).toMatch(/^RangeError: far\n/);
  });
});

describe('brands', () => {
  class Own {}
  class Other {}
  brand(Own, 'test_brand');
  brand(Other, 'test_brand');
  class Sub extends Own {}

  it('make instances of all copies of a class, and only of that class', () => {
    expect(new Own()).toBeInstanceOf(Own);
    expect(new Other()).toBeInstanceOf(Own);
    expect(new Sub()).toBeInstanceOf(Own);
    expect(new Sub()).toBeInstanceOf(Sub);
    expect(new Other() instanceof Sub).toBe(false);
    expect(new Own() instanceof Sub).toBe(false);
    for (const none of [null, undefined, 1, 'test_brand', {}, () => 1])
      expect((none as unknown) instanceof Own).toBe(false);
  });

  it('are read from any value without an error', () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(brandOf(proxy)).toBeUndefined();
    expect(brandOf(Object.create(new Own()))).toBe('test_brand');
    expect(Object.keys(new Own())).toEqual([]);
  });
});

describe('errors of the engine', () => {
  it('are recognised when another copy of the package made them', () => {
    const own = new EngineError('call_timeout', 'x.');
    expect(asEngineError(own)).toBe(own);
    const other = Object.assign(new Error('x'), {
      name: 'EngineError',
      code: 'stale_lease',
      retryable: false,
      detail: {},
    });
    expect(asEngineError(other)).toBe(other);
    expect(other).toBeInstanceOf(EngineError);
    expect(own).not.toBeInstanceOf(SetAsideError);
    expect(other).not.toBeInstanceOf(class extends EngineError {});
    expect(isRetryable(other)).toBe(false);
    // As database clients mark their errors.
    const [final, mistake] = [new Error('x'), new TypeError('x')];
    expect(isRetryable(Object.assign(final, { retryable: false }))).toBe(true);
    expect(isRetryable(Object.assign(mistake, { retryable: true }))).toBe(false);
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    for (const none of [
      proxy,
      new Error('x'),
      { name: 'EngineError' },
      null,
      'EngineError',
      Object.assign(new Error(), { code: 'ECONNRESET' }),
    ])
      expect(asEngineError(none)).toBeUndefined();
  });
});

describe('small helpers', () => {
  it('group by key, in order', () => {
    expect([...groupBy([3, 1, 4, 1, 5, 9, 2, 6], (n) => n % 3)]).toEqual([
      [0, [3, 9, 6]],
      [1, [1, 4, 1]],
      [2, [5, 2]],
    ]);
  });

  it('wait for tasks in flight, including those added meanwhile, and report their errors', async () => {
    const errors: unknown[] = [];
    const flights = new InFlight((error) => errors.push(error));
    const seen: string[] = [];
    const later = async (name: string, then: () => void): Promise<void> => {
      await Promise.resolve();
      seen.push(name);
      then();
    };
    flights.track(later('first', () => flights.track(later('second', () => undefined))));
    flights.track(Promise.reject('no'));
    expect(flights.size).toBe(2);
    await flights.settled();
    expect([seen, errors, flights.size]).toEqual([['first', 'second'], ['no'], 0]);
  });

  it('call quietly: errors are reported, and not thrown', async () => {
    const errors: unknown[] = [];
    const heard = (error: unknown): void => void errors.push(error);
    quietly(() => 1, heard);
    quietly(() => {
      throw 'thrown';
    }, heard);
    quietly(() => Promise.reject('rejected'), heard);
    quietly(
      () =>
        Object.defineProperty({}, 'then', {
          get: () => {
            throw 'touched';
          },
        }),
      heard,
    );
    await new Promise((resolve) => setImmediate(resolve));
    expect(errors).toEqual(['thrown', 'rejected', 'touched']);
  });
});

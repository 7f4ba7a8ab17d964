/** Values that users throw, return or hand over, each odd in its own way; and a watch over what nobody handles. */
import vm from 'node:vm';
import { afterAll, beforeAll } from 'vitest';
import { delay, NonRetryableError, RetryableError } from '../../src/index.js';

const throwing = (): never => {
  throw new Error('touched');
};

/** Throws whatever is done with it. */
export const trap = (target: object = {}): object =>
  new Proxy(
    target,
    Object.fromEntries(
      Object.getOwnPropertyNames(Reflect).map((name) => [name, throwing]),
    ) as unknown as ProxyHandler<object>,
  );

const revoked = (target: object = {}): object => {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
};

const withGetters = (base: object, ...names: string[]): object => {
  for (const name of names) Object.defineProperty(base, name, { get: throwing });
  return base;
};

export const cyclic = (): object => {
  const a: Record<string, unknown> = {};
  a['self'] = a;
  return a;
};

const causeCircle = (): Error => {
  const a = new Error('a');
  const b = new Error('b', { cause: a });
  a.cause = b;
  return b;
};

export const ODD: Readonly<Record<string, () => unknown>> = {
  undefined: () => undefined,
  null: () => null,
  'an empty text': () => '',
  'a number': () => 42,
  NaN: () => NaN,
  'a bigint': () => 10n,
  'a symbol': () => Symbol('odd'),
  'a function': () => () => 'x',
  'a class': () => class Odd {},
  'a lone surrogate': () => 'a\ud800b',
  'control characters': () => '\u0000\u0001\u001b[31m',
  'a huge text': () => 'x'.repeat(5_000_000),
  'a huge text of wide characters': () => '😀'.repeat(1_000_000),
  'an object without prototype': () => Object.create(null) as object,
  'a circle': cyclic,
  'an object whose toJSON throws': () => ({ toJSON: throwing }),
  'an object whose toString is no function': () => ({ toString: 1, valueOf: 2 }),
  'an object with a throwing then': () => withGetters({}, 'then'),
  'an object with a then that throws': () => ({ then: throwing }),
  'an error with an object for its message': () =>
    Object.assign(new Error('x', { cause: new Error('root') }), { message: { status: 500 } }),
  'an error without a message': () => new Error(''),
  'an error whose getters throw': () => withGetters(new Error('x'), 'message', 'stack', 'name', 'cause', 'constructor'),
  'an error with a huge message': () => new Error('y'.repeat(3_000_000)),
  'an error with odd members': () => Object.assign(new Error('x'), { name: 7, stack: {}, cause: Symbol('c') }),
  'an error frozen': () => Object.freeze(new Error('cold')),
  'a circle of causes': causeCircle,
  'a deep chain of causes': () => {
    let error = new Error('0');
    for (let n = 1; n < 2_000; n++) error = new Error(String(n), { cause: error });
    return error;
  },
  'an aggregate with odd members': () => new AggregateError([trap(), revoked(), 'text', causeCircle(), null], 'many'),
  'an aggregate whose errors are no list': () => Object.assign(new AggregateError([]), { errors: trap() }),
  'an error of another realm': () => vm.runInNewContext('new TypeError("elsewhere")'),
  'a proxy that throws whatever is done': () => trap(),
  'a callable proxy that throws whatever is done': () => trap(() => undefined),
  'a proxy of an error that throws': () => trap(new Error('inside')),
  'a revoked proxy': () => revoked(),
  'a revoked proxy of an error': () => revoked(new Error('inside')),
  'a non-retryable error with an odd category': () => new NonRetryableError('x', { category: 500 as never }),
  'a non-retryable error with a proxy for a category': () => new NonRetryableError('x', { category: trap() as never }),
  'a non-retryable error with a symbol for a message': () =>
    Object.assign(new NonRetryableError('x'), { message: Symbol('m') }),
  'a retryable error with a text for its time': () => new RetryableError('x', { retryAfterMs: '5s' as never }),
  'a retryable error with a bigint for its time': () => new RetryableError('x', { retryAfterMs: 5n as never }),
  'a retryable error with an object for its time': () => new RetryableError('x', { retryAfterMs: trap() as never }),
  'a retryable error with NaN for its time': () => new RetryableError('x', { retryAfterMs: NaN }),
  'a retryable error of whose time nothing is left': () => new RetryableError('x', { retryAfterMs: -Infinity }),
  'a retryable error whose getters throw': () =>
    withGetters(new RetryableError('x'), 'retryAfterMs', 'category', 'message'),
  'a delay without a time': () => Object.assign(delay(0), { until: undefined }),
  'a delay until nobody knows when': () => Object.assign(delay(0), { until: { at: NaN } }),
  'a delay that throws': () => Object.assign(delay(0), { until: trap() }),
  'a revoked date': () => new Date(NaN),
};
export const make = (name: string): unknown => (ODD[name] as () => unknown)();

/** Collects the unhandled rejections and uncaught exceptions of a test file. */
export function watchUnhandled(): unknown[] {
  const unhandled: unknown[] = [];
  const note = (error: unknown): void => void unhandled.push(error);
  beforeAll(() => {
    process.on('unhandledRejection', note);
    process.on('uncaughtException', note);
  });
  afterAll(() => {
    process.off('unhandledRejection', note);
    process.off('uncaughtException', note);
  });
  return unhandled;
}

import vm from 'node:vm';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { LIMITS } from '../../model/limits.js';
import { BYTES_ENCODING, decode, encode, JSON_ENCODING } from '../../src/shared/codec.js';
import { jsonOf } from '../../src/shared/json.js';
import { failureOf } from '../../src/app/runs/failure.js';
import { policyOf, policyOfRun } from '../../src/app/tasks/policy.js';
import { validate } from '../../src/shared/schema.js';
import { backoff, durationMs, EngineError, InvalidDefinitionError } from '../../src/index.js';
import { abortCodeOf } from '../../src/worker/lease/refusal.js';
import { resolveSettings } from '../../src/worker/options.js';
import { categoryOf } from '../../src/worker/handler/text.js';
import { reasonOf } from '../../src/util/failure-text.js';
import { boundText } from '../../src/util/text.js';

const written = (value: unknown) => encode(value, (problem) => new Error(`The result: ${problem}`));

describe('durations', () => {
  it.each([
    [250, 250],
    ['250ms', 250],
    ['30s', 30_000],
    ['5m', 300_000],
    ['1.5h', 5_400_000],
    ['2d', 172_800_000],
    [0, 0],
    [1.6, 2],
  ] as const)('%s is %i ms', (duration, ms) => {
    expect(durationMs(duration)).toBe(ms);
  });

  it.each(['', 's', '5', '5 s', '-5s', '5w', '1e3s', -1, NaN, Infinity])('%s is refused', (text) => {
    expect(() => durationMs(text as never)).toThrow(InvalidDefinitionError);
  });
});

describe('payloads', () => {
  it.each([null, true, 0, '', 'text', [1, { a: [] }], { deep: { er: 'ü' } }])('%j comes back as JSON', (value) => {
    const encoded = written(value);
    expect(encoded.encoding).toBe(JSON_ENCODING);
    expect(decode(encoded)).toEqual(value);
  });

  it('are stored as they are when they are bytes, and as nothing when they are undefined', () => {
    const bytes = new Uint8Array([0, 1, 255]);
    expect(written(bytes)).toEqual({ bytes, encoding: BYTES_ENCODING });
    expect(decode({ bytes, encoding: undefined })).toBe(bytes);
    expect(decode(written(undefined))).toBeUndefined();
    expect(decode({ bytes: new Uint8Array(0), encoding: undefined })).toBeUndefined();
    expect(decode({ bytes: new Uint8Array(0), encoding: BYTES_ENCODING })).toEqual(new Uint8Array(0));
  });

  it('that cannot be written are refused as too large, or for what they are', () => {
    const cycle: unknown[] = [];
    cycle.push(cycle);
    const gone = new Uint8Array(1);
    structuredClone(gone, { transfer: [gone.buffer] });
    const { maxPayloadBytes } = LIMITS;
    const isTooLarge = (value: unknown): unknown => {
      try {
        return encode(value, (_, isLarge) => new Error(isLarge ? 'too large' : 'no value'));
      } catch (error) {
        return (error as Error).message;
      }
    };
    for (const value of [() => 1, Symbol('s'), { toJSON: () => undefined }, 1n, [NaN], cycle, gone])
      expect(isTooLarge(value)).toBe('no value');
    for (const value of [new Uint8Array(maxPayloadBytes + 1), 'x'.repeat(maxPayloadBytes - 1)])
      expect(isTooLarge(value)).toBe('too large');
    expect(isTooLarge('x'.repeat(maxPayloadBytes - 2))).toHaveProperty('encoding', JSON_ENCODING);
  });

  const LOST: readonly (readonly [value: unknown, name: string])[] = [
    [new Map([[1, 2]]), 'a Map'],
    [new Set([1]), 'a Set'],
    [new WeakRef({}), 'a WeakRef'],
    [new Float32Array(2), 'a Float32Array'],
    [new DataView(new ArrayBuffer(1)), 'a DataView'],
    [new ArrayBuffer(1), 'an ArrayBuffer'],
    [Object.assign(new TypeError('x'), { status: 500 }), 'an Error'],
    [vm.runInNewContext('new Error("x")'), 'an Error'],
    [/x/, 'a RegExp'],
    [Promise.resolve(1), 'a Promise'],
    [new Date(NaN), 'an invalid Date'],
    [new Blob(['x']), 'a Blob'],
    [new URLSearchParams('a=b'), 'a URLSearchParams'],
    [new Intl.NumberFormat('en'), 'an Intl.NumberFormat'],
    [new AbortController().signal, 'an AbortSignal'],
    [NaN, 'NaN'],
    [-Infinity, '-Infinity'],
    [Object(NaN), 'no finite number'],
    [1n, 'a bigint'],
    [Symbol('x'), 'a symbol'],
    [{ toJSON: () => new Map() }, 'a Map'],
    [Object.defineProperty({}, 'toJSON', { value: () => new Map() }), 'a Map'],
    [Object.assign([1], { toJSON: () => new Map() }), 'a Map'],
    [Object.assign(new Date(0), { toJSON: () => new Map() }), 'a Map'],
    [
      (function* () {
        yield 1;
      })(),
      'a Generator',
    ],
  ];
  it.each(LOST)('are refused when JSON would change them silently: %s', (value, name) => {
    expect(() => written(value)).toThrow(`The result: ${name} cannot be written as JSON.`);
    const path = 'orders[1][…].lines';
    const around = { orders: [{}, { 'sold at': { total: 1, lines: value } }] };
    expect(() => written(around)).toThrow(
      `The result: its member ${path} is ${name}, which cannot be written as JSON.`,
    );
    expect(() => written([0, value])).toThrow(
      `The result: its member [1] is ${name}, which cannot be written as JSON.`,
    );
  });

  it('may not contain bytes or functions where JSON writes other values', () => {
    expect(() => written({ file: Buffer.from('x') })).toThrow('its member file is a Uint8Array, which');
    expect(() => written([() => 1])).toThrow('its member [0] is a function, which');
  });

  it('arrive as their types say: undefined items as null, undefined and function members not at all', () => {
    // The last item is a hole.
    const value = {
      list: Object.assign([1, undefined], { length: 3 }),
      gone: undefined,
      call: () => 1,
      at: new Date(5),
    };
    expect(decode(written(value))).toEqual({ list: [1, null, null], at: '1970-01-01T00:00:00.005Z' });
  });

  it('are refused with the path of the wrong member, also when neighbours share objects with it', () => {
    const shared = { ok: 1 };
    expect(() => written({ a: shared, b: [shared, { c: shared, d: new Set() }] })).toThrow(
      'its member b[1].d is a Set',
    );
    expect(() => written({ a: { at: new Date(0), wrong: NaN } })).toThrow('its member a.wrong is NaN');
    const names = Array.from({ length: 20 }, (_, index) => `n${index}`);
    const deep = names.reduceRight<unknown>((inner, name) => ({ [name]: inner }), new Map());
    expect(() => written(deep)).toThrow(/its member n0\.n1\.[n\d.]*n15… is a Map/);
    // Keys of a map can be what nobody else may read.
    for (const key of ['k'.repeat(100), 'jane@example.com'])
      expect(() => written({ [key]: { n: NaN } })).toThrow(/its member \[…\]\.n is NaN/);
  });

  it('are refused quickly when they are arrays without items, which are written as null', () => {
    expect(() => written(new Array(2 ** 32 - 1))).toThrow('has more than 8388608 values');
    // A function is left out, and what has one is looked at in another way.
    expect(() => jsonOf({ f: () => 1, list: new Array(1_000_000) }, 99_999)).toThrow('has more than 99999 values');
    expect(jsonOf([1, undefined], 3)).toBe('[1,null]');
    expect(() => jsonOf([1, undefined], 2)).toThrow('has more than 2 values');
  });

  it('are refused quickly when one object is repeated in a great many places', () => {
    let value: unknown = [0];
    for (let level = 0; level < 60; level++) value = [value, value];
    expect(() => written(value)).toThrow('has more than 8388608 values');
    const site = new URL('https://a.b/');
    expect(jsonOf([site, 1, 2], 4)).toBe('["https://a.b/",1,2]');
    expect(() => jsonOf([site, 1, 2, 3], 4)).toThrow('has more than 4 values');
    // Values without a toJSON are counted in another way.
    expect(jsonOf([1, 'a', null], 4)).toBe('[1,"a",null]');
    expect(() => jsonOf([1, 'a', null, true], 4)).toThrow('has more than 4 values');
    // A member without a value is not written.
    for (const value of [1, new Date(0)]) expect(jsonOf({ value, none: undefined }, 2)).toMatch(/^\{"value":[^,]+\}$/);
  });

  it('may be objects of any class that JSON can write', () => {
    class Point {
      x = 1;
    }
    const withJson = Object.assign(new Map(), { toJSON: () => 'mine' });
    for (const value of [new Point(), Object.create(null), new Date(0), withJson, new URL('https://a.b/')])
      expect(decode(written(value))).toEqual(JSON.parse(JSON.stringify(value)));
  });

  it('that are bytes arrive as a Uint8Array, whatever their class was', () => {
    const read = decode({ bytes: Buffer.from('abc'), encoding: BYTES_ENCODING }) as Uint8Array;
    expect([read.constructor, [...read]]).toEqual([Uint8Array, [97, 98, 99]]);
  });

  it('may be bytes of another realm, but not bytes whose buffer was transferred', () => {
    const foreign = vm.runInNewContext('new Uint8Array([1, 2])') as Uint8Array;
    expect(written(foreign)).toEqual({ bytes: new Uint8Array([1, 2]), encoding: BYTES_ENCODING });
    expect(written(Object.create(Uint8Array.prototype)).encoding).toBe(JSON_ENCODING);
    const gone = new Uint8Array(8);
    structuredClone(gone, { transfer: [gone.buffer] });
    expect(() => written(gone)).toThrow('The result: the buffer of the bytes was transferred');
  });

  it('that cannot be written or read are refused', () => {
    const cycle: { self?: unknown } = {};
    cycle.self = cycle;
    expect(() => written(cycle)).toThrow('(a cycle, too many levels,');
    expect(() => written(() => 1)).toThrow('a function cannot be');
    expect(() => written(new Uint8Array(8 * 1024 * 1024 + 1))).toThrow('are more than the limit of');
    expect(() => decode({ bytes: new Uint8Array([0xff]), encoding: JSON_ENCODING })).toThrow();
    expect(() => decode({ bytes: undefined, encoding: JSON_ENCODING })).toThrow();
  });
});

describe('policies', () => {
  it('contain only what the definition says', () => {
    expect(policyOf({})).toBeUndefined();
    expect(policyOf({ needs: [] })).toBeUndefined();
    expect(
      policyOf({
        retry: { failures: 2, crashes: 7, backoff: backoff.fixed('2s') },
        timeout: { attempt: '1s', total: '1m' },
        needs: ['eu'],
        retention: '7d',
      }),
    ).toEqual({
      retryPolicy: { maxRetries: 2, backoff: { type: 'fixed', delayMs: 2_000 } },
      maxReclaimCount: 7,
      timeoutPolicy: { attemptTimeoutMs: 1_000, executionDeadlineMs: 60_000 },
      routingRequirements: { requiredCapabilities: ['eu'] },
      streamPolicy: { retentionTtlMs: 604_800_000 },
    });
  });

  it('of a run add the options of the run', () => {
    const policy = policyOf({ timeout: { attempt: 5, total: 100 } });
    expect(policyOfRun(policy, {})).toBe(policy);
    expect(policyOfRun(policy, { deadline: new Date(5) })).toBe(policy);
    expect(policyOfRun(policy, { deadline: '2s', idempotencyWindow: '1h' })).toEqual({
      timeoutPolicy: { attemptTimeoutMs: 5, executionDeadlineMs: 2_000 },
      dedupWindowMs: 3_600_000,
    });
  });

  it('have a backoff that never starts above its maximum', () => {
    expect(backoff.exponential('2h')).toMatchObject({
      initialDelayMs: 7_200_000,
      maxDelayMs: 7_200_000,
      jitter: true,
      multiplier: 2,
    });
    expect(backoff.exponential('1s', { max: '5m', factor: 3, jitter: false })).toEqual({
      type: 'exponential',
      initialDelayMs: 1_000,
      maxDelayMs: 300_000,
      multiplier: 3,
      jitter: false,
    });
  });
});

describe('schemas', () => {
  it('report the problem and its path', async () => {
    const schema = z.object({ a: z.object({ b: z.int() }), c: z.string() });
    const problem = await validate(schema, { a: { b: 'x' } });
    expect(problem).toMatchObject({ ok: false });
    expect((problem as { problem: string }).problem).toMatch(/a\.b: .*; c: /);
  });
});

describe('stored failures', () => {
  it('have a message, and a class and details where an error was thrown', () => {
    const details = 'TypeError: no such column\n    at run (db.js:1:2)\nCaused by Error: socket hang up';
    expect(failureOf(`no such column: socket hang up\n\n--- details ---\n${details}`, 'handler_error')).toEqual({
      message: 'no such column: socket hang up',
      category: 'handler_error',
      class: 'TypeError',
      details,
    });
    expect(failureOf('max_reclaims_exceeded', 'max_reclaims_exceeded')).toEqual({
      message: 'max_reclaims_exceeded',
      category: 'max_reclaims_exceeded',
      class: undefined,
      details: '',
    });
  });
});

describe('texts of failures', () => {
  it('are cut at the end of a character', () => {
    expect(boundText('abc', 3)).toBe('abc');
    expect(boundText('äöü', 5)).toBe('ä…');
    expect(boundText('😀😀', 7)).toBe('😀…');
    expect(boundText('a\ud800', 10)).toBe('a\ufffd');
  });

  it('contain each cause once, and stop at a cycle', () => {
    const root = new Error('root');
    expect(reasonOf(new Error('top', { cause: root }))).toBe('top: root');
    expect(reasonOf(new Error('wrapped: root', { cause: root }))).toBe('wrapped: root');
    expect(reasonOf(new TypeError(''))).toBe('TypeError');
    expect(reasonOf(undefined)).toBe('unknown error');
    const loop = new Error('loop');
    loop.cause = loop;
    expect(reasonOf(loop)).toBe('loop');
    const [outer, inner] = [new Error('outer'), new Error('inner')];
    [outer.cause, inner.cause] = [inner, outer];
    expect(reasonOf(outer)).toBe('outer: inner');
  });

  it('have categories that the engine accepts', () => {
    expect(categoryOf(undefined, 'x')).toBe('x');
    expect(categoryOf('a,b|c\n', 'x')).toBe('a_b_c_');
    expect(categoryOf('ü'.repeat(200), 'x').length).toBeLessThan(70);
  });
});

describe('refusals', () => {
  const refused = (detail: Record<string, string>): EngineError =>
    new EngineError('execution_not_active', 'x.', { detail });
  const neither = { attemptTimedOut: false, deadlinePassed: false };

  it.each([
    ['cancelled', refused({ terminalOutcome: 'cancelled' }), neither],
    ['deadline', refused({ terminalOutcome: 'expired' }), neither],
    ['deadline', refused({ terminalOutcome: 'expired' }), { attemptTimedOut: true, deadlinePassed: true }],
    ['attempt_timeout', refused({ terminalOutcome: 'expired' }), { attemptTimedOut: true, deadlinePassed: false }],
    ['attempt_timeout', refused({ terminalOutcome: 'none' }), { attemptTimedOut: true, deadlinePassed: false }],
    ['lease_lost', refused({ terminalOutcome: 'success' }), neither],
    ['lease_lost', new EngineError('stale_lease', 'x.'), neither],
    ['lease_lost', new EngineError('lease_expired', 'x.'), neither],
    ['lease_lost', new EngineError('execution_not_found', 'x.'), neither],
    ['lease_revoked', new EngineError('lease_revoked', 'x.'), neither],
    [undefined, new EngineError('transport_failed', 'x.'), neither],
  ])('mean %s', (code, error, timeouts) => {
    expect(abortCodeOf(error, { timeoutIsFirst: false, ...timeouts })).toBe(code);
  });
});

describe('worker options', () => {
  it('have defaults and bounds', () => {
    expect(resolveSettings({})).toEqual({
      slots: 1,
      claimAhead: 0,
      capabilities: [],
      leaseTtlMs: 10_000,
      abortGraceMs: 30_000,
      drainTimeoutMs: 25_000,
      sweepIntervalMs: 5_000,
      handleSignals: false,
      onUnhandled: 'leave',
      workerId: 'worker',
    });
    for (const wrong of [{ slots: 0 }, { slots: 1.5 }, { claimAhead: -1 }, { leaseTtlMs: 999 }])
      expect(() => resolveSettings(wrong)).toThrow(/whole number/);
  });
});

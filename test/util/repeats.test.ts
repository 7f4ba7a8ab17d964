import { expect, test } from 'vitest';
import { EngineError } from '../../model/errors.js';
import { Repeats } from '../../src/util/repeats.js';

const lost = () => new EngineError('transport_failed', 'The connection was lost.');

test('a persistent fault is new once, and again after it was absent', () => {
  let now = 0;
  const repeats = new Repeats(() => now);
  expect(repeats.isRepeat(lost())).toBe(false);
  for (let tries = 0; tries < 50; tries++) {
    now += 5_000;
    expect(repeats.isRepeat(lost())).toBe(true);
  }
  expect(repeats.isRepeat(new EngineError('call_timeout', 'No answer.'))).toBe(false);
  now += 30_000;
  expect(repeats.isRepeat(lost())).toBe(false);
});

test('odd values count as faults too', () => {
  const repeats = new Repeats(() => 0);
  const unreadable = new Proxy(
    {},
    {
      get: () => {
        throw new Error('no');
      },
    },
  );
  for (const odd of [undefined, null, 5, unreadable]) expect(repeats.isRepeat(odd)).toBe(odd !== undefined);
});

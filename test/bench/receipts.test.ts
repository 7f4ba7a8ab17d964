/** What the benchmark demands of every engine: each job once, with its whole payload. */
import { expect, test } from 'vitest';
import { numberedPayloads, Receipts } from '../../bench/payload.js';

const payloads = numberedPayloads(3, 64);

function delivered(...texts: readonly (string | Uint8Array | undefined)[]): Receipts {
  const receipts = new Receipts('an engine', payloads);
  for (const text of texts) receipts.note(text ?? '');
  return receipts;
}

const [first, second, third] = payloads;

test('payloads differ, and have the requested length', () => {
  expect(new Set(payloads.map(({ text }) => text)).size).toBe(3);
  expect(payloads.map(({ bytes }) => bytes.byteLength)).toEqual([64, 64, 64]);
});

test('every payload once, as text or as bytes, in any order', () => {
  expect(() => delivered(third?.text, first?.bytes, second?.text).assertOnceEach()).not.toThrow();
});

test('a job that did not run is found', () => {
  expect(() => delivered(first?.text, second?.text).assertOnceEach()).toThrow('2 of 3');
});

test('a job that ran twice is found, although the number of jobs is right', () => {
  expect(() => delivered(first?.text, second?.text, first?.bytes).assertOnceEach()).toThrow('twice');
});

test('a payload that was cut or changed is found', () => {
  expect(() => delivered(first?.text.slice(0, 63), second?.text, third?.text).assertOnceEach()).toThrow(
    'not payload 0',
  );
  const changed = Buffer.from(second?.bytes ?? []);
  changed[63] = 33;
  expect(() => delivered(first?.text, changed, third?.text).assertOnceEach()).toThrow('not payload 1');
});

/** Entries of the log as a client decodes them: those of newer builds are data, what no build writes is damage. */
import { describe, expect, it } from 'vitest';
import { EVENTS } from '../../model/events.js';
import { decodeEntry } from '../../src/valkey/records/log-entries.js';

const PARTITION = '{fp:0}';
const bytes = (text: string): Buffer => Buffer.from(text);
const decoded = (...texts: string[]) => decodeEntry([bytes('7-1000'), texts.map(bytes)], PARTITION);

describe('an entry of a newer build', () => {
  it.each([
    ['without facts', [], []],
    ['with facts', ['a\tb', 'c'], ['a\tb', 'c']],
    ['with empty facts', ['', ''], ['', '']],
  ])('%s is passed on as data', (_, facts, texts) => {
    expect(decoded('zz', 'subject', ...facts)).toEqual({
      sequence: 7,
      event: { type: 'unknown', at: 1_000, letter: 'zz', subject: 'subject', texts },
    });
  });

  it('may have any letter of the form of ours, and no other', () => {
    const letters = Object.values(EVENTS).map(({ letter }) => letter);
    expect(letters.filter((letter) => !/^[A-Za-z]{1,2}$/.test(letter))).toEqual([]);
    expect(letters).not.toContain('zz');
  });
});

it.each([
  ['a letter that is none', ['?', 'subject']],
  ['a letter that is too long', ['zzz', 'subject']],
  ['no letter', ['', 'subject']],
  ['no subject', ['zz', '']],
  ['half a pair', ['zz', 'subject', 'a']],
  ['nothing', []],
])('%s is reported as damage', (_, texts) => {
  expect(() => decoded(...texts)).toThrow(expect.objectContaining({ code: 'corruption' }));
});

/** Reading a log by cursors: what is gone is never "nothing new". */
import { describe, expect, test } from 'vitest';
import type { ArgsOf } from '../../model/machine.js';
import { QUERIES } from '../../model/machine.js';
import {
  BEGINNING,
  decodeCursor,
  encodeCursor,
  generationOf,
  isCursor,
  markedCursor,
  type Cursor,
} from '../../model/partition/cursor.js';
import type { LogPage } from '../../model/partition/reads.js';
import { SpecMachine } from '../../model/specification/machine.js';
import { created, idOf, PARTITION, RETENTION_MS, START } from './dsl.js';

const G = generationOf(START + 1);

/** A log of so many entries, the n-th at START + n. */
function logOf(entries: number, from = START): SpecMachine {
  const machine = new SpecMachine({ retentionMs: RETENTION_MS });
  for (let n = 1; n <= entries; n++) machine.record(created({ executionId: idOf(n), at: from + n }));
  return machine;
}

/** The first entries are trimmed. */
function trimmed(entries: number, gone: number): SpecMachine {
  const machine = logOf(entries);
  machine.partition.log.splice(0, gone);
  return machine;
}

const at = (sequence: number, facts: Partial<Cursor> = {}): string =>
  encodeCursor({ generation: G, sequence, time: START + sequence, ...facts });

function read(machine: SpecMachine, args: Partial<ArgsOf<'readLog'>> = {}) {
  const parsed = QUERIES.readLog.args.parse({ partition: PARTITION, ...args });
  return QUERIES.readLog.read(machine.view, parsed, { now: START, settings: { retentionMs: RETENTION_MS } });
}

function page(machine: SpecMachine, args: Partial<ArgsOf<'readLog'>> = {}) {
  const answer = read(machine, args) as { ok: boolean; outcome: LogPage };
  expect(answer.ok).toBe(true);
  const { events, next, end, atEnd } = answer.outcome;
  return { entries: events.map(({ sequence }) => sequence), next, end, atEnd };
}

describe('a page', () => {
  test('from the beginning', () => {
    expect(page(logOf(3))).toEqual({ entries: [1, 2, 3], next: at(3), end: at(3), atEnd: true });
    expect(page(logOf(3), { limit: 2 })).toEqual({ entries: [1, 2], next: at(2), end: at(3), atEnd: false });
    expect(page(logOf(3), { limit: 3 }).atEnd).toBe(true);
    expect(page(logOf(3), { after: encodeCursor(BEGINNING), limit: 1 }).entries).toEqual([1]);
    expect(page(logOf(3), { after: at(0, { time: 0 }), limit: 1 }).entries).toEqual([1]);
  });

  test('from the middle, strictly after the cursor', () => {
    expect(page(logOf(5), { after: at(1) }).entries).toEqual([2, 3, 4, 5]);
    expect(page(logOf(5), { after: at(2), limit: 2 })).toEqual({
      entries: [3, 4],
      next: at(4),
      end: at(5),
      atEnd: false,
    });
    expect(page(logOf(5), { after: at(4), limit: 1 })).toMatchObject({ entries: [5], atEnd: true });
  });

  test('at the end is empty, and the cursor stays', () => {
    expect(page(logOf(3), { after: at(3) })).toEqual({ entries: [], next: at(3), end: at(3), atEnd: true });
  });

  test('of an empty log is empty; from there the first entry follows', () => {
    const { next, ...rest } = page(logOf(0));
    expect(rest).toEqual({ entries: [], end: '.0.0', atEnd: true });
    expect(page(logOf(1), { after: next }).entries).toEqual([1]);
  });

  test('after page covers the log, whatever the page size', () => {
    const machine = logOf(7);
    for (let limit = 1; limit <= 8; limit++) {
      const seen: number[] = [];
      let after: string | undefined;
      for (let done = false; !done; ) {
        const { entries, next, atEnd } = page(machine, { limit, ...(after === undefined ? {} : { after }) });
        seen.push(...entries);
        [after, done] = [next, atEnd];
      }
      expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7]);
    }
  });
});

describe('a cursor is lost', () => {
  test.each([
    ['beyond the end', logOf(3), at(4)],
    ['far beyond the end', logOf(3), at(Number.MAX_SAFE_INTEGER, { time: 0 })],
    ['of another generation', logOf(3), at(2, { generation: 'another' })],
    ['of another generation, at its beginning', logOf(3), at(0, { generation: 'another', time: 0 })],
    ['whose entry has another time: a lost tail grew again', logOf(3), at(2, { time: START + 3 })],
    ['whose last entry has another time', logOf(3), at(3, { time: START + 2 })],
    ['of a log that is gone', logOf(0), at(2)],
    ['of a log that was made anew', logOf(3, START + 50), at(2)],
    ['beyond the end of a trimmed log', trimmed(3, 2), at(4)],
    ['of another generation than a trimmed log', trimmed(5, 3), at(1, { generation: 'another' })],
    ['whose entry has another time, behind a trim that reaches just to it', trimmed(5, 2), at(3, { time: START + 9 })],
  ])('%s', (_, machine, after) => {
    expect(read(machine, { after })).toMatchObject({ ok: false, code: 'cursor_lost' });
  });
});

describe('a trimmed log', () => {
  test.each([
    ['from the beginning', undefined],
    ['from the first entry', at(1)],
    ['from just before what is gone ends', at(2)],
    ['from the beginning, by a cursor', encodeCursor(BEGINNING)],
  ])('cannot be read %s', (_, after) => {
    const answer = read(trimmed(6, 4), after === undefined ? {} : { after });
    expect(answer).toMatchObject({ ok: false, code: 'cursor_too_old', detail: { earliest: at(4, { time: 0 }) } });
  });

  test('is read from the last trimmed entry on', () => {
    expect(page(trimmed(6, 4), { after: at(4) }).entries).toEqual([5, 6]);
    expect(page(trimmed(6, 4), { after: at(5) }).entries).toEqual([6]);
  });

  test('is read from the earliest cursor that the refusal names', () => {
    const machine = trimmed(6, 4);
    const refusal = read(machine) as unknown as { detail: { earliest: string } };
    expect(page(machine, { after: refusal.detail.earliest })).toMatchObject({ entries: [5, 6], atEnd: true });
  });

  test('of which nothing is left refuses all cursors but that of its end', () => {
    const machine = trimmed(3, 3);
    expect(read(machine)).toMatchObject({ code: 'cursor_too_old', detail: { earliest: at(3, { time: 0 }) } });
    expect(read(machine, { after: at(2) })).toMatchObject({ code: 'cursor_too_old' });
    expect(page(machine, { after: at(3) })).toEqual({ entries: [], next: at(3), end: at(3), atEnd: true });
  });
});

describe('the text of a cursor', () => {
  test('is decoded to the same cursor', () => {
    const cursor = { generation: G, sequence: 12, time: START };
    expect(decodeCursor(encodeCursor(cursor))).toEqual(cursor);
    expect(decodeCursor(encodeCursor(BEGINNING))).toEqual(BEGINNING);
  });

  test.each([
    '',
    '1',
    '1.2',
    'a.b.c',
    'a.-1.0',
    'a.01.0',
    'a.1.0.0',
    'A.1.0',
    ' a.1.0',
    'a.1.0\n',
    `${'a'.repeat(17)}.1.0`,
  ])('%j is not a cursor', (text) => {
    expect(isCursor(text)).toBe(false);
    expect(() => decodeCursor(text)).toThrowError(/invalid_input/);
    expect(QUERIES.readLog.args.safeParse({ partition: PARTITION, after: text }).success).toBe(false);
  });

  test('names its log: logs whose first entries differ in time have different names', () => {
    expect(generationOf(START)).not.toBe(generationOf(START + 1));
    expect(isCursor(encodeCursor({ generation: generationOf(Number.MAX_SAFE_INTEGER), sequence: 1, time: 1 }))).toBe(
      true,
    );
  });
});

describe('a cursor with marks', () => {
  const marked = (sequence: number, facts: object = {}): string =>
    encodeCursor(markedCursor(decodeCursor(at(sequence, facts))));

  test('is short, and reads on like the cursor that it was made of', () => {
    expect(marked(2)).toMatch(/^~[0-9a-z]{1,4}\.2\.[0-9]{1,8}$/);
    expect(markedCursor(decodeCursor(marked(2)))).toEqual(decodeCursor(marked(2)));
    expect(page(logOf(4), { after: marked(2) })).toMatchObject({ entries: [3, 4], next: at(4) });
    expect(page(logOf(4), { after: marked(2, { time: 0 }) })).toMatchObject({ entries: [3, 4] });
    expect(page(logOf(2), { after: encodeCursor(markedCursor(BEGINNING)) })).toMatchObject({ entries: [1, 2] });
  });

  test.each([
    ['of another generation', logOf(3), marked(2, { generation: 'another' })],
    ['whose entry has another time', logOf(3), marked(2, { time: START + 3 })],
    ['of a log that was made anew', logOf(3, START + 50), marked(2)],
    ['beyond the end', logOf(3), marked(4)],
  ])('is lost when it is one %s', (_, machine, after) => {
    expect(read(machine, { after })).toMatchObject({ ok: false, code: 'cursor_lost' });
  });
});

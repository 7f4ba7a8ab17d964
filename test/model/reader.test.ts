/** Readers of the log: where they are, and what they hold back. */
import { describe, expect, test } from 'vitest';
import type { Event } from '../../model/events.js';
import { LIMITS } from '../../model/limits.js';
import { decodeCursor, encodeCursor, generationOf, isCursor } from '../../model/partition/cursor.js';
import { trimFloor } from '../../model/reader/entity.js';
import { created, given, idOf, NOW, PARTITION, START } from './dsl.js';

const G = generationOf(START + 1);
const at = (sequence: number, generation = G): string => encodeCursor({ generation, sequence, time: START + sequence });
const BEGINNING = '.0.0';
/** So many executions were created, the n-th at START + n. */
const history = (entries: number): Event[] =>
  Array.from({ length: entries }, (_, i) => created({ executionId: idOf(i + 1), at: START + i + 1 }));
const committed = (sequence: number, readerId = 'billing', generation = G): Event => ({
  ...{ type: 'reader_committed', readerId, at: START + 50, generation, sequence, time: START + sequence },
});
const commit = (position: string, readerId = 'billing') => ({ partition: PARTITION, readerId, position });

describe('commitReader', () => {
  test('adds a reader, and moves it forward', () => {
    given(...history(3))
      .when('commitReader', commit(at(2)))
      .answers({ kind: 'committed' })
      .then({ type: 'reader_committed', readerId: 'billing', generation: G, sequence: 2, time: START + 2, at: NOW })
      .when('commitReader', commit(at(3)), NOW + 1)
      .answers({ kind: 'committed' })
      .then({ type: 'reader_committed', sequence: 3 });
    given().when('commitReader', commit(BEGINNING)).answers({ kind: 'committed' });
    given(...history(2))
      .when('commitReader', commit(BEGINNING))
      .answers({ kind: 'committed' });
  });

  test.each([
    ['the same place', at(2)],
    ['a place before', at(1)],
    ['the beginning', BEGINNING],
  ])('never moves a reader back: %s', (_, position) => {
    given(...history(3), committed(2))
      .when('commitReader', commit(position))
      .answers({ kind: 'unchanged' })
      .nothingHappens();
  });

  test('moves a reader of a lost log to the new log', () => {
    given(...history(3), committed(900, 'billing', 'another'))
      .when('commitReader', commit(at(1)))
      .answers({ kind: 'committed' });
  });

  test.each([
    ['behind its end', at(5)],
    ['of another log', at(2, 'another')],
    ['of a log without a name', encodeCursor({ generation: '', sequence: 1, time: 0 })],
    ['of another time', encodeCursor({ generation: G, sequence: 2, time: START + 3 })],
  ])('refuses a position %s as lost', (_, position) => {
    given(...history(3))
      .when('commitReader', commit(position))
      .refuses('cursor_lost');
  });

  test('a place whose time is not known is taken', () => {
    given(...history(3))
      .when('commitReader', commit(encodeCursor({ generation: G, sequence: 2, time: 0 })))
      .answers({ kind: 'committed' });
  });

  test('a place has exact numbers', () => {
    const inexact = 2 ** 53;
    for (const position of [`${G}.1.${inexact}`, `${G}.${inexact}.1`, `~1.1.${inexact}`]) {
      expect(isCursor(position)).toBe(false);
      expect(() => decodeCursor(position)).toThrow('must be a cursor');
    }
    expect(isCursor(`${G}.${inexact - 1}.${inexact - 1}`)).toBe(true);
  });

  test('accepts a maximum number of readers per partition', () => {
    const readers = Array.from({ length: LIMITS.maxReaders }, (_, i) => committed(1, `reader-${i}`));
    given(...history(1), ...readers)
      .when('commitReader', commit(at(1)))
      .refuses('too_many_readers', { maxReaders: String(LIMITS.maxReaders) })
      // The second entry is the first commit.
      .when('commitReader', commit(encodeCursor({ generation: G, sequence: 2, time: START + 50 }), 'reader-0'), NOW)
      .answers({ kind: 'committed' });
  });
});

describe('forgetReader', () => {
  test('removes a reader, once', () => {
    given(...history(1), committed(1))
      .when('forgetReader', { partition: PARTITION, readerId: 'billing' })
      .answers({ kind: 'forgotten' })
      .then({ type: 'reader_forgotten', readerId: 'billing' })
      .when('forgetReader', { partition: PARTITION, readerId: 'billing' }, NOW)
      .answers({ kind: 'unknown' })
      .nothingHappens();
  });
});

test('the log is held back by the reader furthest behind among those of this log', () => {
  const reader = (sequence: number, generation = G) => ({
    ...{ readerId: `${sequence}`, generation, sequence, time: 0, committedAt: 0 },
  });
  expect(trimFloor([], G)).toBeUndefined();
  expect(trimFloor([reader(7), reader(3), reader(5)], G)).toBe(3);
  expect(trimFloor([reader(7), reader(3, 'another')], G)).toBe(7);
  expect(trimFloor([reader(3, 'another')], G)).toBeUndefined();
  expect(trimFloor([reader(7), reader(0, '')], G)).toBe(0);
});

test('readers are listed with their lag', () => {
  const { listed } = {
    listed: given(...history(3), committed(2, 'b'), committed(1, 'a'), committed(9, 'c', 'another'))
      .when('watchEnds', { partition: PARTITION, ttlMs: 1 })
      .reads('listReaders', { partition: PARTITION }, NOW),
  };
  expect(listed).toMatchObject({
    ok: true,
    outcome: [
      { readerId: 'a', position: at(1), committedAt: START + 50, lagEntries: 5 },
      { readerId: 'b', position: at(2), lagEntries: 4 },
      { readerId: 'c', lagEntries: undefined },
    ],
  });
});

/**
 * The events that a durable reader received are checked: each falsified record is reported, and a correct one passes.
 */
import { describe, expect, it } from 'vitest';
import { executionIdOf } from '../../model/ids.js';
import type { LoggedEvent } from '../../model/events.js';
import { judgeReadings } from './judge-readings.js';
import { GROUP, type Reading } from './reader.js';

const entry = (sequence: number): LoggedEvent => ({
  sequence,
  event: {
    type: 'execution_purged',
    executionId: executionIdOf(0, '00000000-0000-4000-8000-000000000000'),
    at: sequence,
  },
});
const committed = (sequence: number, at: number, position = 0): LoggedEvent => ({
  sequence,
  event: { type: 'reader_committed', readerId: GROUP, at, generation: 'g', sequence: position, time: position },
});
const forgotten = (sequence: number, at: number): LoggedEvent => ({
  sequence,
  event: { type: 'reader_forgotten', readerId: GROUP, at },
});

const asked: Reading = { entry: 'asked', at: 100, from: 'earliest' };
const askedAt = (at: number, from: 'earliest' | 'notice' = 'earliest'): Reading => ({ ...asked, at, from });
const seen = (sequence: number, at = sequence, readAt = 0): Reading => ({
  ...{ entry: 'seen', partition: 0, sequence, at, type: 'execution_purged', readAt },
});
const told: Reading = { entry: 'told', code: 'cursor_lost', partition: '{fp:0}', sequence: 0 };
const toldOf = (sequence: number): Reading => ({ ...told, code: 'cursor_too_old', sequence });
const forgets = (at: number): Reading => ({ entry: 'forgets', at });
const trimmed = (at: number, sequence: number): Reading => ({ entry: 'trimmed', at, partition: '{fp:0}', sequence });
const finished = (end: number): Reading => ({ entry: 'finished', ends: [end] });

type Lives = readonly (readonly Reading[])[];

const FOUR = [1, 2, 3, 4].map(entry);

const faults = (lives: Lives, log: readonly LoggedEvent[] = FOUR, isTrimmed = false): string[] =>
  Object.entries(judgeReadings('{fp:0}', log, lives, isTrimmed)).flatMap(([what, stories]) =>
    stories.length > 0 ? [what] : [],
  );

describe('the record of a durable reader', () => {
  it.each<[string, Lives]>([
    ['whole', [[asked, seen(1), seen(2), seen(3), seen(4)]]],
    [
      'of two lives that overlap',
      [
        [asked, seen(1), seen(2), seen(3)],
        [asked, seen(2), seen(3), seen(4)],
      ],
    ],
    [
      'with a lost tail that it was told of',
      [[asked, seen(1), seen(2, 9), told, asked, ...[1, 2, 3, 4].map((n) => seen(n))]],
    ],
    [
      'with a lost tail that it died with',
      [
        [asked, seen(1), seen(2, 9)],
        [asked, seen(2), seen(3), seen(4)],
      ],
    ],
    ['up to the position that it was to reach', [[asked, seen(1), seen(2), finished(2)]]],
  ])('is true: %s', (_, lives) => expect(faults(lives)).toEqual([]));

  it.each<[string, Lives, RegExp]>([
    ['an entry is missing', [[asked, seen(1), seen(2), seen(4)]], /never given/],
    ['an entry is missing behind the end of the reading', [[asked, seen(1), seen(2)]], /never given/],
    ['an entry is missing that was to be reached', [[asked, seen(1), seen(3), finished(3)]], /never given/],
    [
      'the log is not trimmed, and the reader was told so',
      [[asked, toldOf(2), asked, seen(3), seen(4)]],
      /never given/,
    ],
    ['the log is not trimmed, and the store says so', [[asked, trimmed(101, 2), seen(3), seen(4)]], /never given/],
    ['two entries come the other way round', [[asked, seen(1), seen(3), seen(2), seen(4)]], /out of order/],
    [
      'an entry comes twice in one subscription',
      [[asked, seen(1), seen(1), ...[2, 3, 4].map((n) => seen(n))]],
      /out of order/,
    ],
    ['more comes behind a lost tail', [[asked, seen(1), seen(2), seen(3, 9), seen(4)], [seen(3)]], /not told of/],
  ])('is a lie: %s', (_, lives, fault) => expect(faults(lives)).toEqual([expect.stringMatching(fault)]));
});

describe('the place of a group', () => {
  const log = [...FOUR, committed(5, 150, 3)];
  const read = (third: number): Lives => [
    [asked, seen(1, 1, 140), seen(2, 2, 145), seen(3, 3, third), seen(4, 4, 200)],
  ];

  it.each<[string, Lives]>([
    ['is behind what its reader was given', read(150)],
    ['is behind what an earlier process was given', [...read(149), [asked, seen(3, 3, 300)]]],
  ])('%s', (_, lives) => expect(faults(lives, log)).toEqual([]));

  it('in a lost tail is no place', () => {
    const lost: LoggedEvent = committed(5, 150, 3);
    const elsewhere = { ...lost, event: { ...lost.event, time: 9 } } as LoggedEvent;
    expect(faults(read(151), [...FOUR, elsewhere])).toEqual([]);
  });

  it('that is ahead of its reader is a lie', () =>
    expect(faults(read(151), log)).toEqual([expect.stringMatching(/places that a group had before/)]));
});

describe('the record of a durable reader of a trimmed log', () => {
  it.each<[string, readonly LoggedEvent[], Lives]>([
    ['that was told', FOUR, [[asked, seen(1), toldOf(3), forgets(102), askedAt(103, 'notice'), seen(4)]]],
    ['that began when the first entries were gone', FOUR, [[asked, trimmed(101, 2), seen(3), seen(4)]]],
    [
      'that began, and lost its beginning before it read anything',
      FOUR,
      [[asked, trimmed(101, 1), trimmed(102, 3), seen(4)]],
    ],
    [
      'that died with a place that it never read from',
      [...FOUR, committed(5, 102, 2)],
      [
        [asked, trimmed(101, 2)],
        [askedAt(200), seen(3), seen(4)],
      ],
    ],
    [
      'that died before it had a place again after a loss',
      [committed(1, 90), ...[2, 3, 4].map(entry), forgotten(5, 110), ...[6, 7].map(entry), committed(8, 220)],
      [
        [asked, toldOf(2), forgets(109), askedAt(111, 'notice'), seen(3), seen(4)],
        [askedAt(200), trimmed(210, 6), seen(7)],
      ],
    ],
    [
      'whose first place was in a lost tail',
      [...FOUR, committed(5, 220)],
      [
        [asked, seen(1)],
        [askedAt(200), trimmed(210, 3), seen(4)],
      ],
    ],
    [
      'that gave up its place in a lost tail',
      [committed(1, 90), ...[2, 3, 4].map(entry)],
      [
        [asked, toldOf(2), forgets(109), askedAt(111, 'notice')],
        [askedAt(200), trimmed(210, 3), seen(4)],
      ],
    ],
    [
      'whose place came when the next process had asked for it',
      [...FOUR, committed(5, 205)],
      [
        [asked, seen(1)],
        [askedAt(200), trimmed(210, 3), seen(4)],
      ],
    ],
  ])('is true: one %s', (_, log, lives) => expect(faults(lives, log, true)).toEqual([]));

  it.each<[string, readonly LoggedEvent[], Lives]>([
    ['more is missing than was told', FOUR, [[asked, toldOf(2), askedAt(103, 'notice'), seen(4)]]],
    ['less was given before than was told', FOUR, [[asked, seen(2), toldOf(3), askedAt(103, 'notice'), seen(4)]]],
    ['more is missing than was trimmed when it began', FOUR, [[asked, trimmed(101, 2), seen(4)]]],
    [
      'its group had a place, and began with the oldest entry',
      [...FOUR, committed(5, 150)],
      [
        [asked, seen(1)],
        [askedAt(200), trimmed(210, 3), seen(4)],
      ],
    ],
    [
      'its group had a place again after a loss, and began with the oldest entry',
      [committed(1, 90), ...[2, 3].map(entry), forgotten(4, 110), ...[5, 6].map(entry), committed(7, 150), entry(8)],
      [
        [asked, seen(2), told, forgets(109), askedAt(111, 'notice'), seen(3)],
        [askedAt(200), trimmed(210, 6), seen(8)],
      ],
    ],
    [
      'its group had a place, lost it while it was read, and was not told',
      [committed(1, 90), ...[2, 3, 4].map(entry)],
      [[asked, trimmed(101, 3), seen(4)]],
    ],
    ['it was trimmed in front of the reader, which went on', FOUR, [[asked, seen(1), trimmed(105, 3), seen(4)]]],
    [
      'it was trimmed in front of a reader that went on from a notice',
      FOUR,
      [[asked, toldOf(1), forgets(102), askedAt(103, 'notice'), trimmed(105, 3), seen(4)]],
    ],
    [
      'it was trimmed while the place of the group was elsewhere',
      [...FOUR, { sequence: 5, event: { type: 'reader_forgotten', readerId: 'other', at: 95 } }, committed(6, 90)],
      [[asked, trimmed(101, 3), seen(4)]],
    ],
  ])('is a lie: %s', (_, log, lives) =>
    expect(faults(lives, log, true)).toEqual([expect.stringMatching(/never given/)]),
  );
});

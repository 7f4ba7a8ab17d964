/**
 * The events that a durable reader received are checked: each falsified record is reported, and a correct one passes.
 */
import { describe, expect, it } from 'vitest';
import { executionIdOf } from '../../model/ids.js';
import type { LoggedEvent } from '../../model/events.js';
import { judgeReadings } from './judge-readings.js';
import type { Reading } from './reader.js';

const entry = (sequence: number): LoggedEvent => ({
  sequence,
  event: {
    type: 'execution_purged',
    executionId: executionIdOf(0, '00000000-0000-4000-8000-000000000000'),
    at: sequence,
  },
});
const log = [1, 2, 3, 4].map(entry);
const subscribed: Reading = { entry: 'subscribed' };
const seen = (sequence: number, at = sequence, readAt = 0): Reading => ({
  ...{ entry: 'seen', partition: 0, sequence, at, type: 'execution_purged', readAt },
});
const told: Reading = { entry: 'told', code: 'cursor_lost', partition: '{fp:0}', sequence: 0 };
const trimmed = (sequence: number): Reading => ({ ...told, code: 'cursor_too_old', sequence });

const faults = (lives: readonly (readonly Reading[])[]): string[] =>
  Object.entries(judgeReadings('{fp:0}', log, lives)).flatMap(([what, stories]) => (stories.length > 0 ? [what] : []));

describe('the record of a durable reader', () => {
  it.each<[string, readonly (readonly Reading[])[]]>([
    ['whole', [[subscribed, seen(1), seen(2), seen(3), seen(4)]]],
    [
      'of two lives that overlap',
      [
        [subscribed, seen(1), seen(2), seen(3)],
        [subscribed, seen(2), seen(3), seen(4)],
      ],
    ],
    [
      'with a lost tail that it was told of',
      [[subscribed, seen(1), seen(2, 9), told, subscribed, ...[1, 2, 3, 4].map((n) => seen(n))]],
    ],
    [
      'with entries that were trimmed in front of it, and it was told so',
      [[subscribed, seen(1), trimmed(3), subscribed, seen(4)]],
    ],
    [
      'with a lost tail that it died with',
      [
        [subscribed, seen(1), seen(2, 9)],
        [subscribed, seen(2), seen(3), seen(4)],
      ],
    ],
    [
      'of a reader that was told of a loss and died before it committed a place',
      [
        [subscribed, trimmed(0), subscribed, seen(1), seen(2, 2, 500)],
        [subscribed, seen(4)],
      ],
    ],
  ])('is true: %s', (_, lives) => expect(faults(lives)).toEqual([]));

  it.each<[string, readonly (readonly Reading[])[], RegExp]>([
    ['an entry is missing', [[subscribed, seen(1), seen(2), seen(4)]], /never given/],
    [
      'an entry is missing behind a place that was committed after a loss',
      [
        [subscribed, trimmed(0), subscribed, seen(1), seen(2, 2, 10_000)],
        [subscribed, seen(4)],
      ],
      /never given/,
    ],
    ['more is missing than was told', [[subscribed, trimmed(2), subscribed, seen(4)]], /never given/],
    ['less was given before than was told', [[subscribed, seen(2), trimmed(3), subscribed, seen(4)]], /never given/],
    ['two entries come the other way round', [[subscribed, seen(1), seen(3), seen(2), seen(4)]], /out of order/],
    [
      'an entry comes twice in one subscription',
      [[subscribed, seen(1), seen(1), seen(2), seen(3), seen(4)]],
      /out of order/,
    ],
    ['more comes behind a lost tail', [[subscribed, seen(1), seen(2), seen(3, 9), seen(4)], [seen(3)]], /not told of/],
  ])('is a lie: %s', (_, lives, fault) => expect(faults(lives)).toEqual([expect.stringMatching(fault)]));
});

/**
 * What a durable reader must have received at the end: every entry of the log at least once, in the order of the log
 * within a subscription; and after reading a tail that the server lost, no further entry without notice of the loss.
 * Entries trimmed before the reader reached them are exactly those that it was told about.
 */
import { partitionIndexOf } from '../../model/ids.js';
import type { LoggedEvent } from '../../model/events.js';
import { isOfReader } from '../../src/subscribing/filters.js';
import type { Reading } from './reader.js';

type Seen = Extract<Reading, { entry: 'seen' }>;

const nameOf = ({ sequence, at, type }: Pick<Seen, 'sequence' | 'at' | 'type'>): string => `${sequence} ${at} ${type}`;

/** Violations in one partition, by kind. @param lives the records of the reader's processes, in order */
export function judgeReadings(
  partition: string,
  log: readonly LoggedEvent[],
  lives: readonly (readonly Reading[])[],
): Readonly<Record<string, readonly string[]>> {
  const index = partitionIndexOf(partition);
  const kept = new Set(log.map(({ sequence, event }) => nameOf({ sequence, at: event.at, type: event.type })));
  const seen = new Set<string>();
  const isKept = (reading: Seen): boolean => kept.has(nameOf(reading));
  const told = lostTo(partition, lives, isKept);
  const [unordered, unsaid]: [string[], string[]] = [[], []];
  for (const subscription of lives.flatMap(subscriptionsIn)) {
    let last: Seen | undefined;
    for (const reading of subscription) {
      if (reading.partition !== index) continue;
      if (last !== undefined && reading.sequence <= last.sequence)
        unordered.push(`${nameOf(reading)} after ${nameOf(last)}`);
      // A reader may have read a tail that the server then lost. Before it reads the entries that took its place, the engine must tell it of the loss.
      if (last !== undefined && !kept.has(nameOf(last)) && kept.has(nameOf(reading)))
        unsaid.push(`${nameOf(last)}, and then ${nameOf(reading)}`);
      seen.add(nameOf(reading));
      last = reading;
    }
  }
  // Subscriptions leave out events about readers' own positions, unless the subscriber asks for them.
  const isTold = (sequence: number): boolean => told.some(([from, to]) => sequence > from && sequence <= to);
  const wanted = log.filter(({ sequence, event }) => !isOfReader(event.type) && !isTold(sequence));
  const names = wanted.map(({ sequence, event }) => nameOf({ sequence, at: event.at, type: event.type }));
  return {
    'entries that a durable reader was never given': names.filter((name) => !seen.has(name)),
    'entries that a durable reader was given out of order': unordered,
    'entries of a lost tail that a durable reader was not told of': unsaid,
  };
}

/**
 * A reader commits received entries within this time, ms. It is measured by the reader's clock: a reader that catches up
 * reads entries of many seconds in a moment.
 */
const COMMITTED_MS = 3_000;

/**
 * The range that the reader was told is gone: after the last entry that it received and the log has, up to where it
 * continued. A reader that is told of a loss gives up its position in all logs, and has none before its next commit: if
 * it dies meanwhile, its successor begins at the start of the log.
 */
function lostTo(
  partition: string,
  lives: readonly (readonly Reading[])[],
  isKept: (reading: Seen) => boolean,
): (readonly [from: number, to: number])[] {
  const index = partitionIndexOf(partition);
  const lost: (readonly [number, number])[] = [];
  let last = 0;
  let hasNoPlace = false;
  for (const life of lives) {
    let beginsAnew = hasNoPlace;
    let goesOnAt: number | undefined;
    for (const reading of life) {
      if (reading.entry === 'told') {
        if (reading.partition === partition) lost.push([last, reading.sequence]);
        hasNoPlace = true;
        beginsAnew = false;
        goesOnAt = undefined;
      }
      if (reading.entry !== 'seen' || reading.partition !== index) continue;
      if (beginsAnew) lost.push([last, reading.sequence - 1]);
      beginsAnew = false;
      goesOnAt ??= reading.readAt;
      if (reading.readAt > goesOnAt + COMMITTED_MS) hasNoPlace = false;
      if (isKept(reading)) last = Math.max(last, reading.sequence);
    }
  }
  return lost;
}

/** The entries of each subscription of a life; notice of a loss ends a subscription. */
function subscriptionsIn(life: readonly Reading[]): Seen[][] {
  const subscriptions: Seen[][] = [[]];
  for (const reading of life) {
    if (reading.entry === 'seen') subscriptions.at(-1)?.push(reading);
    else subscriptions.push([]);
  }
  return subscriptions;
}

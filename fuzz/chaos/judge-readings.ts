/**
 * What a durable reader must have received at the end: every entry of the log at least once, in the order of the log
 * within a subscription; after reading a tail that the server lost, no further entry without notice of the loss; and all
 * entries before a place by the time that its group has it.
 * Of a log that is trimmed it may lack the entries that it was told about, and those that were trimmed before its group,
 * which had no place in the log, began to read. The log itself says when the group had one.
 */
import { partitionIndexOf } from '../../model/ids.js';
import type { LoggedEvent } from '../../model/events.js';
import { isOfReader } from '../../src/subscribing/filters.js';
import { GROUP, type Reading } from './reader.js';
import type { Span } from './timeline.js';

type Seen = Extract<Reading, { entry: 'seen' }>;

const nameOf = ({ sequence, at, type }: Pick<Seen, 'sequence' | 'at' | 'type'>): string => `${sequence} ${at} ${type}`;

/**
 * Violations in one partition, by kind.
 * @param log every entry that it had at any time, except tails that the server lost
 * @param lives the records of the reader's processes, in order
 * @param isTrimmed whether entries are trimmed from the log; otherwise the reader must have received all of them
 */
export function judgeReadings(
  partition: string,
  log: readonly LoggedEvent[],
  lives: readonly (readonly Reading[])[],
  isTrimmed = false,
): Readonly<Record<string, readonly string[]>> {
  const index = partitionIndexOf(partition);
  const kept = new Set(log.map(({ sequence, event }) => nameOf({ sequence, at: event.at, type: event.type })));
  const seen = new Set<string>();
  const isKept = (reading: Seen): boolean => kept.has(nameOf(reading));
  const excused = isTrimmed ? excusedIn(partition, log, lives, isKept) : [];
  const [unordered, unsaid]: [string[], string[]] = [[], []];
  for (const subscription of lives.flatMap(subscriptionsIn)) {
    let last: Seen | undefined;
    for (const reading of subscription) {
      if (reading.partition !== index) continue;
      if (last !== undefined && reading.sequence <= last.sequence)
        unordered.push(`${nameOf(reading)} after ${nameOf(last)}`);
      // A reader may have read a tail that the server then lost. Before it reads the entries that took its place, the engine must tell it of the loss.
      if (last !== undefined && !isKept(last) && isKept(reading))
        unsaid.push(`${nameOf(last)}, and then ${nameOf(reading)}`);
      seen.add(nameOf(reading));
      last = reading;
    }
  }
  const final = lives.at(-1)?.at(-1);
  const end = final?.entry === 'finished' ? (final.ends[index] ?? 0) : Infinity;
  const isExcused = (sequence: number): boolean => excused.some(([from, to]) => sequence > from && sequence <= to);
  // Subscriptions leave out events about readers' own positions, unless the subscriber asks for them.
  const wanted = log.filter(
    ({ sequence, event }) => sequence <= end && !isOfReader(event.type) && !isExcused(sequence),
  );
  const names = wanted.map(({ sequence, event }) => nameOf({ sequence, at: event.at, type: event.type }));
  return {
    'entries that a durable reader was never given': names.filter((name) => !seen.has(name)),
    'entries that a durable reader was given out of order': unordered,
    'entries of a lost tail that a durable reader was not told of': unsaid,
    'places that a group had before its reader was given all before them': ahead(index, log, lives, isExcused),
  };
}

/** Commits of the group that were executed before the reader was given every entry up to their position. */
function ahead(
  index: number,
  log: readonly LoggedEvent[],
  lives: readonly (readonly Reading[])[],
  isExcused: (sequence: number) => boolean,
): string[] {
  const readAt = new Map<string, number>();
  for (const reading of lives.flat())
    if (reading.entry === 'seen' && reading.partition === index)
      readAt.set(nameOf(reading), Math.min(readAt.get(nameOf(reading)) ?? Infinity, reading.readAt));
  const times = new Map(log.map(({ sequence, event }) => [sequence, event.at]));
  const found: string[] = [];
  // Everything up to the entry before was given by then.
  let given = -Infinity;
  let next = 0;
  for (const { sequence, event } of log) {
    if (event.type !== 'reader_committed' || event.readerId !== GROUP) continue;
    // A place in a tail that the server lost: who continues there is told.
    if (times.get(event.sequence) !== event.time) continue;
    for (; next < log.length && (log[next]?.sequence ?? 0) <= event.sequence; next++) {
      const entry = log[next] as LoggedEvent;
      if (isOfReader(entry.event.type) || isExcused(entry.sequence)) continue;
      // What was never given is found elsewhere.
      const name = nameOf({ sequence: entry.sequence, at: entry.event.at, type: entry.event.type });
      given = Math.max(given, readAt.get(name) ?? -Infinity);
    }
    if (given > event.at) found.push(`${sequence}: ${event.sequence} at ${event.at}, given at ${given}`);
  }
  return found;
}

/**
 * The ranges that the reader may lack. Each begins after the last entry that it received and the log has. It ends where
 * a notice said, or where the store said that the log begins when a group without a place asked for its oldest entries.
 */
function excusedIn(
  partition: string,
  log: readonly LoggedEvent[],
  lives: readonly (readonly Reading[])[],
  isKept: (reading: Seen) => boolean,
): (readonly [from: number, to: number])[] {
  const index = partitionIndexOf(partition);
  const gaps = gapsWithoutPlace(log, lives.flat());
  const hadPlace = (from: number, until: number): boolean =>
    !gaps.some((gap) => gap.from <= until && from <= gap.until);
  const excused: (readonly [number, number])[] = [];
  let last = 0;
  for (const life of lives) {
    /** When the oldest entries were asked for; undefined once one of them has come. */
    let askedAt: number | undefined;
    for (const reading of life) {
      if (reading.entry === 'asked') askedAt = reading.from === 'earliest' ? reading.at : undefined;
      if (reading.entry === 'told' && reading.partition === partition) excused.push([last, reading.sequence]);
      if (reading.entry === 'trimmed' && reading.partition === partition && askedAt !== undefined)
        if (!hadPlace(askedAt, reading.at)) excused.push([last, reading.sequence]);
      if (reading.entry !== 'seen' || reading.partition !== index) continue;
      askedAt = undefined;
      if (isKept(reading)) last = Math.max(last, reading.sequence);
    }
  }
  return excused;
}

/**
 * The spans of time in which the group may have had no place in the log. What the server forgot in a tail that it then
 * lost is not in the log, but the reader recorded it.
 */
function gapsWithoutPlace(log: readonly LoggedEvent[], readings: readonly Reading[]): Span[] {
  const gaps: Span[] = [];
  const commits: number[] = [];
  let from: number | undefined = -Infinity;
  for (const { event } of log) {
    if (event.type === 'reader_forgotten' && event.readerId === GROUP) from = event.at;
    if (event.type !== 'reader_committed' || event.readerId !== GROUP) continue;
    commits.push(event.at);
    if (from !== undefined) gaps.push({ from, until: event.at });
    from = undefined;
  }
  if (from !== undefined) gaps.push({ from, until: Infinity });
  for (const reading of readings) {
    if (reading.entry !== 'forgets') continue;
    gaps.push({ from: reading.at, until: commits.find((at) => at > reading.at) ?? Infinity });
  }
  return gaps;
}

/** The entries of each subscription of a life. */
function subscriptionsIn(life: readonly Reading[]): Seen[][] {
  const subscriptions: Seen[][] = [[]];
  for (const reading of life) {
    if (reading.entry === 'seen') subscriptions.at(-1)?.push(reading);
    if (reading.entry === 'asked') subscriptions.push([]);
  }
  return subscriptions;
}

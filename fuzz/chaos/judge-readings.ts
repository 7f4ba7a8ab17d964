/**
 * What a durable reader must have been given by the end: every entry of the log at least once; in the order of the log
 * within a subscription; and of a tail that the server lost, nothing that was followed by more without a word. What was
 * trimmed in front of it is what it was told of, and no entry more.
 */
import { partitionIndexOf } from '../../model/ids.js';
import type { LoggedEvent } from '../../model/events.js';
import { isOfReader } from '../../src/subscribing/filters.js';
import type { Reading } from './reader.js';

type Seen = Extract<Reading, { entry: 'seen' }>;

const nameOf = ({ sequence, at, type }: Pick<Seen, 'sequence' | 'at' | 'type'>): string => `${sequence} ${at} ${type}`;

/** Faults of one partition, by what they are. @param lives what each process of the reader wrote down, in order */
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

/** Within so long a reader commits what it was given, ms. */
const COMMITTED_MS = 2_000;

/**
 * What the reader was told that is gone: behind the last entry that it was given and the log has, up to where it went on.
 * Told of a loss, it gives up its place in all logs, and has none before its next commit: if it dies meanwhile, its
 * successor begins where the log does.
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
      goesOnAt ??= reading.at;
      if (reading.at > goesOnAt + COMMITTED_MS) hasNoPlace = false;
      if (isKept(reading)) last = Math.max(last, reading.sequence);
    }
  }
  return lost;
}

/** What was seen in each subscription of a life; being told of a loss ends one. */
function subscriptionsIn(life: readonly Reading[]): Seen[][] {
  const subscriptions: Seen[][] = [[]];
  for (const reading of life) {
    if (reading.entry === 'seen') subscriptions.at(-1)?.push(reading);
    else subscriptions.push([]);
  }
  return subscriptions;
}

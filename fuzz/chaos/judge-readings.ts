/**
 * What a durable reader must have been given by the end: every entry of the log at least once; in the order of the log
 * within a subscription; and of a tail that the server lost, nothing that was followed by more without a word.
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
  const wanted = log.filter(({ event }) => !isOfReader(event.type));
  const names = wanted.map(({ sequence, event }) => nameOf({ sequence, at: event.at, type: event.type }));
  return {
    'entries that a durable reader was never given': names.filter((name) => !seen.has(name)),
    'entries that a durable reader was given out of order': unordered,
    'entries of a lost tail that a durable reader was not told of': unsaid,
  };
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

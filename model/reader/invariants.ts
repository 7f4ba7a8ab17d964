/** What holds for readers of the log. Source: spec 13 section A5. */
import { generationOf } from '../partition/cursor.js';
import { LIMITS } from '../limits.js';
import type { Invariant } from '../specification/invariant.js';

export const readerInvariants: readonly Invariant[] = [
  {
    name: 'no reader is ahead of the log',
    check({ state, log }) {
      const [first, last] = [log[0], log.at(-1)];
      if (first === undefined || last === undefined) return undefined;
      for (const { readerId, generation, sequence } of state.tables.reader.values()) {
        // A trimmed log does not show its generation.
        const isOfLog = first.sequence === 1 ? generation === generationOf(first.event.at) : true;
        if (isOfLog && sequence > last.sequence)
          return `${readerId} is at ${sequence}, the log ends at ${last.sequence}`;
      }
      return undefined;
    },
  },
  {
    name: 'a partition has at most the maximum number of readers',
    check: ({ state }) =>
      state.tables.reader.size <= LIMITS.maxReaders ? undefined : `${state.tables.reader.size} readers`,
  },
];

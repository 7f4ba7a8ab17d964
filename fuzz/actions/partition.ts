/** How random runs call the operations of `model/partition`. */
import fc from 'fast-check';
import { encodeCursor } from '../../model/partition/cursor.js';
import { generator } from './generator.js';

export const partitionActions = {
  watch_log: generator({
    weight: 3,
    // The end as it is, and beside it: one entry back, or where it may be once a call before this one in a batch has run.
    choices: { ahead: fc.constantFrom(0, 0, 0, -1, 1) },
    resolve({ partition, header, now }, { ahead }) {
      const { generation, sequence, time } = header;
      const position = { generation, sequence: Math.max(0, sequence + ahead), time: ahead > 0 ? now : time };
      return [{ name: 'watchLog', args: { partition, after: encodeCursor(position) } }];
    },
  }),
  watch_ends: generator({
    weight: 2,
    choices: { ttlMs: fc.constantFrom(1, 700, 2_000) },
    resolve: ({ partition }, { ttlMs }) => [{ name: 'watchEnds', args: { partition, ttlMs } }],
  }),
};

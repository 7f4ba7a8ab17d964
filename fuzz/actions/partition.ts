/** How random runs call the operations of `model/partition` and `model/reader`. */
import fc from 'fast-check';
import { encodeCursor } from '../../model/partition/cursor.js';
import { generator, type Reads } from './generator.js';

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
  commit: generator({
    weight: 3,
    choices: {
      reader: fc.nat(2),
      back: fc.constantFrom(0, 0, 1, 3, 100, -1),
      log: fc.constantFrom('this', 'this', 'this', 'this', 'other'),
    },
    resolve({ partition, header }, { reader, back, log }) {
      const sequence = Math.max(0, header.sequence - back);
      const generation = log === 'other' ? 'other' : sequence === 0 && back > 3 ? '' : header.generation;
      const position = encodeCursor({ generation, sequence, time: header.time });
      return [{ name: 'commitReader', args: { partition, readerId: `reader-${reader}`, position } }];
    },
  }),
  forget: generator({
    weight: 2,
    choices: { reader: fc.nat(3) },
    resolve({ partition, tables }, { reader }) {
      const known = [...tables.reader.keys()];
      const readerId = known[reader] ?? `reader-${reader}`;
      return [{ name: 'forgetReader', args: { partition, readerId } }];
    },
  }),
  watch_ends: generator({
    weight: 2,
    choices: { ttlMs: fc.constantFrom(1, 700, 2_000) },
    resolve: ({ partition }, { ttlMs }) => [{ name: 'watchEnds', args: { partition, ttlMs } }],
  }),
};

export const partitionReads: Reads = ({ partition }) => [['listReaders', { partition }]];

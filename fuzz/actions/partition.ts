/** How random runs call the operations of `model/partition` and `model/reader`. */
import fc from 'fast-check';
import { encodeCursor } from '../../model/partition/cursor.js';
import { SNAPSHOT_KINDS } from '../../model/partition/snapshot.js';
import { on } from './choices.js';
import { generator, type Reads } from './generator.js';
import { placeOf } from './world.js';
import * as example from './example.js';

/** The time in a position: that of its entry, none, or one that the entry does not have. */
type PositionTime = 'own' | 'unknown' | 'other';

/** The partition; default: that of executions. */
interface On {
  readonly on?: number;
}

export const partitionActions = {
  watch_log: generator<{ ahead: number } & On>({
    weight: 3,
    // The current end, and positions beside it: one entry back, or where it may be after an earlier call of the batch.
    choices: { ahead: fc.constantFrom(0, 0, 0, -1, 1), on },
    resolve(world, { ahead, on }) {
      const { now } = world;
      const partition = placeOf(world, on);
      const { generation, sequence, time } = world.headerOf(partition);
      const position = { generation, sequence: Math.max(0, sequence + ahead), time: ahead > 0 ? now : time };
      return [{ name: 'watchLog', args: { partition, after: encodeCursor(position) } }];
    },
  }),
  // Older corpus files name no time.
  commit: generator<{ reader: number; back: number; log: 'this' | 'other'; time?: PositionTime } & On>({
    weight: 3,
    choices: {
      reader: fc.nat(2),
      back: fc.constantFrom(0, 0, 1, 3, 100, -1),
      log: fc.constantFrom('this', 'this', 'this', 'this', 'other'),
      time: fc.constantFrom<PositionTime>('own', 'own', 'own', 'own', 'unknown', 'other'),
      on,
    },
    resolve(world, { reader, back, log, time = 'own', on }) {
      const partition = placeOf(world, on);
      const header = world.headerOf(partition);
      const sequence = Math.max(0, header.sequence - back);
      const generation = log === 'other' ? 'other' : sequence === 0 && back > 3 ? '' : header.generation;
      const own = world.entryTimeOf(partition, sequence);
      const times = { own, unknown: 0, other: own + 1 };
      const position = encodeCursor({ generation, sequence, time: times[time] });
      return [{ name: 'commitReader', args: { partition, readerId: `reader-${reader}`, position } }];
    },
  }),
  forget: generator<{ reader: number } & On>({
    weight: 2,
    choices: { reader: fc.nat(3), on },
    resolve(world, { reader, on }) {
      const partition = placeOf(world, on);
      const readerId = world.readersOf(partition)[reader] ?? `reader-${reader}`;
      return [{ name: 'forgetReader', args: { partition, readerId } }];
    },
  }),
  watch_ends: generator({
    weight: 2,
    choices: { ttlMs: fc.constantFrom(1, 700, 2_000) },
    resolve: ({ partition }, { ttlMs }) => [{ name: 'watchEnds', args: { partition, ttlMs } }],
  }),
};

export const partitionReads: Reads = ({ places, partition }, { executionId, index, limit }) => {
  const args = { partition, limit: Math.max(1, limit) };
  return [
    ...places.map((partition) => ['listReaders', { partition }] as const),
    // The first page of a kind, and a page after an id that may be gone.
    ...[`${SNAPSHOT_KINDS[index % 2]}:`, `${SNAPSHOT_KINDS[(index + 1) % 2]}:${executionId}`].map(
      (cursor) => ['readSnapshot', { ...args, cursor }] as const,
    ),
  ];
};

/** Valid arguments of each command and read. */
export const partitionExamples = {
  watchLog: { partition: example.PARTITION, after: 'g.1.1' },
  watchEnds: { partition: example.PARTITION, ttlMs: 1_000 },
  commitReader: { partition: example.PARTITION, readerId: 'reader', position: '.0.0' },
  forgetReader: { partition: example.PARTITION, readerId: 'reader' },
  listReaders: { partition: example.PARTITION },
  readLog: { partition: example.PARTITION, after: '.0.0', limit: 5 },
  readSnapshot: { partition: example.PARTITION, cursor: `execution:${example.idOf(1)}`, limit: 5 },
} satisfies example.Examples;

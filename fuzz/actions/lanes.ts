/** How random runs pause, drain and resume lanes, and read their states. */
import fc from 'fast-check';
import { LANES } from './choices.js';
import { generator, type Reads } from './generator.js';
import * as example from './example.js';

/** The lanes of created work, and one that stays empty. */
const NAMES = [...LANES, 'a-lane-without-any-work'] as const;
const WORDS = ['', 'the shop is closed', 'because '.repeat(12)] as const;
const REQUESTERS = [undefined, 'ann', `${'team/'.repeat(14)}ann`] as const;

const choices = { lane: fc.nat(NAMES.length - 1), words: fc.nat(2) };
const asked = (partition: string, { lane, words }: { lane: number; words: number }) => ({
  partition,
  laneId: NAMES[lane] as string,
  reason: WORDS[words] as string,
  requestedBy: REQUESTERS[words],
});

export const laneActions = {
  pause_lane: generator({
    weight: 1,
    choices,
    resolve: ({ partition }, chosen) => [{ name: 'pauseLane', args: asked(partition, chosen) }],
  }),
  drain_lane: generator({
    weight: 1,
    choices,
    resolve: ({ partition }, chosen) => [{ name: 'drainLane', args: asked(partition, chosen) }],
  }),
  // More often than the others together: a closed lane leaves a run little to do.
  resume_lane: generator({
    weight: 4,
    choices,
    resolve: ({ partition }, chosen) => [{ name: 'resumeLane', args: asked(partition, chosen) }],
  }),
};

export const laneReads: Reads = ({ partition }, { index }) => [
  ['readLane', { partition, laneId: NAMES[index % NAMES.length] as string }],
];

/** Valid arguments of each command and read. */
export const laneExamples = {
  pauseLane: { partition: example.PARTITION, laneId: 'still', reason: 'r', requestedBy: 'ann' },
  drainLane: { partition: example.PARTITION, laneId: 'still', reason: 'r', requestedBy: 'ann' },
  resumeLane: { partition: example.PARTITION, laneId: 'still', reason: 'r', requestedBy: 'ann' },
  readLane: { partition: example.PARTITION, laneId: 'still' },
} satisfies example.Examples;

/**
 * How random runs call the operations of operators and users on one execution: holds, blocks, priority, replays, tags.
 */
import fc from 'fast-check';
import { BLOCKS } from '../../model/execution/situation.js';
import { pick, seldom, type Pick } from './choices.js';
import { generator } from './generator.js';
import { choose, chosenId, type World } from './world.js';
import { keysOf } from '../../model/core/tables.js';
import * as example from './example.js';

/** Values of `requestedBy` and `reason`: short, or too long for the core of a record. */
const WORDS = ['', 'shop is closed', 'because '.repeat(12)] as const;
const REASONS = keysOf(BLOCKS);

/** Tags: values of every kind that JSON writes differently, and keys that sort before and after each other. */
const TAG_SETS = [
  { 'team.name': 'core' },
  { 'a.b': 'Größe "x"', 'a.b_c': '\\', 'a.b.c': '"' },
  { 'z.a': '', 'a.0': '\u2028\n\t€😀', 'a._': '\\"' },
  Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`n.${i}`, String(i)])),
  Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`m.${i}`, ','])),
] as const;

const REQUESTERS = [undefined, 'ann', `${'team/'.repeat(14)}ann`] as const;

const asked = (
  world: World,
  { pick, words }: { readonly pick: Pick; readonly words: number },
): { executionId: string; reason: string; requestedBy: string | undefined } => ({
  executionId: chosenId(world, pick),
  reason: WORDS[words] as string,
  requestedBy: REQUESTERS[words],
});

export const operatingActions = {
  hold: generator({
    weight: 3,
    choices: { pick: pick('claimable', 'claimable', 'running', 'runnable', 'held', 'terminal'), words: fc.nat(2) },
    resolve: (world, choices) => [{ name: 'holdExecution', args: asked(world, choices) }],
  }),
  release_hold: generator({
    weight: 3,
    choices: { pick: pick('held', 'held', 'held', 'runnable'), words: fc.nat(2) },
    resolve: (world, choices) => [{ name: 'releaseHold', args: asked(world, choices) }],
  }),
  block: generator({
    weight: 3,
    choices: {
      pick: pick('claimable', 'claimable', 'claimable', 'blocked', 'running', 'delayed', 'terminal'),
      reason: fc.constantFrom(...REASONS),
      words: fc.nat(2),
    },
    resolve(world, { pick, reason, words }) {
      const args = { executionId: chosenId(world, pick), blockingReason: reason, blockingDetail: WORDS[words] };
      return [{ name: 'blockExecutionForAdmission', args }];
    },
  }),
  block_route: generator({
    weight: 1,
    choices: { pick: pick('claimable', 'claimable', 'claimable', 'blocked', 'delayed', 'terminal'), words: fc.nat(2) },
    resolve: (world, { pick, words }) => [
      { name: 'blockRoute', args: { executionId: chosenId(world, pick), reasonDetail: WORDS[words] } },
    ],
  }),
  unblock: generator({
    weight: 3,
    choices: {
      pick: pick('blocked', 'blocked', 'blocked', 'runnable', 'terminal'),
      expected: fc.constantFrom('none', 'its', 'its', ...REASONS),
    },
    resolve(world, { pick, expected }) {
      const its = REASONS.find((reason) => BLOCKS[reason] === choose(world, pick)?.situation);
      const expectedBlockingReason = expected === 'none' ? undefined : expected === 'its' ? its : expected;
      return [{ name: 'unblockExecution', args: { executionId: chosenId(world, pick), expectedBlockingReason } }];
    },
  }),
  priority: generator({
    weight: 2,
    choices: {
      pick: pick('claimable', 'runnable', 'runnable', 'delayed', 'held', 'running', 'terminal'),
      priority: fc.constantFrom(-1, 0, 3, 7, 9_000, 10_000),
      words: fc.nat(2),
    },
    resolve(world, choices) {
      const { executionId, requestedBy } = asked(world, choices);
      return [{ name: 'changePriority', args: { executionId, newPriority: choices.priority, requestedBy } }];
    },
  }),
  replay: generator({
    weight: 4,
    choices: {
      pick: pick('terminal', 'terminal', 'terminal', 'terminal', 'any'),
      words: fc.nat(2),
      expected: seldom(fc.constantFrom(-1, 0), 3),
      steps: seldom(fc.constantFrom('keep' as const, 'discard' as const), 2),
    },
    resolve(world, choices) {
      const known = choose(world, choices.pick)?.replayCount ?? 0;
      const expectedReplayCount = choices.expected === null ? undefined : Math.max(0, known + choices.expected);
      return [
        {
          name: 'replayExecution',
          args: { ...asked(world, choices), expectedReplayCount, steps: choices.steps ?? undefined },
        },
      ];
    },
  }),
  tags: generator({
    weight: 2,
    choices: { pick: pick('any', 'running', 'terminal', 'claimable'), tags: fc.nat(TAG_SETS.length - 1) },
    resolve: (world, { pick, tags }) => [
      { name: 'setExecutionTags', args: { executionId: chosenId(world, pick), tags: { ...TAG_SETS[tags] } } },
    ],
  }),
};

/** Valid arguments of each command and read. */
export const operatingExamples = {
  blockExecutionForAdmission: {
    executionId: example.idOf(4),
    blockingReason: 'waiting_for_budget',
    blockingDetail: 'd',
  },
  blockRoute: { executionId: example.idOf(4), reasonDetail: 'd' },
  unblockExecution: { executionId: example.idOf(4), expectedBlockingReason: 'waiting_for_quota' },
  changePriority: { executionId: example.idOf(4), newPriority: 5, requestedBy: 'ann' },
  replayExecution: {
    executionId: example.RUNNING,
    reason: 'r',
    requestedBy: 'ann',
    expectedReplayCount: 0,
    steps: 'keep',
  },
  setExecutionTags: { executionId: example.RUNNING, tags: { 'a.b': example.SECRET } },
  holdExecution: { executionId: example.idOf(4), reason: 'r', requestedBy: 'ann' },
  releaseHold: { executionId: example.RUNNING, reason: 'r', requestedBy: 'ann' },
} satisfies example.Examples;

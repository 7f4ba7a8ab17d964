/** How random runs call the operations of `model/stream`. */
import fc from 'fast-check';
import type { Command } from '../../model/machine.js';
import { owner, pick, seldom } from './choices.js';
import { generator, type Reads } from './generator.js';
import { bytesOf, chosenId, claimantOf } from './world.js';
import * as example from './example.js';

/** Patches that create, change and remove members of every kind, with few names, so that runs meet the same members. */
const PATCHES = [
  '{"a":1}',
  '{"a":null,"b":{"c":[1,null,"__ff_null__"]}}',
  '{"b":{"c":null,"d":"__ff_null__"}}',
  '{ "é" : "\\n\\u0007", "b": {} }',
  '{"a":{"b":{"c":1e20}}}',
  '{}',
] as const;

/** Lifetimes of best-effort frames, and bounds of their window. */
const BEST_EFFORT = [
  { ttlMs: 100, maxlenFloor: 1, maxlenCeiling: 3 },
  { ttlMs: 0, maxlenFloor: 2, maxlenCeiling: 2, emaAlpha: 1 },
  { ttlMs: 700 },
] as const;

/** Frames after another one in the same call. */
const MORE = [
  { payload: bytesOf(3) },
  { patch: PATCHES[1] },
  { payload: bytesOf(1), bestEffort: BEST_EFFORT[0] },
] as const;

/** Longer than the limit. */
const TOO_LONG = 65_537;

export const streamActions = {
  append: generator({
    weight: 7,
    choices: {
      owner,
      what: fc.oneof(
        { weight: 4, arbitrary: fc.constantFrom(0, 1, 3, 70) },
        { weight: 1, arbitrary: fc.constant(TOO_LONG) },
      ),
      patch: seldom(fc.nat(PATCHES.length - 1), 3),
      bestEffort: seldom(fc.nat(BEST_EFFORT.length - 1), 3),
      seq: seldom(fc.nat(2), 3),
      labels: fc.boolean(),
      // More frames of the call, by mode, and whether the attempt ends with it.
      more: seldom(fc.array(fc.nat(2), { minLength: 1, maxLength: 4 }), 3),
      ends: seldom(fc.constant(true), 8),
    },
    resolve(world, { owner, what, patch, bestEffort, seq, labels, more, ends }) {
      const {
        executionId,
        fence = {},
        attemptIndex = 0,
      } = claimantOf(world, {
        ...owner,
        attemptIndex: owner.attemptIndex === 'none' ? 'current' : owner.attemptIndex,
      }).args;
      const content =
        patch === null
          ? { payload: bytesOf(what), bestEffort: bestEffort === null ? undefined : BEST_EFFORT[bestEffort] }
          : { patch: PATCHES[patch] };
      const said = labels ? { frameType: 'größe', ts: 5, encoding: 'raw', correlationId: 'c,1' } : {};
      const of = { executionId, fence, attemptIndex };
      const frames = [
        { ...of, ...content, ...said, seq: seq ?? undefined },
        ...(more ?? []).map((mode) => ({ ...of, ...MORE[mode] })),
      ];
      return [
        ...frames.map((args): Command => ({ name: 'appendFrame', args })),
        ...(ends ? [{ name: 'completeExecution', args: { executionId, fence } } as const] : []),
      ];
    },
  }),
  watch_stream: generator({
    weight: 2,
    choices: { pick: pick('running', 'running', 'any'), ttlMs: fc.constantFrom(1, 700, 2_000) },
    resolve: (world, { pick, ttlMs }) => [{ name: 'watchStream', args: { executionId: chosenId(world, pick), ttlMs } }],
  }),
};

const AFTER = ['0-0', '1700000000000-0', '1700000000100', '1700000000100-18446744073709551615'] as const;
const CURSORS = ['start', 'end', '1700000000000', '1700000000100-1', '0'] as const;

export const streamReads: Reads = (_, { executionId, index, limit }) => {
  const attempt = { executionId, attemptIndex: index % 3 };
  const page = { limit: Math.max(1, limit), from: CURSORS[index % CURSORS.length], to: CURSORS[(index + 1) % 2] };
  return [
    ['readStream', attempt],
    ['readStream', { ...attempt, visibility: 'exclude_best_effort' }],
    ['readStream', { ...attempt, ...page }],
    ['readStream', { ...attempt, limit: page.limit, after: AFTER[index % AFTER.length] }],
    ['readSummary', attempt],
  ];
};

/** Valid arguments of each command and read. */
export const streamExamples = {
  watchStream: { executionId: example.RUNNING, ttlMs: 1_000 },
  appendFrame: {
    executionId: example.RUNNING,
    fence: example.FENCE,
    attemptIndex: 0,
    payload: example.text(example.SECRET),
    frameType: 'chunk',
  },
  readStream: { executionId: example.RUNNING, attemptIndex: 0, from: 'start', to: 'end', limit: 5 },
  readSummary: { executionId: example.RUNNING, attemptIndex: 0 },
} satisfies example.Examples;

/** How random runs call the operations of `model/step`. */
import fc from 'fast-check';
import { LIMITS } from '../../model/limits.js';
import { STEP_KINDS, type StepKind } from '../../model/step/facts.js';
import { owner, seldom } from './choices.js';
import { generator, type Reads } from './generator.js';
import { bytesOf, claimantOf } from './world.js';
import { keysOf } from '../../model/core/tables.js';
import * as example from './example.js';

/** Few names, so that steps meet; one looks like the key of another, one is long. */
const NAMES = ['pay', 'pay:1', 'größe', 'n'.repeat(LIMITS.maxStepNameBytes)] as const;

/** Lengths of values; undefined for none. The last one is stored by itself. */
const LENGTHS = [undefined, 0, 1, 70, LIMITS.maxClaimedInputBytes + 1] as const;

export const stepActions = {
  record_step: generator({
    weight: 8,
    choices: {
      owner,
      name: fc.nat(NAMES.length - 1),
      index: fc.oneof(
        { weight: 9, arbitrary: fc.nat(2) },
        { weight: 1, arbitrary: fc.constantFrom(LIMITS.maxSteps - 1, LIMITS.maxSteps, LIMITS.maxInteger) },
      ),
      kind: fc.oneof(
        { weight: 5, arbitrary: fc.constant<StepKind>('step') },
        { weight: 1, arbitrary: fc.constantFrom(...keysOf(STEP_KINDS)) },
      ),
      what: fc.nat(LENGTHS.length - 1),
      failed: fc.boolean(),
      again: seldom(fc.boolean(), 3),
    },
    resolve(world, { owner, name, index, kind, what, failed, again }) {
      const { executionId, fence } = claimantOf(world, owner).args;
      const length = LENGTHS[what];
      const value =
        length === undefined ? {} : { value: bytesOf(length), encoding: index % 2 === 0 ? 'json' : 'bytes' };
      const args = {
        executionId,
        fence,
        stepName: NAMES[name] as string,
        stepIndex: index,
        stepKind: kind,
        failed,
        ...value,
      };
      // The same step again in the same call: identical, or with another outcome.
      const second = again === null ? [] : [{ ...args, failed: again ? failed : !failed }];
      return [args, ...second].map((each) => ({ name: 'recordStep' as const, args: each }));
    },
  }),
};

export const stepReads: Reads = (_, { executionId, index, limit }) => [
  ['readSteps', { executionId }],
  ['readSteps', { executionId, from: index % 3, limit: Math.max(1, limit), values: index % 2 === 0 }],
];

/** Valid arguments of each command and read. */
export const stepExamples = {
  recordStep: {
    executionId: example.RUNNING,
    fence: example.FENCE,
    stepName: 'pay',
    stepIndex: 0,
    stepKind: 'step',
    failed: false,
    value: example.text(example.SECRET),
    encoding: 'json',
  },
  readSteps: { executionId: example.RUNNING, from: 0, limit: 5, values: true },
} satisfies example.Examples;

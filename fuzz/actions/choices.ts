/**
 * What actions choose: they refer to things by choice ("the second running execution", "its fence, one epoch behind",
 * "one millisecond before the next timer"), so that they mean something in every world, shrink well, and can be kept in a
 * file.
 */
import fc from 'fast-check';
import type { StateClass } from '../state-class.js';

export const LANES = ['alpha', 'beta'] as const;
export const CAPABILITY_SETS = [[], ['gpu'], ['eu', 'gpu'], ['eu']] as const;

/** The executions that a choice selects from. */
export type Among =
  | StateClass
  | 'any'
  | 'running'
  | 'lapsed'
  | 'claimable'
  | 'runnable'
  | 'delayed'
  | 'held'
  | 'suspended'
  | 'waited'
  | 'blocked'
  | 'granted'
  | 'terminal'
  | 'missing';
export interface Pick {
  readonly among: Among;
  readonly index: number;
}

export type FenceChoice =
  | 'current'
  | 'previous'
  | 'none'
  | 'no_lease'
  | 'no_epoch'
  | 'no_attempt'
  | 'wrong_lease'
  | 'wrong_epoch'
  | 'wrong_attempt';
export type Source = 'lease_holder' | 'operator_override';

/** A time: an offset from now, or from the n-th timer of the world. */
export interface Moment {
  readonly from: 'now' | 'timer';
  readonly index: number;
  readonly offsetMs: number;
}

export interface Owner {
  readonly pick: Pick;
  readonly fence: FenceChoice;
  readonly source: Source;
  readonly attemptIndex: 'none' | 'current' | 'wrong';
}

export const KINDS = ['mail', 'mail,1', 'Größe'] as const;
export const pick = (...among: Among[]): fc.Arbitrary<Pick> =>
  fc.record({
    among: fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom(...among) },
      { weight: 2, arbitrary: fc.constant<Among>('any') },
      { weight: 1, arbitrary: fc.constant<Among>('missing') },
    ),
    index: fc.nat(5),
  });

export const moment: fc.Arbitrary<Moment> = fc.record({
  from: fc.constantFrom('timer', 'timer', 'now'),
  index: fc.nat(3),
  offsetMs: fc.oneof(fc.constantFrom(-1, 0, 1), fc.integer({ min: -500, max: 2_500 })),
});

export const step: fc.Arbitrary<Moment> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      from: fc.constant('timer' as const),
      index: fc.nat(2),
      offsetMs: fc.constantFrom(-1, 0, 0, 1),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      from: fc.constant('now' as const),
      index: fc.constant(0),
      offsetMs: fc.integer({ min: 0, max: 1_500 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      from: fc.constant('now' as const),
      index: fc.constant(0),
      offsetMs: fc.constantFrom(59_999, 60_000, 120_000),
    }),
  },
);

export const owner: fc.Arbitrary<Owner> = fc.record({
  pick: pick('running', 'running', 'running', 'running', 'lapsed', 'lapsed', 'runnable', 'terminal'),
  fence: fc.oneof(
    { weight: 10, arbitrary: fc.constant<FenceChoice>('current') },
    {
      weight: 6,
      arbitrary: fc.constantFrom<FenceChoice>(
        'previous',
        'none',
        'no_lease',
        'no_epoch',
        'no_attempt',
        'wrong_lease',
        'wrong_epoch',
        'wrong_attempt',
      ),
    },
  ),
  source: fc.constantFrom<Source>('lease_holder', 'lease_holder', 'lease_holder', 'operator_override'),
  attemptIndex: fc.constantFrom('none', 'none', 'current', 'current', 'wrong'),
});

/** Usually absent: the option is rare in practice, or would stop a run from making progress. */
export const seldom = <Value>(arbitrary: fc.Arbitrary<Value>, oneIn: number): fc.Arbitrary<Value | null> =>
  fc.oneof({ weight: oneIn - 1, arbitrary: fc.constant(null) }, { weight: 1, arbitrary });

/** The partition of operations that exist in every family: usually that of executions. */
export const on = fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 1, 2, 3);
export const ttlMs = fc.constantFrom(1_000, 1_000, 1_001, 3_000);
export const unit = fc.option(fc.constantFrom(0, 0.25, 1 / 3, 1));

/** The owner of the n-th running execution, with its fence. */
export const holder = (index: number): Owner => ({
  pick: { among: 'running', index },
  fence: 'current',
  source: 'lease_holder',
  attemptIndex: 'none',
});

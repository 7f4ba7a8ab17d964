/**
 * Actions: what a run is made of. An action refers to things by choice ("the second running execution", "its fence,
 * one epoch behind", "one millisecond before the next timer"), so that it means something in every world, shrinks
 * well, and can be kept in a file. `resolve.ts` turns it into commands.
 */
import fc from 'fast-check';

export const LANES = ['alpha', 'beta'] as const;
export const CAPABILITY_SETS = [[], ['gpu'], ['eu', 'gpu'], ['eu']] as const;

/** Which executions a choice is made among. */
export type Among = 'any' | 'running' | 'lapsed' | 'claimable' | 'runnable' | 'delayed' | 'terminal' | 'missing';
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

/** A time: an offset from now, or from the n-th time that matters to the world. */
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

export type Action =
  | {
      readonly do: 'create';
      readonly lane: number;
      readonly kind: number;
      readonly capabilities: number;
      readonly policy: number;
      readonly priority: number | null;
      readonly delay: Moment | null;
      readonly deadline: Moment | null;
      readonly key: number | null;
      readonly payloadBytes: number;
      readonly tags: number;
      readonly again: Pick | null;
    }
  | {
      readonly do: 'claim';
      /** The lane and the capabilities that this execution needs; else those that follow. */
      readonly wants: Pick | null;
      readonly lane: number;
      readonly worker: number;
      readonly capabilities: number;
      readonly count: number;
      readonly ttlMs: number;
      readonly ahead: boolean;
      /** Kinds that it takes; any when null. */
      readonly kinds: readonly number[] | null;
    }
  | { readonly do: 'begin'; readonly owner: Owner }
  | { readonly do: 'renew'; readonly owner: Owner; readonly ttlMs: number }
  | { readonly do: 'complete'; readonly owner: Owner; readonly resultBytes: number | null; readonly encoding: boolean }
  | {
      readonly do: 'fail';
      readonly owner: Owner;
      readonly failureClass: 'transient' | 'permanent' | 'infra_crash' | 'timeout' | 'cancelled';
      readonly category: number | null;
      readonly jitter: number | null;
      readonly retryAfterMs: number | null;
    }
  | { readonly do: 'cancel'; readonly owner: Owner }
  | { readonly do: 'delay'; readonly owner: Owner; readonly until: Moment; readonly again: boolean }
  | { readonly do: 'release'; readonly owner: Owner }
  | { readonly do: 'progress'; readonly owner: Owner; readonly percent: number | null; readonly message: string | null }
  | { readonly do: 'revoke'; readonly pick: Pick; readonly expected: 'none' | 'current' | 'wrong' }
  | {
      readonly do: 'mark' | 'promote' | 'purge' | 'expire_attempt' | 'expire_deadline';
      readonly pick: Pick;
      readonly jitter: number | null;
    }
  | { readonly do: 'due'; readonly limit: number; readonly loop: number; readonly jitter: number | null }
  | { readonly do: 'time'; readonly to: Moment }
  | { readonly do: 'read'; readonly pick: Pick; readonly limit: number }
  /** The same call as `back` calls ago, as after a lost reply. */
  | { readonly do: 'repeat'; readonly back: number }
  | { readonly do: 'batch'; readonly actions: readonly Action[] };

export const KINDS = ['mail', 'mail,1', 'Größe'] as const;
export const CATEGORIES = ['io', 'rate', 'permanent'] as const;

/** Policies that make deep states reachable in few steps: small caps, short times, every kind of backoff. */
export const POLICIES = [
  undefined,
  { retryPolicy: { maxRetries: 2, backoff: { type: 'fixed', delayMs: 50 } } },
  {
    retryPolicy: {
      maxRetries: 3,
      backoff: { type: 'exponential', initialDelayMs: 10, maxDelayMs: 65, multiplier: 2.5, jitter: true },
      retryableCategories: ['io', 'timeout'],
    },
  },
  { retryPolicy: { maxRetries: 1 }, timeoutPolicy: { attemptTimeoutMs: 700 }, maxReclaimCount: 1 },
  { timeoutPolicy: { attemptTimeoutMs: 1_500, executionDeadlineMs: 4_000 }, maxReclaimCount: 0 },
  { maxReleaseCount: 1, priority: 7, dedupWindowMs: 900, streamPolicy: { retentionTtlMs: 0 } },
  {
    maxReclaimCount: 2,
    maxReleaseCount: 0,
    delayUntil: 1_700_000_000_900,
    streamPolicy: { retentionTtlMs: -1 },
    retryPolicy: { maxRetries: 0 },
  },
  {
    timeoutPolicy: { executionDeadlineMs: 1_700_000_003_000 },
    retryPolicy: { maxRetries: 5, backoff: { type: 'exponential', initialDelayMs: 0, maxDelayMs: 0, multiplier: 1 } },
  },
  {
    timeoutPolicy: { attemptTimeoutMs: 1_300 },
    retryPolicy: { maxRetries: 2, backoff: { type: 'fixed', delayMs: 20 } },
  },
  // The backoff is cut at the second retry; attempts time out in the millisecond in which the shortest lease ends.
  {
    timeoutPolicy: { attemptTimeoutMs: 1_000 },
    retryPolicy: {
      maxRetries: 4,
      backoff: { type: 'exponential', initialDelayMs: 7, maxDelayMs: 20, multiplier: 2.5, jitter: true },
    },
  },
  // Everything is due at once.
  {
    timeoutPolicy: { attemptTimeoutMs: 1_000, executionDeadlineMs: 1_000 },
    retryPolicy: { maxRetries: 1, backoff: { type: 'fixed', delayMs: 1_000 }, retryableCategories: ['timeout'] },
  },
  // Attempts time out while their lease is good, and only some failures are worth a retry.
  {
    timeoutPolicy: { attemptTimeoutMs: 800 },
    retryPolicy: {
      maxRetries: 4,
      backoff: { type: 'exponential', initialDelayMs: 9, maxDelayMs: 10, multiplier: 3, jitter: true },
      retryableCategories: ['timeout', 'transient', 'io'],
    },
  },
] as const;

const pick = (...among: Among[]): fc.Arbitrary<Pick> =>
  fc.record({
    among: fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom(...among) },
      { weight: 2, arbitrary: fc.constant<Among>('any') },
      { weight: 1, arbitrary: fc.constant<Among>('missing') },
    ),
    index: fc.nat(5),
  });

const moment: fc.Arbitrary<Moment> = fc.record({
  from: fc.constantFrom('timer', 'timer', 'now'),
  index: fc.nat(3),
  offsetMs: fc.oneof(fc.constantFrom(-1, 0, 1), fc.integer({ min: -500, max: 2_500 })),
});

const step: fc.Arbitrary<Moment> = fc.oneof(
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

const owner: fc.Arbitrary<Owner> = fc.record({
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

/** Mostly nothing: what is rare in life, or would keep runs from getting anywhere. */
const seldom = <Value>(arbitrary: fc.Arbitrary<Value>, oneIn: number): fc.Arbitrary<Value | null> =>
  fc.oneof({ weight: oneIn - 1, arbitrary: fc.constant(null) }, { weight: 1, arbitrary });

const ttlMs = fc.constantFrom(1_000, 1_000, 1_001, 3_000);
const unit = fc.option(fc.constantFrom(0, 0.25, 1 / 3, 1));

const create = fc.record({
  do: fc.constant('create' as const),
  lane: fc.nat(LANES.length - 1),
  kind: fc.nat(KINDS.length - 1),
  capabilities: fc.nat(CAPABILITY_SETS.length - 1),
  policy: fc.nat(POLICIES.length - 1),
  priority: fc.option(fc.constantFrom(-5, 0, 3, 9_000, 10_000)),
  delay: seldom(moment, 4),
  deadline: seldom(moment, 5),
  key: seldom(fc.nat(2), 4),
  payloadBytes: fc.constantFrom(0, 0, 1, 3, 66, 70),
  tags: fc.nat(2),
  again: seldom(pick('any'), 9),
});
const claim = fc.record({
  do: fc.constant('claim' as const),
  wants: fc.option(pick('claimable', 'claimable', 'lapsed'), { freq: 4 }),
  lane: fc.nat(LANES.length - 1),
  worker: fc.nat(2),
  capabilities: fc.constantFrom(0, 1, 2, 2, 3),
  count: fc.integer({ min: 1, max: 3 }),
  ttlMs,
  ahead: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  kinds: fc.option(fc.subarray([0, 1, 2], { minLength: 1 }), { freq: 2 }),
});

const simple: fc.Arbitrary<Action> = fc.oneof(
  { weight: 9, arbitrary: create },
  { weight: 12, arbitrary: claim },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('renew' as const), owner, ttlMs }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('begin' as const), owner }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('complete' as const),
      owner,
      resultBytes: fc.option(fc.constantFrom(0, 1, 5, 66, 80)),
      encoding: fc.boolean(),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('fail' as const),
      owner,
      failureClass: fc.constantFrom('transient', 'transient', 'infra_crash', 'timeout', 'permanent', 'cancelled'),
      category: fc.option(fc.nat(CATEGORIES.length - 1)),
      jitter: unit,
      retryAfterMs: seldom(fc.constantFrom(0, 33), 5),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('cancel' as const),
      owner: owner.map((it) => ({ ...it, attemptIndex: 'none' as const })),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('delay' as const), owner, until: moment, again: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('release' as const), owner }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('progress' as const),
      owner,
      percent: fc.option(fc.constantFrom(0, 50, 100)),
      message: fc.option(fc.constantFrom('', 'half', 'größer')),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('revoke' as const),
      pick: pick('running', 'running', 'lapsed', 'runnable'),
      expected: fc.constantFrom('none', 'current', 'wrong'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('mark' as const),
      pick: pick('running', 'running', 'lapsed', 'terminal', 'runnable'),
      jitter: fc.constant(null),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('promote' as const),
      pick: pick('delayed', 'delayed', 'runnable', 'running'),
      jitter: fc.constant(null),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('expire_attempt' as const),
      pick: pick('running', 'running', 'lapsed', 'terminal'),
      jitter: unit,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('expire_deadline' as const),
      pick: pick('any', 'running', 'terminal'),
      jitter: fc.constant(null),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('purge' as const),
      pick: pick('terminal', 'terminal', 'running'),
      jitter: fc.constant(null),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('due' as const),
      limit: fc.constantFrom(1, 2, 100),
      loop: fc.nat(1),
      jitter: unit,
    }),
  },
  { weight: 9, arbitrary: fc.record({ do: fc.constant('time' as const), to: step }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('read' as const),
      pick: pick('any', 'any'),
      limit: fc.constantFrom(0, 1, 2, 100),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('repeat' as const), back: fc.constantFrom(0, 0, 0, 1, 2) }) },
);

const batchOf = (actions: readonly Action[]): Action => ({ do: 'batch', actions });

/** Any calls in one batch. */
const mixedBatch = fc
  .array(
    simple.filter((it) => it.do !== 'time' && it.do !== 'due' && it.do !== 'read'),
    { minLength: 2, maxLength: 4 },
  )
  .map(batchOf);

/** Much work of one kind at once, and perhaps a claim behind it: index entries of one queue are written together. */
const bulkCreation = fc
  .tuple(create, fc.array(create, { minLength: 1, maxLength: 3 }), fc.option(claim))
  .map(([first, more, last]) =>
    batchOf([
      first,
      ...more.map((it) => ({
        ...it,
        lane: first.lane,
        kind: first.kind,
        capabilities: first.capabilities,
        delay: null,
      })),
      ...(last === null ? [] : [{ ...last, wants: null, lane: first.lane }]),
    ]),
  );

const holder = (index: number): Owner => ({
  pick: { among: 'running', index },
  fence: 'current',
  source: 'lease_holder',
  attemptIndex: 'none',
});

/** What a busy worker or the engine does with all that runs, and perhaps a claim behind it. */
const bulkEnd = fc
  .tuple(
    fc.array(fc.constantFrom('complete', 'cancel', 'release', 'mark', 'revoke'), { minLength: 2, maxLength: 4 }),
    fc.boolean(),
    fc.option(claim),
  )
  .map(([kinds, alike, last]) =>
    batchOf([
      ...kinds.map((kind, index): Action => {
        const owner = holder(index);
        switch (alike ? (kinds[0] as typeof kind) : kind) {
          case 'complete':
            return { do: 'complete', owner, resultBytes: null, encoding: false };
          case 'cancel':
            return { do: 'cancel', owner };
          case 'release':
            return { do: 'release', owner };
          case 'mark':
            return { do: 'mark', pick: owner.pick, jitter: null };
          case 'revoke':
            return { do: 'revoke', pick: owner.pick, expected: 'none' };
        }
      }),
      ...(last === null ? [] : [last]),
    ]),
  );

/** One action of a run. */
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 24, arbitrary: simple },
  { weight: 1, arbitrary: mixedBatch },
  { weight: 1, arbitrary: bulkCreation },
  { weight: 1, arbitrary: bulkEnd },
);

/** An action, and now and then the same call again at once, as after a lost reply. */
const once: fc.Arbitrary<readonly Action[]> = fc.oneof(
  { weight: 8, arbitrary: action.map((it) => [it]) },
  { weight: 1, arbitrary: simple.map((it): Action[] => [it, { do: 'repeat', back: 0 }]) },
);

/** A run: mostly some work to begin with, then anything. `maxLength` bounds the second part. */
export const run = (maxLength: number): fc.Arbitrary<Action[]> =>
  fc
    .tuple(fc.array<Action>(create, { maxLength: 3 }), fc.array(once, { minLength: 1, maxLength, size: 'max' }))
    .map(([work, rest]) => [...work, ...rest.flat()]);

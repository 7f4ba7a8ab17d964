/**
 * Actions: what a run is made of. An action is a name and choices; its generator turns it into commands. What is no
 * command stands here: time, reads, repeated calls, batches.
 */
import fc from 'fast-check';
import { LIMITS } from '../../model/limits.js';
import type { Command } from '../../model/machine.js';
import { pick, step, type Moment, type Owner, type Pick } from './choices.js';
import { budgetActions, budgetReads } from './budget.js';
import { executionActions, executionReads } from './execution.js';
import { flowGraphActions } from './flow-graphs.js';
import { flowActions, flowReads } from './flows.js';
import type { Generator, ReadChoices, Reads } from './generator.js';
import { grantActions, grantReads } from './grant.js';
import { laneActions, laneReads } from './lanes.js';
import { leaseActions } from './lease.js';
import { quotaActions, quotaReads } from './quota.js';
import { meteringActions, meteringReads } from './metering.js';
import { operatingActions } from './operating.js';
import { partitionActions, partitionReads } from './partition.js';
import { scheduleActions, scheduleReads } from './schedule.js';
import { signingActions, signingReads } from './signing.js';
import { pendingActions, suspensionActions, suspensionReads } from './suspension.js';
import { stepActions, stepReads } from './step.js';
import { streamActions, streamReads } from './stream.js';
import { workerActions, workerReads } from './workers.js';
import type { World } from './world.js';

/** Every generator, by the name of what it does. */
const GENERATORS = {
  ...executionActions,
  ...leaseActions,
  ...scheduleActions,
  ...streamActions,
  ...stepActions,
  ...operatingActions,
  ...grantActions,
  ...partitionActions,
  ...suspensionActions,
  ...pendingActions,
  ...signingActions,
  ...laneActions,
  ...meteringActions,
  ...workerActions,
  ...quotaActions,
  ...flowActions,
  ...flowGraphActions,
  ...budgetActions,
} as const;

const READS: readonly Reads[] = [
  executionReads,
  scheduleReads,
  grantReads,
  partitionReads,
  laneReads,
  streamReads,
  stepReads,
  suspensionReads,
  signingReads,
  meteringReads,
  workerReads,
  quotaReads,
  flowReads,
  budgetReads,
];

type Drawn = {
  [Name in keyof typeof GENERATORS]: (typeof GENERATORS)[Name] extends Generator<infer Choices>
    ? { readonly do: Name } & Readonly<Choices>
    : never;
}[keyof typeof GENERATORS];

export type Action =
  | Drawn
  | { readonly do: 'time'; readonly to: Moment }
  | { readonly do: 'read'; readonly pick: Pick; readonly limit: number }
  /** The process that has its state in files dies and is started anew. */
  | { readonly do: 'restart' }
  /** The same call as `back` calls ago, as after a lost reply. */
  | { readonly do: 'repeat'; readonly back: number }
  | { readonly do: 'batch'; readonly actions: readonly Action[] };

/** The commands of an action; none for actions that are not commands. */
export function resolve(world: World, action: Action): Command[] {
  switch (action.do) {
    case 'time':
    case 'read':
    case 'restart':
      return [];
    case 'repeat': {
      const again = world.recent.at(-1 - action.back);
      // How many are due is looked at when a pass is drawn, see `due`: one of before can be of another world.
      return again === undefined || again.name === 'applyDue' ? [] : [again];
    }
    case 'batch':
      return action.actions.flatMap((member) => resolve(world, member));
    default:
      return (GENERATORS[action.do] as Generator<never>).resolve(world, action as never);
  }
}

/** The reads of every domain. */
export const readsOf: Reads = (world: World, choices: ReadChoices) => READS.flatMap((reads) => reads(world, choices));

/** Actions of a generator. */
export const drawn = <Name extends keyof typeof GENERATORS>(name: Name): fc.Arbitrary<Extract<Drawn, { do: Name }>> =>
  (GENERATORS[name].arbitrary as fc.Arbitrary<object>).map(
    (choices) => ({ do: name, ...choices }) as Extract<Drawn, { do: Name }>,
  );

const create = drawn('create');
const claim = drawn('claim');

const NAMES = Object.keys(GENERATORS) as (keyof typeof GENERATORS)[];

const simple: fc.Arbitrary<Action> = fc.oneof(
  ...NAMES.map((name) => ({ weight: GENERATORS[name].weight, arbitrary: drawn(name) as fc.Arbitrary<Action> })),
  { weight: 9, arbitrary: fc.record({ do: fc.constant('time' as const), to: step }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('read' as const),
      pick: pick('any', 'any'),
      limit: fc.constantFrom(0, 1, 2, 100),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('repeat' as const), back: fc.constantFrom(0, 0, 0, 1, 2) }) },
);

const batchOf = (actions: readonly Action[]): Action => ({ do: 'batch', actions });

/** Any calls in one batch. */
const mixedBatch = fc
  .array(
    simple.filter(
      (it) => it.do !== 'time' && it.do !== 'due' && it.do !== 'quota_due' && it.do !== 'read' && it.do !== 'restart',
    ),
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
        meters: first.meters,
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
            return { do: 'cancel', owner, engine: null };
          case 'release':
            return { do: 'release', owner };
          case 'mark':
            return { do: 'mark', pick: owner.pick };
          case 'revoke':
            return { do: 'revoke', pick: owner.pick, expected: 'none' };
        }
      }),
      ...(last === null ? [] : [last]),
    ]),
  );

/** A mark that is set behind an entry of the same batch, and the entry behind it. */
const watchedBatch = fc.tuple(create, create).map(([first, second]) =>
  batchOf([
    { ...first, again: null, key: null },
    { do: 'watch_log', ahead: 1 },
    { ...second, again: null, key: null },
  ]),
);

/** One reader more than a partition knows. */
const crowdOfReaders = fc.constant(
  batchOf(
    Array.from({ length: LIMITS.maxReaders + 1 }, (_, reader) => ({ do: 'commit', reader, back: 0, log: 'this' })),
  ),
);

/** One action of a run. */
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 48, arbitrary: simple },
  { weight: 2, arbitrary: mixedBatch },
  { weight: 2, arbitrary: bulkCreation },
  { weight: 2, arbitrary: bulkEnd },
  { weight: 1, arbitrary: crowdOfReaders },
  { weight: 2, arbitrary: watchedBatch },
);

const toTimer = (index: number): Action => ({ do: 'time', to: { from: 'timer', index, offsetMs: 0 } });

/** What the owner of something asks for in the millisecond in which something is due: often its own lease or attempt. */
const late = fc
  .tuple(
    fc.nat(2),
    fc.oneof(
      drawn('renew'),
      drawn('begin'),
      drawn('complete'),
      drawn('fail'),
      drawn('delay'),
      drawn('progress'),
      drawn('record_step'),
    ),
    fc.nat(2),
  )
  .map(([timer, act, index]): Action[] => [toTimer(timer), { ...act, owner: holder(index) }]);

/** An execution that fails, is tried again, and fails otherwise: what the first failure left meets the second. */
const twice = fc
  .tuple(drawn('fail'), claim, drawn('fail'))
  .map(([first, again, second]): Action[] => [
    { ...first, owner: holder(0) },
    toTimer(0),
    { do: 'due', limit: 100, loop: 0, jitter: null },
    { ...again, wants: { among: 'claimable', index: 0 }, kinds: null, count: 3 },
    { ...second, owner: holder(0) },
  ]);

/** A grant, and a claim by it or beside it; a parking, and an operator who takes up what is parked. */
const inTurn: fc.Arbitrary<readonly Action[]> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(drawn('issue_grant'), drawn('claim_granted')) },
  { weight: 3, arbitrary: fc.tuple(drawn('issue_reclaim'), drawn('claim_granted')) },
  { weight: 1, arbitrary: fc.tuple(drawn('delay'), drawn('operator_claim')) },
);

/** Frames that the owner of something writes, and how it comes to its end: after the last of them, or by its purge. */
const writing: fc.Arbitrary<readonly Action[]> = fc
  .tuple(
    create,
    claim,
    fc.array(fc.tuple(drawn('append'), fc.constantFrom(null, 0, 1, 2)), { minLength: 2, maxLength: 4 }),
    fc.oneof(drawn('complete'), drawn('fail'), drawn('cancel'), drawn('purge')),
    fc.boolean(),
  )
  .map(([work, claimed, frames, end, isPurged]): Action[] => [
    { ...work, delay: null },
    { ...claimed, wants: { among: 'claimable', index: 5 }, minPriority: null, kinds: null, ahead: false },
    ...frames.map(
      ([frame, seq]): Action => ({
        ...frame,
        what: frame.what > LIMITS.maxFrameBytes ? 1 : frame.what,
        seq,
        owner: holder(5),
      }),
    ),
    'owner' in end ? { ...end, owner: holder(5) } : end,
    ...(isPurged ? [toTimer(0), { do: 'due', limit: 100, loop: 0, jitter: null } as const] : []),
  ]);

/** Steps that the owner of something records, an end of its run, and the run after it, which finds them or does not. */
const stepping: fc.Arbitrary<readonly Action[]> = fc
  .tuple(
    create,
    claim,
    fc.array(drawn('record_step'), { minLength: 2, maxLength: 4 }),
    fc.oneof(drawn('complete'), drawn('fail'), drawn('cancel'), drawn('release')),
    drawn('replay'),
    fc.array(drawn('record_step'), { minLength: 1, maxLength: 3 }),
    fc.boolean(),
  )
  .map(([work, claimed, first, end, replayed, second, isPurged]): Action[] => {
    const claims: Action = {
      ...claimed,
      wants: { among: 'claimable', index: 5 },
      minPriority: null,
      kinds: null,
      ahead: false,
    };
    const mine = (it: (typeof first)[number]): Action => ({ ...it, owner: holder(5) });
    return [
      { ...work, delay: null },
      claims,
      ...first.map(mine),
      { ...end, owner: holder(5) },
      { ...replayed, pick: { among: 'terminal', index: 5 } },
      claims,
      ...second.map(mine),
      ...(isPurged ? [toTimer(0), { do: 'due', limit: 100, loop: 0, jitter: null } as const] : []),
    ];
  });

/** Work that is suspended, and what becomes of it: signals, time, an operator. */
const waitingWork: fc.Arbitrary<readonly Action[]> = fc
  .tuple(
    create,
    claim,
    drawn('suspend'),
    fc.array(
      fc.oneof(
        { weight: 4, arbitrary: drawn('approve') },
        { weight: 4, arbitrary: drawn('signal') },
        { weight: 1, arbitrary: drawn('rotate') },
        { weight: 1, arbitrary: drawn('resume') },
        { weight: 1, arbitrary: drawn('expire_suspension') },
        { weight: 1, arbitrary: drawn('hold') },
        { weight: 1, arbitrary: drawn('cancel') },
        { weight: 1, arbitrary: fc.record({ do: fc.constant('time' as const), to: step }) },
        { weight: 1, arbitrary: drawn('due') },
      ),
      { minLength: 1, maxLength: 6 },
    ),
    fc.boolean(),
    fc.constantFrom(0, 0, 1, 700),
  )
  .map(([work, claimed, suspended, rest, isOver, offsetMs]): Action[] => [
    { ...work, delay: null },
    { ...claimed, wants: { among: 'claimable', index: 5 }, minPriority: null, kinds: null, ahead: false },
    {
      ...suspended,
      owner: holder(5),
      ...(isOver ? { timeout: { from: 'now', index: 0, offsetMs } } : {}),
    },
    ...(isOver
      ? ([
          { do: 'time', to: { from: 'now', index: 0, offsetMs } },
          { do: 'expire_suspension', pick: { among: 'suspended', index: 0 } },
        ] as const)
      : []),
    ...rest,
  ]);

const waited: Pick = { among: 'waited', index: 5 };

/** A waitpoint that is made before its suspension, what comes to it meanwhile, and what uses it. */
const prepared: fc.Arbitrary<readonly Action[]> = fc
  .tuple(
    create,
    claim,
    drawn('rotate'),
    fc.array(drawn('create_pending'), { minLength: 1, maxLength: 2 }),
    fc.array(fc.oneof({ weight: 4, arbitrary: drawn('signal') }, { weight: 4, arbitrary: drawn('approve') }), {
      maxLength: 4,
    }),
    fc.oneof(
      { weight: 6, arbitrary: drawn('suspend') },
      { weight: 1, arbitrary: drawn('complete') },
      { weight: 1, arbitrary: drawn('close_waitpoint') },
      { weight: 1, arbitrary: drawn('fail') },
      { weight: 1, arbitrary: drawn('release') },
    ),
    fc.array(
      fc.oneof(
        drawn('signal'),
        drawn('approve'),
        drawn('due'),
        drawn('expire_pending'),
        drawn('close_waitpoint').map((it) => ({ ...it, owner: { ...it.owner, pick: waited }, known: true })),
        drawn('close_waitpoint').map((it) => ({ ...it, owner: { ...it.owner, pick: waited }, known: true })),
        fc.constant<Action>({ do: 'revoke', pick: holder(5).pick, expected: 'none' }),
      ),
      { maxLength: 3 },
    ),
    fc.boolean(),
  )
  .map(([work, claimed, key, made, signals, then, rest, isLate]): Action[] => [
    { ...key, wrong: null },
    { ...work, delay: null },
    { ...claimed, wants: { among: 'claimable', index: 5 }, minPriority: null, kinds: null, ahead: false },
    ...made.map((it): Action => ({ ...it, owner: holder(5) })),
    ...signals.map((it): Action => ({ ...it, pick: waited, waitpoint: it.waitpoint % 6 })),
    ...(isLate ? [toTimer(0)] : []),
    'pending' in then ? { ...then, owner: holder(5), pending: 'waiting' } : { ...then, owner: holder(5) },
    ...rest,
  ]);

/** One waitpoint more than may wait for a suspension. */
const crowdOfWaitpoints: fc.Arbitrary<readonly Action[]> = fc
  .tuple(create, claim, drawn('rotate'), drawn('create_pending'))
  .map(([work, claimed, key, made]): Action[] => [
    { ...key, wrong: null },
    { ...work, delay: null },
    { ...claimed, wants: { among: 'claimable', index: 5 }, minPriority: null, kinds: null, ahead: false },
    batchOf(
      Array.from({ length: LIMITS.maxPendingWaitpoints + 1 }, () => ({
        ...made,
        owner: holder(5),
        again: null,
        cap: null,
      })),
    ),
  ]);

/** A budget and those that spend on it, for a while: what one leaves is what the next one meets. */
const spending: fc.Arbitrary<readonly Action[]> = fc
  .tuple(
    drawn('create_budget'),
    fc.array(
      fc.oneof(
        { weight: 3, arbitrary: drawn('report_usage') },
        { weight: 3, arbitrary: drawn('report_usage_admin') },
        { weight: 4, arbitrary: drawn('record_spend') },
        { weight: 3, arbitrary: drawn('release_budget') },
        { weight: 2, arbitrary: drawn('update_limits') },
        { weight: 2, arbitrary: drawn('reset_budget') },
        { weight: 5, arbitrary: drawn('reserve') },
        { weight: 2, arbitrary: drawn('renew_reservation') },
        { weight: 5, arbitrary: drawn('settle_reservation') },
        { weight: 3, arbitrary: drawn('release_reservation') },
        { weight: 3, arbitrary: fc.record({ do: fc.constant('time' as const), to: step }) },
        { weight: 3, arbitrary: drawn('due').map((it) => ({ ...it, on: 1 })) },
      ),
      { minLength: 6, maxLength: 16 },
    ),
    fc.integer({ min: -1, max: 3 }),
  )
  .map(([made, rest, days]): Action[] => [
    { ...made, budget: 0 },
    ...rest,
    // Days later, what was kept long enough is dropped.
    ...Array.from({ length: Math.max(0, days) }, (): Action[] => [
      { do: 'time', to: { from: 'timer', index: 0, offsetMs: 0 } },
      { do: 'due', limit: 100, loop: 0, jitter: null, on: 1 },
    ]).flat(),
  ]);

/** An action, and now and then the same call again at once, as after a lost reply. */
const once: fc.Arbitrary<readonly Action[]> = fc.oneof(
  { weight: 8, arbitrary: action.map((it) => [it]) },
  { weight: 1, arbitrary: simple.map((it): Action[] => [it, { do: 'repeat', back: 0 }]) },
  { weight: 1, arbitrary: late },
  { weight: 1, arbitrary: twice },
  { weight: 1, arbitrary: inTurn },
  { weight: 1, arbitrary: waitingWork },
  {
    weight: 2,
    arbitrary: fc.oneof({ weight: 60, arbitrary: prepared }, { weight: 1, arbitrary: crowdOfWaitpoints }),
  },
  { weight: 1, arbitrary: writing },
  { weight: 2, arbitrary: spending },
  { weight: 1, arbitrary: stepping },
);

/** A run: mostly some work to begin with, then anything. `maxLength` bounds the second part. */
export const run = (maxLength: number): fc.Arbitrary<Action[]> =>
  fc
    .tuple(fc.array<Action>(create, { maxLength: 3 }), fc.array(once, { minLength: 1, maxLength, size: 'max' }))
    .map(([work, rest]) => [...work, ...rest.flat()]);

/** Sequences of actions: each meets the effects of the previous one. */
import fc from 'fast-check';
import { LIMITS } from '../../model/limits.js';
import { batchOf } from './batches.js';
import { holder, step, type Owner, type Pick } from './choices.js';
import { drawn, type Action } from './index.js';

const create = drawn('create');
const claim = drawn('claim');

const toTimer = (index: number): Action => ({ do: 'time', to: { from: 'timer', index, offsetMs: 0 } });

/** Commands of an owner in the millisecond in which something is due: often its own lease or attempt. */
export const late = fc
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

/** An execution that fails, is retried, and fails differently: traces of the first failure meet the second. */
export const twice = fc
  .tuple(drawn('fail'), claim, drawn('fail'))
  .map(([first, again, second]): Action[] => [
    { ...first, owner: holder(0) },
    toTimer(0),
    { do: 'due', limit: 100, loop: 0, jitter: null },
    { ...again, wants: { among: 'claimable', index: 0 }, kinds: null, count: 3 },
    { ...second, owner: holder(0) },
  ]);

/** A grant, and a claim that uses or ignores it; a delay, and an operator who takes the delayed work. */
export const inTurn: fc.Arbitrary<readonly Action[]> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(drawn('issue_grant'), drawn('claim_granted')) },
  { weight: 3, arbitrary: fc.tuple(drawn('issue_reclaim'), drawn('claim_granted')) },
  { weight: 1, arbitrary: fc.tuple(drawn('delay'), drawn('operator_claim')) },
);

/** Frames of an owner, and an end of its attempt after the last of them, or its purge. */
export const writing: fc.Arbitrary<readonly Action[]> = fc
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

/** Steps of an owner, an end of its run, and the next run, which finds them or does not. */
export const stepping: fc.Arbitrary<readonly Action[]> = fc
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

/** Suspended work and its end: by signals, time or an operator. */
export const waitingWork: fc.Arbitrary<readonly Action[]> = fc
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

const operatorOf = (among: Pick['among'], { pick, ...owner }: Owner): Owner => ({
  ...owner,
  ...{ pick: { ...pick, among }, fence: 'none', source: 'operator_override' },
});

const waited: Pick = { among: 'waited', index: 5 };

/** A waitpoint created before its suspension, events meanwhile, and its use. */
export const prepared: fc.Arbitrary<readonly Action[]> = fc
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

/** A parent with several groups of children at once: its end, ends of children, and replays of both. */
export const groupsOfChildren: fc.Arbitrary<readonly Action[]> = fc
  .tuple(
    create,
    claim,
    fc.array(drawn('spawn'), { minLength: 2, maxLength: 3 }),
    fc.oneof(drawn('await_children_beside'), drawn('await_children'), drawn('fail'), drawn('cancel')),
    fc.array(
      fc.oneof(
        { weight: 3, arbitrary: drawn('cancel').map((it): Action => ({ ...it, owner: operatorOf('any', it.owner) })) },
        {
          weight: 4,
          arbitrary: drawn('replay').map((it): Action => ({ ...it, pick: { ...it.pick, among: 'terminal' } })),
        },
        { weight: 3, arbitrary: claim.map((it): Action => ({ ...it, kinds: null, count: 8, minPriority: null })) },
        { weight: 2, arbitrary: drawn('end_all') },
        { weight: 1, arbitrary: drawn('due') },
      ),
      { minLength: 4, maxLength: 12 },
    ),
  )
  .map(([work, claimed, groups, then, rest]): Action[] => [
    { ...work, delay: null },
    { ...claimed, wants: { among: 'claimable', index: 5 }, minPriority: null, kinds: null, ahead: false },
    ...groups.map(
      (it): Action => ({ ...it, owner: holder(5), asNewGroup: true, again: null, taken: null, edge: null }),
    ),
    { ...then, owner: holder(5) },
    ...rest,
  ]);

/** One waitpoint more than the limit of unused ones. */
export const crowdOfWaitpoints: fc.Arbitrary<readonly Action[]> = fc
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

/** A budget and its users, for a while. */
export const spending: fc.Arbitrary<readonly Action[]> = fc
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
    // Days later, records past their retention are dropped.
    ...Array.from({ length: Math.max(0, days) }, (): Action[] => [
      { do: 'time', to: { from: 'timer', index: 0, offsetMs: 0 } },
      { do: 'due', limit: 100, loop: 0, jitter: null, on: 1 },
    ]).flat(),
  ]);

/**
 * Concurrent callers: one call whose commands all concern the same entity, so that each meets the effects of the
 * previous one. This finds effects of a command on other entities that the next command of the call must see; runs of
 * single commands rarely do.
 */
import fc from 'fast-check';
import { batchOf } from './batches.js';
import { holder, type Among, type Pick } from './choices.js';
import type { Row } from './flow-choices.js';
import { drawn, type Action } from './index.js';

type Named<Name extends Action['do']> = Extract<Action, { readonly do: Name }>;

/** Commands of an owner. */
const owned = fc.oneof(
  { weight: 2, arbitrary: drawn('complete') },
  { weight: 2, arbitrary: drawn('fail') },
  { weight: 2, arbitrary: drawn('delay') },
  { weight: 2, arbitrary: drawn('release') },
  { weight: 2, arbitrary: drawn('suspend') },
  { weight: 1, arbitrary: drawn('arrive') },
  { weight: 1, arbitrary: drawn('cancel') },
  { weight: 1, arbitrary: drawn('renew') },
  { weight: 1, arbitrary: drawn('begin') },
  { weight: 1, arbitrary: drawn('progress') },
  { weight: 1, arbitrary: drawn('append') },
  { weight: 1, arbitrary: drawn('record_step') },
  { weight: 1, arbitrary: drawn('create_pending') },
  { weight: 1, arbitrary: drawn('close_waitpoint') },
  { weight: 2, arbitrary: drawn('spawn') },
  { weight: 2, arbitrary: drawn('await_children') },
);

/** Commands of other callers. */
const done = fc.oneof(
  ...(['hold', 'release_hold', 'priority', 'tags', 'revoke', 'mark', 'replay', 'expire_attempt'] as const).map((name) =>
    drawn(name),
  ),
  ...(['expire_deadline', 'purge', 'send', 'approve', 'join_flow', 'watch_stream'] as const).map((name) => drawn(name)),
);

/** Commands that affect a wait. */
const toWait = fc.oneof(
  { weight: 4, arbitrary: drawn('approve') },
  { weight: 4, arbitrary: drawn('send') },
  { weight: 1, arbitrary: drawn('resume') },
  { weight: 1, arbitrary: drawn('expire_suspension') },
  { weight: 1, arbitrary: drawn('expire_pending') },
  { weight: 1, arbitrary: drawn('hold') },
  { weight: 1, arbitrary: drawn('expire_deadline') },
  { weight: 1, arbitrary: drawn('close_waitpoint') },
  { weight: 1, arbitrary: drawn('cancel') },
);

/** Commands that take up work, or prevent others from doing so. */
const toQueued = fc.oneof(
  { weight: 3, arbitrary: drawn('issue_grant') },
  { weight: 3, arbitrary: drawn('claim_granted') },
  { weight: 3, arbitrary: drawn('operator_claim') },
  { weight: 3, arbitrary: drawn('claim') },
  { weight: 1, arbitrary: drawn('hold') },
  { weight: 1, arbitrary: drawn('block') },
  { weight: 1, arbitrary: drawn('unblock') },
  { weight: 1, arbitrary: drawn('priority') },
  { weight: 1, arbitrary: drawn('promote') },
  { weight: 1, arbitrary: drawn('cancel') },
);

/** The same action on that execution, by its owner, or by an operator if it has none. */
function about<Of extends object>(action: Of, pick: Pick): Action {
  if ('owner' in action) {
    const isOwned = pick.among === 'running';
    const owner = { ...holder(pick.index), pick, ...(isOwned ? {} : { source: 'operator_override', fence: 'none' }) };
    return { ...action, owner } as never;
  }
  if ('wants' in action) return { ...action, wants: pick, kinds: null, minPriority: null } as never;
  return { ...action, pick } as never;
}

/** Several commands on one execution, in one call. */
const ofOne = (among: Among, what: fc.Arbitrary<object>): fc.Arbitrary<readonly Action[]> =>
  fc
    .tuple(fc.nat(2), fc.array(what, { minLength: 2, maxLength: 4 }))
    .map(([index, all]) => [batchOf(all.map((it) => about(it, { among, index })))]);

const row = (from: readonly number[], policy: number | null): Row => ({
  ...{ lane: 0, kind: 0, from, policy, bytes: 0, delayMs: null, deadlineMs: null },
});

/** A few independent members, and a few that depend on them. */
const rows = fc
  .tuple(
    fc.integer({ min: 1, max: 3 }),
    fc.array(fc.tuple(fc.uniqueArray(fc.nat(4), { minLength: 1, maxLength: 3 }), fc.option(fc.nat(4))), {
      minLength: 1,
      maxLength: 3,
    }),
  )
  .map(([first, rest]) => [
    ...Array.from({ length: first }, () => row([], null)),
    ...rest.map(([from, policy]) => row(from, policy)),
  ]);

/** Commands that change a flow while its members run. */
const toFlow = fc.oneof(
  { weight: 3, arbitrary: drawn('cancel_flow') },
  { weight: 1, arbitrary: drawn('depend') },
  { weight: 1, arbitrary: drawn('group_policy') },
  { weight: 1, arbitrary: drawn('close_flow') },
  { weight: 1, arbitrary: drawn('grow_flow') },
);

/** Usually the least destructive one: the others leave little to do in a small flow. */
const cancelling = fc
  .tuple(drawn('cancel_flow'), fc.constantFrom('cancel_pending', 'cancel_pending', 'cancel_all', 'flow_only'))
  .map(([it, policy]): Action => ({ ...it, flow: 0, policy }));

/** Commands on members of one flow in one call, perhaps with its cancellation before or among them. */
const ofMembers: fc.Arbitrary<readonly Action[]> = fc
  .tuple(
    drawn('create_flow'),
    rows,
    drawn('claim'),
    fc.option(cancelling, { freq: 2 }),
    fc.array(fc.tuple(fc.nat(3), owned), { minLength: 2, maxLength: 5 }),
    fc.option(fc.tuple(fc.nat(4), toFlow), { freq: 2 }),
  )
  .map(([made, members, claimed, cancelled, acts, meanwhile]): Action[] => {
    const calls = acts.map(([index, act]) => about(act, { among: 'running', index }));
    if (meanwhile !== null) calls.splice(meanwhile[0], 0, { ...meanwhile[1], flow: 0 });
    return [
      { ...made, again: null, taken: null, building: null, closed: null, rows: members },
      { ...about(claimed, { among: 'claimable', index: 5 }), count: 4, ahead: false } as Named<'claim'>,
      ...(cancelled === null ? [] : [cancelled]),
      batchOf(calls),
    ];
  });

/** Reports to one budget in one call. */
const ofBudget: fc.Arbitrary<readonly Action[]> = fc
  .array(
    fc.oneof(
      ...(['report_usage', 'report_usage_admin', 'record_spend', 'release_budget'] as const).map((name) => drawn(name)),
      ...(['reserve', 'settle_reservation', 'release_reservation'] as const).map((name) => drawn(name)),
      ...(['create_budget', 'update_limits', 'reset_budget', 'renew_reservation'] as const).map((name) => drawn(name)),
    ),
    { minLength: 2, maxLength: 5 },
  )
  .map((all) => [
    batchOf(all.map((it) => ({ ...it, budget: 0, ...('index' in it ? { index: it.index % 3 } : {}) }) as Action)),
  ]);

/** Admissions of one policy in one call. */
const ofQuota: fc.Arbitrary<readonly Action[]> = fc
  .tuple(
    fc.nat(2),
    fc.array(fc.oneof(drawn('check_admission'), drawn('check_admission'), drawn('release_admission')), {
      minLength: 2,
      maxLength: 5,
    }),
  )
  .map(([policy, all]) => [batchOf(all.map((it): Action => ({ ...it, policy })))]);

/** Concurrent callers of any kind. */
export const crowd: fc.Arbitrary<readonly Action[]> = fc.oneof(
  { weight: 3, arbitrary: ofMembers },
  { weight: 3, arbitrary: ofOne('running', fc.oneof({ weight: 3, arbitrary: owned }, { weight: 2, arbitrary: done })) },
  { weight: 2, arbitrary: ofOne('suspended', toWait) },
  { weight: 2, arbitrary: ofOne('claimable', toQueued) },
  { weight: 2, arbitrary: ofBudget },
  { weight: 1, arbitrary: ofQuota },
);

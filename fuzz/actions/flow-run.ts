/**
 * Runs about flows with many members: created whole or grown, with work on all members at once and interference from
 * everything else.
 */
import fc from 'fast-check';
import { step, type Owner } from './choices.js';
import { drawn, type Action } from './index.js';
import { MAX_MEMBERS } from './flow-graphs.js';

const anyIndex = fc.nat(MAX_MEMBERS);

/** An action on one execution of many. */
const onAny = (
  arbitrary: fc.Arbitrary<Extract<Action, { do: 'hold' | 'release_hold' | 'block' | 'issue_grant' }>>,
): fc.Arbitrary<Action> =>
  fc.tuple(arbitrary, anyIndex).map(([it, index]): Action => ({ ...it, pick: { ...it.pick, index } }));

/** A worker that claims many executions at once. */
const claim: fc.Arbitrary<Action> = fc
  .tuple(drawn('claim'), fc.constantFrom(1, 8, 40), anyIndex)
  .map(([it, count, index]) => ({
    ...it,
    count,
    wants: { among: 'claimable', index },
    ttlMs: 60_000,
    ahead: false,
    minPriority: null,
    kinds: null,
  }));

/** An operator cancels a member in any situation. */
const cancel: fc.Arbitrary<Action> = fc.tuple(drawn('cancel'), anyIndex).map(([it, index]) => ({
  ...it,
  owner: { ...it.owner, pick: { among: 'any', index }, fence: 'none', source: 'operator_override' },
}));

const due = fc.constantFrom(1, 2, 7, 100, 100).map((limit): Action => ({ do: 'due', limit, loop: 0, jitter: null }));
/** The engine applies due work in small passes. */
const passes = fc.array(due, { minLength: 1, maxLength: 4 });

/** Owners create children and wait for them. */
const parenting: fc.Arbitrary<readonly Action[]> = fc
  .tuple(claim, fc.array(fc.tuple(drawn('spawn'), anyIndex, fc.boolean()), { minLength: 1, maxLength: 3 }))
  .map(([claimed, all]): Action[] => [
    claimed,
    ...all.flatMap(([it, index, waits]): Action[] => {
      const owner: Owner = {
        pick: { among: 'running', index },
        fence: 'current',
        source: 'lease_holder',
        attemptIndex: 'none',
      };
      return [{ ...it, owner }, ...(waits ? [{ do: 'await_children', owner } as const] : [])];
    }),
  ]);

const again: fc.Arbitrary<Action> = fc
  .tuple(drawn('replay'), anyIndex)
  .map(([it, index]) => ({ ...it, pick: { among: 'terminal', index } }));

/** A day later, ended executions are purged in small passes. */
const purging: fc.Arbitrary<readonly Action[]> = fc
  .tuple(fc.constantFrom(86_400_000, 86_399_999, 90_000_000), fc.array(due, { minLength: 1, maxLength: 6 }))
  .map(([offsetMs, passes]): Action[] => [{ do: 'time', to: { from: 'now', index: 0, offsetMs } }, ...passes]);

const interfering: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: again },
  { weight: 3, arbitrary: cancel },
  { weight: 2, arbitrary: drawn('cancel_flow') },
  { weight: 3, arbitrary: drawn('depend') },
  { weight: 1, arbitrary: drawn('group_policy') },
  { weight: 2, arbitrary: drawn('seal_flow') },
  { weight: 1, arbitrary: drawn('close_flow') },
  { weight: 1, arbitrary: drawn('join_flow') },
  { weight: 2, arbitrary: drawn('spawn') },
  { weight: 2, arbitrary: drawn('await_children') },
  { weight: 1, arbitrary: onAny(drawn('hold')) },
  { weight: 1, arbitrary: onAny(drawn('release_hold')) },
  { weight: 1, arbitrary: onAny(drawn('block')) },
  { weight: 1, arbitrary: onAny(drawn('issue_grant')) },
  { weight: 1, arbitrary: drawn('claim_granted') },
  { weight: 1, arbitrary: drawn('suspend') },
  { weight: 1, arbitrary: drawn('delay') },
  { weight: 1, arbitrary: drawn('fail') },
  { weight: 1, arbitrary: drawn('create') },
  { weight: 1, arbitrary: fc.constant<Action>({ do: 'repeat', back: 0 }) },
  {
    weight: 1,
    arbitrary: anyIndex.map((index): Action => ({ do: 'read', pick: { among: 'any', index }, limit: 100 })),
  },
);

const one = (arbitrary: fc.Arbitrary<Action>): fc.Arbitrary<readonly Action[]> => arbitrary.map((it) => [it]);

const turn: fc.Arbitrary<readonly Action[]> = fc.oneof(
  { weight: 14, arbitrary: fc.tuple(claim, drawn('end_all')) },
  { weight: 2, arbitrary: one(claim) },
  { weight: 2, arbitrary: one(drawn('end_all')) },
  { weight: 3, arbitrary: parenting },
  { weight: 7, arbitrary: passes },
  { weight: 3, arbitrary: one(step.map((to): Action => ({ do: 'time', to }))) },
  { weight: 12, arbitrary: one(interfering) },
  { weight: 1, arbitrary: one(drawn('create_graph')) },
  { weight: 2, arbitrary: purging },
);

/** A flow with many members and its processing. */
export const flowRun: fc.Arbitrary<Action[]> = fc
  .tuple(
    fc.option(fc.nat(1_000_000)),
    drawn('create_graph'),
    fc.array(turn, { minLength: 8, maxLength: 40, size: 'max' }),
  )
  .map(([ids, graph, turns]) => [...(ids === null ? [] : [{ do: 'ids' as const, seed: ids }]), graph, ...turns.flat()]);

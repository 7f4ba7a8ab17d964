/** An execution brought into a state that random runs seldom reach, and anything that can then happen to it. */
import fc from 'fast-check';
import type { StateClass } from '../state-class.js';
import { holder, type Pick } from './choices.js';
import { drawn, simple, type Action } from './index.js';

const create = drawn('create').map((it): Action => ({ ...it, delay: null, block: null, again: null, deadline: null }));
/** Takes all claimable work, so that the new execution is among what is taken. */
const claim = drawn('claim').map(
  (it): Action => ({
    ...it,
    wants: { among: 'claimable', index: 5 },
    minPriority: null,
    kinds: null,
    ahead: false,
    count: 8,
  }),
);
const owned = <Name extends 'delay' | 'fail' | 'release' | 'spawn' | 'await_children' | 'suspend'>(name: Name) =>
  drawn(name).map((it): Action => ({ ...it, owner: holder(5) }) as Action);
const inClass = (among: StateClass): Pick => ({ among, index: 5 });
const toNextTimer: Action = { do: 'time', to: { from: 'timer', index: 0, offsetMs: 0 } };
const duePass: Action = { do: 'due', limit: 100, loop: 0, jitter: null };
const cancelled = (among: StateClass): Action => ({
  do: 'cancel',
  owner: { pick: inClass(among), fence: 'none', source: 'operator_override', attemptIndex: 'none' },
  engine: null,
});

const block = (among: StateClass) =>
  fc.oneof(
    drawn('block').map((it): Action => ({ ...it, pick: inClass(among) })),
    drawn('block_route').map((it): Action => ({ ...it, pick: inClass(among) })),
  );

/** A member of a flow that waits for another one. */
const flowWithEdge = drawn('create_flow').map(({ rows, ...it }): Action => {
  const [first] = rows;
  const plain = first ?? { lane: 0, kind: 0, policy: null, bytes: 0, delayMs: null, deadlineMs: null };
  return {
    ...it,
    again: null,
    rows: [{ ...plain, from: [] }, ...rows.slice(1), { ...plain, from: [0], policy: null }],
  };
});

/** The ways into each state. */
const ROUTES = {
  RI: [create, claim, owned('release')],
  DI: [create, claim, owned('delay')],
  BW: [create, block('RW')],
  BI: [create, claim, owned('release'), block('RI')],
  BO: [create, drawn('hold').map((it): Action => ({ ...it, pick: inClass('RW') }))],
  WD: [flowWithEdge],
  WC: [create, claim, owned('spawn'), owned('await_children')],
  SW: [create, claim, owned('suspend')],
  AX: [create, claim, fc.constant(toNextTimer)],
  AE: [create, claim, fc.constant(toNextTimer), drawn('mark').map((it): Action => ({ ...it, pick: inClass('AX') }))],
  AR: [create, claim, fc.constant<Action>({ do: 'revoke', pick: inClass('AL'), expected: 'none' })],
  Tfailed: [create, claim, owned('fail')],
  Tcancelled: [create, fc.constant(cancelled('RW'))],
  Texpired: [
    create.map((it): Action => ({ ...it, deadline: { from: 'now', index: 0, offsetMs: 1 } }) as Action),
    fc.constant(toNextTimer),
    fc.constant(duePass),
  ],
  Tskipped: [flowWithEdge, fc.constant(cancelled('RW'))],
} as const satisfies Partial<Record<StateClass, readonly fc.Arbitrary<Action>[]>>;

/** The action on an execution of the class, whatever it was drawn for. */
function aimed(action: Action, among: StateClass): Action {
  if ('owner' in action) return { ...action, owner: { ...action.owner, pick: inClass(among) } } as Action;
  return 'pick' in action ? ({ ...action, pick: inClass(among) } as Action) : action;
}

/** An action that names an execution. */
const onOne = simple.filter((action) => 'owner' in action || 'pick' in action);

const cornerOf = (state: keyof typeof ROUTES): fc.Arbitrary<readonly Action[]> =>
  fc
    .tuple(
      fc.tuple(...(ROUTES[state] as readonly fc.Arbitrary<Action>[])),
      fc.array(onOne, { minLength: 1, maxLength: 4 }),
    )
    .map(([way, then]) => [...way, ...then.map((it) => aimed(it, state))]);

export const corner: fc.Arbitrary<readonly Action[]> = fc.oneof(
  ...(Object.keys(ROUTES) as (keyof typeof ROUTES)[]).map(cornerOf),
);

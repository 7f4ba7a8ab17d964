/**
 * A small world of one quota policy and three claimers, explored exhaustively to a depth: they ask for admissions and wait
 * for them, give them back used and unused, and time passes, so that slots are asked and the window moves.
 */
import { metersOf, meterSetOf } from '../../model/metering/meters.js';
import { quotaTimerAt } from '../../model/quota/room.js';
import { exploreWorld, type Decider, type Exploration, type Move, type State } from './metered-world.js';
import { idOf } from './node.js';

const POLICY = idOf(700);
/** Slots at once, admissions in a window, and its length. */
const CAP = 2;
const RATE = 3;
const WINDOW_S = 2;
const LENGTH_MS = 6_000;

/** Each claimer asks for its admissions together. */
const CLAIMERS = {
  A: [idOf(801)],
  B: [idOf(802), idOf(803)],
  C: [idOf(804)],
} as const;

function commandsAt({ state }: State): readonly Move[] {
  if (!state.tables.quota_policy.has(POLICY)) {
    const limits = { maxConcurrent: CAP, maxRequestsPerWindow: RATE, windowSeconds: WINDOW_S, slotTtlMs: 1_000 };
    return [['create', { name: 'createQuotaPolicy', args: { quotaPolicyId: POLICY, ...limits } }]];
  }
  return [
    ...(Object.keys(CLAIMERS) as (keyof typeof CLAIMERS)[]).flatMap(movesOf),
    ['the engine applies', { name: 'applyDue', args: { partition: '{q:0}' } }],
  ];
}

function movesOf(claimer: keyof typeof CLAIMERS): readonly Move[] {
  const its = { quotaPolicyId: POLICY, admissionIds: [...CLAIMERS[claimer]] };
  const waits = {
    laneId: 'l',
    workerInstanceId: claimer,
    meters: meterSetOf(metersOf({ quotaPolicyIds: [POLICY] })),
    waiterTtlMs: 1_500,
  };
  return [
    [`${claimer} asks`, { name: 'checkAdmission', args: { ...its, partition: '{fp:0}' } }],
    [`${claimer} asks and waits`, { name: 'checkAdmission', args: { ...its, ...waits, partition: '{fp:0}' } }],
    [`${claimer} gives back`, { name: 'releaseAdmission', args: its }],
    [`${claimer} gives back unused`, { name: 'releaseAdmission', args: { ...its, unused: true } }],
  ];
}

/** Slots, window and waiters, with their times relative to now. */
function keyOf({ state: { tables }, now }: State): string {
  const rows = [...tables.quota_policy.values()].map(({ slots = {}, window = {}, waiters = {} }) => [
    Object.entries(slots).map(([id, { checkAt }]) => [id, checkAt - now]),
    Object.entries(window).map(([id, at]) => [id, at - now]),
    Object.entries(waiters).map(([id, { since, wanted, expiresAt }]) => [id, since - now, wanted, expiresAt - now]),
  ]);
  return JSON.stringify(rows);
}

const nextAt = ({ state: { tables } }: State): number =>
  Math.min(...[...tables.quota_policy.values()].map((policy) => quotaTimerAt(policy) ?? Infinity));

/** Explores to a depth. */
export const exploreQuotas = (depth: number, decider?: Decider): Exploration =>
  exploreWorld({ commandsAt, keyOf, nextAt, lengthMs: LENGTH_MS }, depth, decider);

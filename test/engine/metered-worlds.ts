/**
 * Generated metered worlds: an execution with budgets and quotas, and commands that were given since, of which the
 * machines may refuse some.
 */
import fc from 'fast-check';
import type { Command } from '../../model/machine.js';
import { meterSetOf, metersOf, type KeyedQuota } from '../../model/metering/meters.js';
import { uuidOf } from '../../model/short-id.js';
import { idOf, PARTITION, START, uuid, X } from '../model/dsl.js';
import { commandOf, laneOf } from './flow-worlds.js';
import { MeteredMachines } from './metered-machines.js';

export const LANE = laneOf(X);
const BUDGETS = [uuid(70), uuid(71)] as const;
const NAMED = [uuid(80), uuid(81)] as const;
const KEYED = uuid(82);

const budget = fc.record({
  hard: fc.integer({ min: 1, max: 4 }),
  enforcementMode: fc.constantFrom('strict' as const, 'strict' as const, 'strict' as const, 'advisory' as const),
  onHardLimit: fc.constantFrom('fail' as const, 'fail' as const, 'block' as const, 'none' as const),
  resetIntervalMs: fc.constantFrom(0, 20_000),
});

const quota = fc.record({
  windowSeconds: fc.constantFrom(10, 30),
  maxRequestsPerWindow: fc.constantFrom(0, 1, 2),
  maxConcurrent: fc.constantFrom(0, 1, 2),
});

const ACTS_ON_IT = [
  'claim',
  'lose',
  'complete',
  'fail',
  'cancel',
  'replay',
  'hold',
  'grant',
  'suspend',
  'signal',
] as const;
const ACTS_ON_METERS = ['admit', 'admit', 'release', 'rival', 'spend', 'spend', 'reserve', 'lower', 'reset'] as const;
const OTHER_ACTS = ['block', 'revoke', 'pause', 'drain', 'resume', 'drop', 'cancel_oldest', 'due'] as const;

const act = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ act: fc.constantFrom(...ACTS_ON_IT), which: fc.nat(2), amount: fc.constant(1) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      act: fc.constantFrom(...ACTS_ON_METERS),
      which: fc.nat(2),
      amount: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ act: fc.constantFrom(...OTHER_ACTS), which: fc.nat(3), amount: fc.constant(1) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      act: fc.constant('wait' as const),
      which: fc.constant(0),
      amount: fc.constantFrom(1_000, 4_000, 9_000, 16_000),
    }),
  },
);
type Act = typeof act extends fc.Arbitrary<infer Value> ? Value : never;

export const worlds = fc.record({
  /** Budgets and named policies that exist; the execution may also name others, which limit nothing. */
  budgets: fc.array(budget, { maxLength: 2 }),
  quotas: fc.array(quota, { maxLength: 2 }),
  charged: fc.subarray([...BUDGETS]),
  admittedBy: fc.subarray([...NAMED]),
  /** Limits of a policy for its key. */
  keyed: fc.option(quota, { nil: undefined }),
  needsGpu: fc.boolean(),
  delayMs: fc.constantFrom(undefined, undefined, 5_000, 40_000),
  deadlineMs: fc.constantFrom(undefined, undefined, undefined, 8_000, 18_000, 45_000),
  maxReplayCount: fc.constantFrom(undefined, undefined, 1, 0),
  acts: fc.array(act, { maxLength: 10 }),
});
export type MeteredWorld = typeof worlds extends fc.Arbitrary<infer World> ? World : never;

/** The meters of the execution. */
export const metersIn = ({ charged, admittedBy, keyed }: MeteredWorld) => ({
  budgetIds: charged,
  quotaPolicyIds: admittedBy,
  keyedQuotas: keyed === undefined ? [] : [{ quotaPolicyId: KEYED, ...keyed } satisfies KeyedQuota],
});

/** The machines of a world. */
export async function built(world: MeteredWorld): Promise<MeteredMachines> {
  const machines = new MeteredMachines();
  world.budgets.forEach(({ hard, ...given }, at) => {
    const limits = { tokens: { hard }, calls: { hard: 1 } };
    machines.run('createBudget', { budgetId: BUDGETS[at] as string, limits, ...given });
  });
  world.quotas.forEach((limits, at) =>
    machines.run('createQuotaPolicy', { quotaPolicyId: NAMED[at] as string, ...limits }),
  );
  machines.run('createExecution', creationIn(world, X, LANE));
  for (const [n, each] of world.acts.entries()) await carryOut(machines, world, each, 200 + 10 * n);
  return machines;
}

function creationIn(world: MeteredWorld, executionId: string, laneId: string) {
  const { needsGpu, delayMs, deadlineMs, maxReplayCount } = world;
  const isIt = executionId === X;
  return {
    ...{ namespace: 'n', laneId, executionKind: 'kind', creatorIdentity: 'c', executionId },
    delayUntil: isIt && delayMs !== undefined ? START + delayMs : undefined,
    executionDeadlineAt: isIt && deadlineMs !== undefined ? START + deadlineMs : undefined,
    policy: {
      ...metersIn(world),
      maxReplayCount,
      retryPolicy: { maxRetries: 1, backoff: { type: 'fixed' as const, delayMs: 3_000 } },
      routingRequirements: { requiredCapabilities: needsGpu ? ['gpu'] : [] },
    },
  };
}

/** `n` and the nine numbers after it are free. */
async function carryOut(machines: MeteredMachines, world: MeteredWorld, act: Act, n: number): Promise<void> {
  switch (act.act) {
    case 'wait':
      machines.now += act.amount;
      break;
    case 'due':
      await machines.applyDue();
      break;
    case 'claim':
      await claimIt(machines, world, n);
      break;
    case 'lose':
      await claimIt(machines, world, n);
      // Its lease is over by then.
      machines.now += 5_000;
      break;
    case 'suspend':
      await claimIt(machines, world, n);
      machines.attempt(commandOf(machines.executions, 'suspend', X, n));
      break;
    case 'rival':
      machines.attempt({ name: 'createExecution', args: creationIn(world, idOf(n), 'rivals') });
      await machines.claim('rivals', metersIn(world), n + 1);
      break;
    default:
      machines.attempt(commandFor(machines, world, act, n));
  }
}

/** Claims it, unless newer work of its lane would be taken in its place. */
async function claimIt(machines: MeteredMachines, world: MeteredWorld, n: number): Promise<void> {
  const terms = { meters: meterSetOf(metersOf(metersIn(world))), kinds: undefined, capabilities: new Set(['gpu']) };
  const [first] = machines.executions.view.schedule.claimable(LANE, terms, 1);
  if (first?.executionId === X) await machines.claim(LANE, metersIn(world), n);
}

function commandFor(
  machines: MeteredMachines,
  world: MeteredWorld,
  { act, which, amount }: Act,
  n: number,
): Command | undefined {
  const lane = { partition: PARTITION, laneId: LANE };
  const budgetId = BUDGETS[which % 2] as string;
  const quotaPolicyId = [...NAMED, KEYED][which % 3] as string;
  // One call is all that the limit of calls has room for.
  const used: Record<string, number> = amount === 3 ? { calls: 1 } : { tokens: amount };
  switch (act) {
    case 'block':
      return blockOf(which);
    case 'revoke':
      return { name: 'revokeLease', args: { executionId: X, reason: 'r' } };
    case 'drain':
      return { name: 'drainLane', args: lane };
    case 'resume':
      return { name: 'resumeLane', args: lane };
    case 'drop':
    case 'cancel_oldest':
      return {
        name: 'createExecution',
        args: { ...creationIn(world, idOf(n), LANE), whenFull: { strategy: act, room: which % 2 } },
      };
    case 'admit': {
      const limits = quotaPolicyId === KEYED ? world.keyed : undefined;
      return { name: 'checkAdmission', args: { quotaPolicyId, admissionIds: [uuid(n)], partition: PARTITION, limits } };
    }
    case 'release':
      return releaseOf(machines, quotaPolicyId, amount === 1);
    case 'spend':
      return { name: 'reportUsageAdmin', args: { budgetId, deltas: used } };
    case 'reserve':
      return {
        name: 'reserveBudget',
        args: { budgetId, reservationId: uuid(n), amounts: used, ttlMs: 10_000 },
      };
    case 'lower':
      return { name: 'updateBudgetLimits', args: { budgetId, limits: { tokens: { hard: amount } } } };
    case 'reset':
      return { name: 'resetBudget', args: { budgetId } };
    case 'wait':
    case 'due':
    case 'claim':
    case 'lose':
    case 'suspend':
    case 'rival':
      return undefined;
    case 'fail':
      if (which > 0) return commandOf(machines.executions, 'fail', X, n);
      return {
        name: 'failExecution',
        args: { executionId: X, source: 'operator_override', failureReason: 'r', failureClass: 'transient' },
      };
    default:
      return commandOf(machines.executions, act, X, n);
  }
}

function blockOf(which: number): Command {
  if (which === 0) return { name: 'blockRoute', args: { executionId: X, reasonDetail: 'gpu' } };
  const blockingReason = (['waiting_for_budget', 'waiting_for_quota', 'paused_by_policy'] as const)[which - 1];
  return { name: 'blockExecutionForAdmission', args: { executionId: X, blockingReason } } as Command;
}

/** Frees the slot that a policy gave first; undefined when it gave none. */
export function releaseOf(machines: MeteredMachines, quotaPolicyId: string, unused: boolean): Command | undefined {
  const [first] = Object.keys(machines.tableOf('quota', 'quota_policy').get(quotaPolicyId)?.slots ?? {});
  if (first === undefined) return undefined;
  return { name: 'releaseAdmission', args: { quotaPolicyId, admissionIds: [uuidOf(first)], unused } };
}

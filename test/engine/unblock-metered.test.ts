/**
 * Explanations in generated metered worlds: every cause that the stored state has is removed by a step, every step has
 * a cause, and the steps, taken in order, make it run, whether or not a loop applies due work meanwhile.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EngineError } from '../../model/errors.js';
import { isActive, isTerminal, SITUATIONS } from '../../model/execution/situation.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { explain, type Explanation, type UnblockStep } from '../../src/engine/index.js';
import { policiesOf } from '../../src/engine/deliveries.js';
import { meterSetOf, metersOf } from '../../model/metering/meters.js';
import { PARTITION, X } from '../model/dsl.js';
import { commandOf } from './flow-worlds.js';
import type { MeteredMachines } from './metered-machines.js';
import { built, LANE, metersIn, releaseOf, worlds, type MeteredWorld } from './metered-worlds.js';

const RUNS = Number(process.env['UNBLOCK_RUNS'] ?? 100);

/** A cause by its name, with the meter where it is one, and the time at which it ends by itself, if it does. */
interface Cause {
  readonly name: 'ended' | 'overdue' | 'lapsed' | 'hold' | 'time' | 'wait' | 'block' | 'grant' | 'lane' | Metered;
  readonly of?: string;
  readonly endsAt?: number;
}
type Metered = 'budget' | 'rate' | 'slots';

const executionIn = (machines: MeteredMachines): ReadonlyExecution =>
  machines.tableOf('flow', 'execution').get(X) as ReadonlyExecution;

/** Every cause that the stored state has for it not to run now. */
function causesIn(machines: MeteredMachines, world: MeteredWorld): readonly Cause[] {
  const it = executionIn(machines);
  const { now } = machines;
  if (it.situation === 'running' && (it.dueAt ?? 0) > now) return [];
  return [...ownCauses(it, now), ...surrounding(machines, world)];
}

function ownCauses(it: ReadonlyExecution, now: number): Cause[] {
  if (isTerminal(it.situation)) return [{ name: 'ended' }];
  // Its expiry ends whatever else keeps it.
  if ((it.executionDeadlineAt ?? Infinity) <= now) return [{ name: 'overdue' }];
  const causes: Cause[] = [];
  if (it.heldAt !== undefined) causes.push({ name: 'hold' });
  if (it.grantExpiresAt !== undefined) causes.push({ name: 'grant', endsAt: it.grantExpiresAt + 1 });
  const { eligibility } = SITUATIONS[it.situation];
  if (it.situation === 'running') causes.push({ name: 'lapsed' });
  else if (it.situation === 'suspended')
    causes.push({ name: 'wait', endsAt: now + (it.waiting?.suspension?.resumeDelayMs ?? 0) });
  else if (eligibility === 'not_eligible_until_time') causes.push({ name: 'time', endsAt: it.dueAt ?? 0 });
  else if (it.situation !== 'ready' && !isActive(it)) causes.push({ name: 'block' });
  return causes;
}

function surrounding(machines: MeteredMachines, world: MeteredWorld): Cause[] {
  const { now } = machines;
  const causes: Cause[] = [];
  if (machines.tableOf('flow', 'lane').get(LANE)?.laneState === 'paused') causes.push({ name: 'lane' });
  for (const of of metersIn(world).budgetIds) {
    const budget = machines.tableOf('budget', 'budget').get(of);
    if (budget === undefined || budget.enforcementMode === 'advisory' || budget.onHardLimit === 'none') continue;
    const isExhausted = Object.entries(budget.hardLimits).some(([name, hard]) => {
      const taken = (budget.usage[name] ?? 0) + (budget.reserved[name] ?? 0);
      return hard > 0 && (taken >= hard || budget.refused[name] !== undefined);
    });
    if (isExhausted) causes.push({ name: 'budget', of });
  }
  for (const of of policiesOf(meterSetOf(metersOf(metersIn(world))))) {
    const policy = machines.tableOf('quota', 'quota_policy').get(of);
    if (policy === undefined) continue;
    const { maxRequests, windowMs, concurrencyCap, slots = {}, window = {} } = policy;
    const leaving = Object.values(window)
      .map((at) => at + windowMs)
      .filter((at) => at > now);
    if (maxRequests > 0 && leaving.length >= maxRequests)
      causes.push({ name: 'rate', of, endsAt: leaving.sort((a, b) => b - a)[maxRequests - 1] as number });
    if (concurrencyCap > 0 && Object.keys(slots).length >= concurrencyCap) causes.push({ name: 'slots', of });
  }
  return causes;
}

/** The names of causes that a call removes. */
const REMOVES: Readonly<Record<string, readonly Cause['name'][]>> = {
  releaseHold: ['hold'],
  unblockExecution: ['block'],
  resumeExecution: ['wait'],
  signalExecution: ['wait'],
  resumeLane: ['lane'],
  resetBudget: ['budget'],
  updateBudgetLimits: ['budget'],
  releaseAdmission: ['slots'],
  replayExecution: ['ended', 'overdue'],
  applyDue: ['lapsed', 'overdue', 'time', 'grant', 'wait'],
};

const calls = (steps: readonly UnblockStep[]) => steps.flatMap((step) => (step.kind === 'call' ? [step] : []));
const lastWait = (steps: readonly UnblockStep[]): number =>
  Math.max(0, ...steps.map((step) => (step.kind === 'wait' ? step.until : 0)));

/** The causes that no step removes, and the calls that remove none. */
function mismatches(causes: readonly Cause[], steps: readonly UnblockStep[], now: number): string[] {
  const isOf = ({ name, of }: Cause, step: { call: string; of: string }): boolean =>
    (REMOVES[step.call]?.includes(name) ?? false) && (of === undefined || of === step.of);
  const left = causes.filter((cause) => {
    if ((cause.endsAt ?? 0) > now && lastWait(steps) < (cause.endsAt ?? 0)) return true;
    return cause.name !== 'rate' && !calls(steps).some((step) => isOf(cause, step));
  });
  const needless = calls(steps)
    .slice(0, -1)
    .filter((step) => !causes.some((cause) => isOf(cause, step)));
  return [
    ...left.map(({ name, of = '' }) => `nothing removes ${name} ${of}`),
    ...needless.map(({ call, of }) => `nothing needs ${call} ${of}`),
  ];
}

/** The causes that each reason stands for. */
const MEANS: Readonly<Record<string, readonly Cause['name'][]>> = {
  ended: ['ended'],
  hold: ['hold'],
  lane_paused: ['lane'],
  budget: ['budget'],
  quota: ['rate', 'slots'],
  granted: ['grant'],
  not_promoted: ['lapsed', 'overdue', 'time', 'grant'],
  waiting_for_delay: ['time'],
  waiting_for_retry_backoff: ['time'],
  waiting_for_resume_delay: ['time'],
  waiting_for_signal: ['wait'],
  waiting_for_budget: ['block'],
  waiting_for_quota: ['block'],
  waiting_for_capable_worker: ['block'],
  paused_by_policy: ['block'],
};

/** What is wrong with the reason. */
function misnamed({ because, meterId }: Explanation, causes: readonly Cause[], isRunning: boolean): string[] {
  if (causes.length === 0) return because === (isRunning ? 'nothing' : 'worker') ? [] : [`there is no ${because}`];
  const named = causes.filter(({ name, of }) => MEANS[because]?.includes(name) && (of === undefined || of === meterId));
  if (named.length === 0) return [`${because} is not among ${causes.map(({ name }) => name).join(', ')}`];
  // The worker that has the grant can take it whatever its lane and its meters say.
  return causes.some(({ name }) => name === 'grant') && named[0]?.name !== 'grant' ? ['it is granted'] : [];
}

/** The causes of the run that follows its expiry: it is expired, replayed, and kept by its surroundings. */
const afterExpiry = (causes: readonly Cause[], endsAt: number): readonly Cause[] => [
  { name: 'overdue', endsAt },
  ...causes.filter(({ name }) => ['lane', 'budget', 'rate', 'slots'].includes(name)),
];

async function step(
  machines: MeteredMachines,
  world: MeteredWorld,
  { call, of }: UnblockStep & { kind: 'call' },
  n: number,
) {
  switch (call) {
    case 'claimForWorker':
      return machines.claim(LANE, metersIn(world), n);
    case 'applyDue':
      await machines.applyDue();
      return 'applied';
    case 'releaseAdmission': {
      // A loop may have freed the slots of lost work meanwhile.
      const release = releaseOf(machines, of, false);
      return release === undefined ? 'free' : machines.run('releaseAdmission', release.args as never).kind;
    }
    case 'updateBudgetLimits':
      return machines.run(call, { budgetId: of, limits: { tokens: { hard: 100 }, calls: { hard: 100 } } }).kind;
    case 'resetBudget':
      return machines.run(call, { budgetId: of }).kind;
    case 'resumeLane':
      return machines.run(call, { partition: PARTITION, laneId: of }).kind;
    case 'signalExecution':
      return machines.run(call, commandOf(machines.executions, 'signal', of, n)?.args as never).kind;
    default:
      return machines.run(call, { executionId: of } as never).kind;
  }
}

/** Takes the steps; with a loop that applies due work in time, or without one. */
async function take(world: MeteredWorld, steps: readonly UnblockStep[], hasLoop: boolean): Promise<string> {
  const machines = await built(world);
  if (hasLoop) await machines.applyDue();
  for (const [n, each] of steps.entries()) {
    if (each.kind === 'wait') {
      if (each.until <= machines.now) return `step ${n} waits for a time that is over`;
      machines.now = each.until;
      if (hasLoop) await machines.applyDue();
      continue;
    }
    try {
      const kind = await step(machines, world, each, 600 + 2 * n);
      if (kind === 'already_satisfied') return `step ${n}, ${each.call}: nothing to do`;
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      return `step ${n}, ${each.call}: ${error.code}`;
    }
  }
  const { situation, dueAt = 0 } = executionIn(machines);
  return situation === 'running' && dueAt > machines.now ? 'it runs' : `it does not run: ${situation}`;
}

/** Whether the cause is gone at the time that the explanation names, if a loop applies what is due. */
async function endsByItself(world: MeteredWorld, { because, until, meterId }: Explanation): Promise<boolean> {
  if (until === undefined || !['budget', 'quota'].includes(because)) return true;
  const machines = await built(world);
  machines.now = Math.max(machines.now, until);
  await machines.applyDue();
  const name = because === 'budget' ? 'budget' : 'rate';
  return !surrounding(machines, world).some((cause) => cause.name === name && cause.of === meterId);
}

test('the steps of an explanation unblock every generated metered execution', async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(worlds, async (world) => {
      const machines = await built(world);
      const { now } = machines;
      const it = executionIn(machines);
      const explanation = await explain(machines.backend, X);
      const { unblock, sentence, because } = explanation;
      const told = `${because}: ${sentence} ${JSON.stringify(unblock)}`;
      const causes = causesIn(machines, world);
      for (const { name } of causes) seen.add(name);
      const isRunning = causes.length === 0 && it.situation === 'running';
      expect([told, misnamed(explanation, causes, isRunning)]).toEqual([told, []]);
      expect([told, await endsByItself(world, explanation)]).toEqual([told, true]);
      if (isRunning) {
        expect(unblock).toEqual([]);
        return;
      }

      // Where it cannot run in time, it has to be replayed.
      const { executionDeadlineAt: deadline = Infinity, replayCount, policy } = it;
      const isOver = causes.some(({ name }) => name === 'ended' || name === 'overdue');
      const needed = Math.max(0, ...causes.map(({ endsAt = 0 }) => endsAt));
      const expires = !isOver && needed >= deadline;
      if ((isOver || expires) && replayCount >= (policy?.maxReplayCount ?? Infinity)) {
        expect([told, unblock]).toEqual([told, undefined]);
        return;
      }
      expect(unblock).not.toBe(undefined);
      const steps = unblock as readonly UnblockStep[];
      expect([told, mismatches(expires ? afterExpiry(causes, deadline) : causes, steps, now)]).toEqual([told, []]);
      expect([told, await take(world, steps, false)]).toEqual([told, 'it runs']);
      expect([told, await take(world, steps, true)]).toEqual([told, 'it runs']);
    }),
    { numRuns: RUNS, endOnFailure: true, seed: Number(process.env['UNBLOCK_SEED'] ?? 1) },
  );
  const all = [
    'ended',
    'overdue',
    'lapsed',
    'hold',
    'time',
    'wait',
    'block',
    'grant',
    'lane',
    'budget',
    'rate',
    'slots',
  ];
  if (process.env['UNBLOCK_RUNS'] === undefined) expect([...seen].sort()).toEqual(all.sort());
});

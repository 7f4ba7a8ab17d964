/** Budgets and quota policies that keep work from running. */
import { EngineError } from '../../model/errors.js';
import { partsOfMeterSet } from '../../model/metering/meters.js';
import type { BudgetStatus } from '../../model/budget/reads.js';
import type { QuotaStatus } from '../../model/quota/reads.js';
import type { Backend } from '../backend/backend.js';
import { policiesOf } from './deliveries.js';
import { callStep, obstacleOf, waitStep, type Obstacle } from './obstacle.js';

/** The users' names of budgets and quotas, by id; others are shown by id. */
export type MeterNames = ReadonlyMap<string, string>;

/** Every exhausted budget and every full quota policy of a meter set. */
export async function meterObstacles(
  backend: Backend,
  meters: string,
  namesOf: () => Promise<MeterNames>,
): Promise<Obstacle[]> {
  if (meters === '') return [];
  const names = await namesOf();
  const called = (id: string): string => (names.has(id) ? `${names.get(id)} (${id})` : id);
  const [budgets, quotas] = await Promise.all([
    Promise.all(partsOfMeterSet(meters).budgetIds.map((budgetId) => ofBudget(backend, budgetId, called(budgetId)))),
    Promise.all(policiesOf(meters).map((policyId) => ofQuota(backend, policyId, called(policyId)))),
  ]);
  return [...budgets, ...quotas].filter((obstacle) => obstacle !== undefined);
}

async function ofBudget(backend: Backend, budgetId: string, called: string): Promise<Obstacle | undefined> {
  let budget: BudgetStatus;
  try {
    budget = await backend.getBudgetStatus({ budgetId });
  } catch (error) {
    // A policy that was never created limits nothing.
    if (error instanceof EngineError && error.code === 'budget_not_found') return undefined;
    throw error;
  }
  const { exhausted, nextResetAt: until } = budget;
  if (exhausted.length === 0) return undefined;
  // A reset takes back what was spent, but not what is reserved.
  const reserved = exhausted.filter((of) => (budget.reserved[of] ?? 0) >= (budget.hardLimits[of] ?? 0));
  const sentence = `Budget ${called} is exhausted: ${exhausted.join(', ')}.`;
  if (reserved.length === 0) {
    const reset = until === undefined ? 'or reset it' : 'reset it, or wait for its reset';
    const remedy = `Raise its limits, release what was spent, ${reset}.`;
    return obstacleOf('budget', sentence, remedy, {
      until,
      meterId: budgetId,
      steps: [callStep('resetBudget', budgetId)],
    });
  }
  return obstacleOf(
    'budget',
    `${sentence} Reservations hold all of ${reserved.join(', ')}.`,
    'Raise its limits, or settle or release reservations.',
    { meterId: budgetId, steps: [callStep('updateBudgetLimits', budgetId)] },
  );
}

async function ofQuota(backend: Backend, quotaPolicyId: string, called: string): Promise<Obstacle | undefined> {
  const status = await backend.readQuotaPolicyLimits({ quotaPolicyId });
  return status === undefined ? undefined : ofFull(status, called);
}

function ofFull(status: QuotaStatus, called: string): Obstacle | undefined {
  const { quotaPolicyId: meterId, maxRequestsPerWindow, windowSeconds, maxConcurrent, held, roomAt: until } = status;
  const hasSlot = maxConcurrent === 0 || held < maxConcurrent;
  if (until === undefined && hasSlot) return undefined;
  const release = hasSlot ? [] : [callStep('releaseAdmission', meterId)];
  const slots =
    maxConcurrent === 1
      ? `The slot of quota ${called} is held.`
      : `All ${maxConcurrent} slots of quota ${called} are held.`;
  if (until === undefined) return obstacleOf('quota', slots, 'Wait for an end.', { meterId, steps: release });
  const rate = `Quota ${called} has used up its rate of ${maxRequestsPerWindow} in ${windowSeconds} s.`;
  return obstacleOf(
    'quota',
    hasSlot ? rate : `${rate} ${slots}`,
    hasSlot ? 'Wait until the window moves.' : 'Wait until the window moves, and for an end.',
    { until, meterId, steps: [waitStep(until), ...release] },
  );
}

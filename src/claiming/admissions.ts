/**
 * Obtains admissions for a meter set, for several claims at once, in one call per quota policy. If one policy of the
 * set refuses, the slots of the others are returned.
 */
import { EngineError } from '../../model/errors.js';
import { partsOfMeterSet } from '../../model/metering/meters.js';
import type { Backend } from '../backend/backend.js';
import { policiesOf, released } from '../engine/deliveries.js';

/** A meter set of a lane in a partition, as a claim of metered work names it. */
export interface MeteredPlace {
  readonly laneId: string;
  readonly partition: string;
  readonly meters: string;
}

/** How many of the ids were admitted by all policies; or after a refusal, how long to skip the set, ms. */
export type Admitted = { readonly count: number } | { readonly count: 0; readonly retryAfterMs: number };

/** The limits of keyed policies, by policy id. */
const limitsOf = (meters: string): ReadonlyMap<string, object> =>
  new Map(partsOfMeterSet(meters).keyedQuotas.map(({ quotaPolicyId, ...limits }) => [quotaPolicyId, limits]));

/** The claimer. */
export interface Asker {
  readonly workerInstanceId: string;
  /** Delay until it retries without a wake, ms: a wake can be lost, or go to a worker that died. */
  readonly silenceMs: number;
}

/** Requests admissions of every policy of a set, one after another, each for the number admitted so far. */
export async function admit(
  backend: Backend,
  { laneId, partition, meters }: MeteredPlace,
  { workerInstanceId, silenceMs }: Asker,
  ids: readonly string[],
): Promise<Admitted> {
  const { budgetIds } = partsOfMeterSet(meters);
  const left = await Promise.all(budgetIds.map((budgetId) => hasLeft(backend, budgetId)));
  if (left.includes(false)) return { count: 0, retryAfterMs: silenceMs };
  const limits = limitsOf(meters);
  const asked: string[] = [];
  let count = ids.length;
  for (const quotaPolicyId of policiesOf(meters)) {
    const admissionIds = ids.slice(0, count);
    // The registration expires, so that the policy stops announcing room to a worker that died.
    const waiter = { laneId, meters, workerInstanceId, waiterTtlMs: 2 * silenceMs };
    const args = { quotaPolicyId, admissionIds, partition, limits: limits.get(quotaPolicyId), ...waiter };
    const outcome = await checked(backend, args);
    // A policy that does not exist limits nothing.
    if (outcome === undefined) continue;
    if (outcome.kind !== 'admitted') {
      await handBack(backend, asked, admissionIds);
      const retryAfterMs = outcome.kind === 'rate_exceeded' ? outcome.retryAfterMs : silenceMs;
      return { count: 0, retryAfterMs: Math.max(1, Math.min(retryAfterMs, silenceMs)) };
    }
    if (outcome.count < count) await handBack(backend, asked, ids.slice(outcome.count, count));
    asked.push(quotaPolicyId);
    count = outcome.count;
  }
  return { count };
}

/** Whether a budget is not exhausted; a budget that does not exist limits nothing (spec 09 section 2). */
async function hasLeft(backend: Backend, budgetId: string): Promise<boolean> {
  try {
    return (await backend.readBudgetRoom({ budgetId })).exhausted.length === 0;
  } catch (error) {
    if (error instanceof EngineError && error.code === 'budget_not_found') return true;
    throw error;
  }
}

type CheckArgs = Parameters<Backend['checkAdmission']>[0];

async function checked(backend: Backend, args: CheckArgs) {
  try {
    return await backend.checkAdmission(args);
  } catch (error) {
    if (error instanceof EngineError && error.code === 'quota_policy_not_found') return undefined;
    throw error;
  }
}

/** Returns unused admissions. */
export async function handBack(backend: Backend, policies: readonly string[], ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await Promise.all(policies.map((quotaPolicyId) => released(backend, quotaPolicyId, ids, true)));
}

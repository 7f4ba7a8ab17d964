/** Quotas of a task, per key: their options, and the quota policies of the engine that implement them. */
import { createHash } from 'node:crypto';
import { LIMITS } from '../../../model/limits.js';
import type { KeyedQuota } from '../../../model/metering/meters.js';
import type { Backend } from '../../backend/backend.js';
import { checkDuration, checkWhole, refuse, shown } from '../../shared/checks.js';
import { durationMs, type Duration } from '../../shared/duration.js';
import { InvalidDefinitionError, InvalidInputError } from '../../shared/errors.js';
import { knownOnly } from '../../shared/known-only.js';
import type { Schema } from '../../shared/schema.js';
import { reasonOf } from '../../util/failure-text.js';
import { disown } from '../../util/quietly.js';

/** The input that the functions of a quota receive: that with which a run is created. */
export type QuotaInput<Input> = Input extends Schema<infer In, infer _> ? In : unknown;

/** Limits runs of a task: how many at once, how many start in a time window, or both. */
export interface TaskQuota<In = unknown> {
  /**
   * The key of a run, like the tenant of its input; each key has the limit to itself. Default: one limit for all runs.
   * A method, so that a task without a schema can annotate its input.
   */
  per?(input: In): string;
  /** Runs that the workers of all processes hold at once; 1 to 100 000. */
  readonly concurrency?: number | undefined;
  /** Runs that are admitted in any window of this length (whole seconds, up to a day): `{ limit: 100, window: '1m' }`. */
  readonly rate?: { readonly limit: number; readonly window: Duration } | undefined;
  /** Tasks share a quota with the same name and equal limits. Default: the name of the task. */
  readonly name?: string | undefined;
  /**
   * What happens to a run that is created while as many run and wait as the limit admits. `queue`, the default: it
   * waits. `drop`: it is not created (`RunDroppedError`). `cancel_oldest`: it waits, and the oldest waiting run of the
   * lowest priority is cancelled, never one that a worker holds. Only one quota of a task may set it. Only runs of the
   * same task count as waiting and are cancelled, also if tasks share the quota. Its runs take no `id` and no
   * `idempotencyKey`; members of flows, children of handlers and runs with a `delay` always wait.
   */
  readonly whenFull?: WhenFull | undefined;
}

export type WhenFull = 'queue' | 'drop' | 'cancel_oldest';

/** A checked quota. */
export interface QuotaDefinition {
  readonly name: string;
  readonly per: ((input: unknown) => unknown) | undefined;
  readonly limits: Omit<KeyedQuota, 'quotaPolicyId'>;
  readonly whenFull: WhenFull;
}

/** A quota of one run, with its key. */
export interface RunQuota {
  readonly name: string;
  /** Absent if all runs share the limit. */
  readonly key: string | undefined;
  readonly limits: QuotaDefinition['limits'];
  readonly whenFull: WhenFull;
}

/** Current use of one quota. */
export interface QuotaUse {
  readonly name: string;
  readonly key: string | undefined;
  readonly concurrency: number | undefined;
  readonly rate: { readonly limit: number; readonly windowMs: number } | undefined;
  /** Runs that workers hold, and claims that are about to be made. */
  readonly held: number;
  /** Runs that were admitted within the window up to now. */
  readonly started: number;
  /** When the next run may start, ms since the epoch, if the rate is used up. */
  readonly roomAt: number | undefined;
}

const QUOTA = { per: true, concurrency: true, rate: true, name: true, whenFull: true } as const;
const WHEN_FULL: readonly unknown[] = ['queue', 'drop', 'cancel_oldest'] satisfies WhenFull[];
const RATE = { limit: true, window: true } as const;
const MAX_KEY_BYTES = 1_024;

/** @throws InvalidDefinitionError for an invalid limit */
export function quotasOf(where: string, taskName: string, given: unknown): readonly QuotaDefinition[] {
  if (given === undefined) return [];
  const quotas = (Array.isArray(given) ? given : [given]) as TaskQuota[];
  if (quotas.length > LIMITS.maxQuotaPoliciesPerExecution)
    throw new InvalidDefinitionError(`${where}: at most ${LIMITS.maxQuotaPoliciesPerExecution} quotas`);
  const definitions = quotas.map((quota) => quotaOf(where, taskName, quota));
  if (definitions.filter(({ whenFull }) => whenFull !== 'queue').length > 1)
    throw new InvalidDefinitionError(`${where}: one quota at most may say whenFull`);
  return definitions;
}

function quotaOf(where: string, taskName: string, quota: TaskQuota): QuotaDefinition {
  if (typeof quota !== 'object' || quota === null) throw refuse(where, 'quota', 'an object', quota);
  knownOnly<TaskQuota>(`${where}, quota`, quota, QUOTA);
  const { per, concurrency, rate, name = taskName, whenFull = 'queue' } = quota;
  if (per !== undefined && typeof per !== 'function') throw refuse(where, 'quota.per', 'a function of the input', per);
  if (typeof name !== 'string' || name === '') throw refuse(where, 'quota.name', 'a string that is not empty', name);
  if (concurrency === undefined && rate === undefined)
    throw new InvalidDefinitionError(`${where}: a quota needs a concurrency, a rate, or both`);
  if (!WHEN_FULL.includes(whenFull)) throw refuse(where, 'quota.whenFull', `one of ${WHEN_FULL.join(', ')}`, whenFull);
  checkWhole(where, 'quota.concurrency', concurrency, 1, LIMITS.maxQuotaConcurrency);
  return {
    name,
    per: per?.bind(quota),
    limits: { ...rateOf(where, rate), maxConcurrent: concurrency ?? 0 },
    whenFull,
  };
}

function rateOf(where: string, rate: TaskQuota['rate']): { windowSeconds: number; maxRequestsPerWindow: number } {
  if (rate === undefined) return { windowSeconds: 0, maxRequestsPerWindow: 0 };
  if (typeof rate !== 'object' || rate === null) throw refuse(where, 'quota.rate', 'an object', rate);
  knownOnly<NonNullable<TaskQuota['rate']>>(`${where}, quota.rate`, rate, RATE);
  if (rate.limit === undefined) throw refuse(where, 'quota.rate.limit', 'a number', rate.limit);
  checkWhole(where, 'quota.rate.limit', rate.limit, 1, LIMITS.maxQuotaRate);
  if (rate.window === undefined) throw refuse(where, 'quota.rate.window', 'a duration', rate.window);
  checkDuration(where, 'quota.rate.window', rate.window, 1_000, LIMITS.maxQuotaWindowSeconds * 1_000);
  const windowMs = durationMs(rate.window);
  if (windowMs % 1_000 !== 0) throw refuse(where, 'quota.rate.window', 'whole seconds', rate.window);
  return { windowSeconds: windowMs / 1_000, maxRequestsPerWindow: rate.limit };
}

/** The limits of a run with this input. @throws InvalidInputError when the input has no key for one */
export function quotasOfRun(taskName: string, quotas: readonly QuotaDefinition[], input: unknown): RunQuota[] {
  return quotas.map(({ per, ...quota }) => ({ ...quota, key: per && keyOf(taskName, per, input) }));
}

function keyOf(taskName: string, per: (input: unknown) => unknown, input: unknown): string {
  let key: unknown;
  try {
    key = per(input);
  } catch (error) {
    throw new InvalidInputError(taskName, `quota.per failed for it: ${reasonOf(error)}`);
  }
  if (typeof key === 'string' && key !== '' && Buffer.byteLength(key) <= MAX_KEY_BYTES) return key;
  disown(key);
  throw new InvalidInputError(taskName, `quota.per must return a string of 1 to ${MAX_KEY_BYTES} bytes for it`);
}

/** The id of the engine's policy for a quota: the same in every process for equal namespace, name, limits and key. */
export function policyIdOf(namespace: string, { name, key, limits }: RunQuota): string {
  const { windowSeconds, maxRequestsPerWindow, maxConcurrent } = limits;
  const parts = [namespace, name, windowSeconds, maxRequestsPerWindow, maxConcurrent, key ?? null];
  const hex = createHash('sha256').update(JSON.stringify(parts)).digest('hex');
  // Version 8 is for UUIDs with custom contents.
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** The names of the quotas of a run, by the ids of their policies. */
export const quotaNames = (namespace: string, quotas: readonly RunQuota[]): [string, string][] =>
  quotas.map((quota) => {
    const { name, key } = quota;
    return [policyIdOf(namespace, quota), key === undefined ? shown(name) : `${shown(name)} for ${shown(key)}`];
  });

/** The quotas of a run for its policy, each once. */
export function keyedQuotasOf(namespace: string, quotas: readonly RunQuota[]): KeyedQuota[] {
  const byId = new Map(quotas.map((quota) => [policyIdOf(namespace, quota), quota.limits]));
  return [...byId].map(([quotaPolicyId, limits]) => ({ quotaPolicyId, ...limits }));
}

/** The current use of the quotas of a run. @throws EngineError every error of the backend */
export async function usesOf(backend: Backend, namespace: string, quotas: readonly RunQuota[]): Promise<QuotaUse[]> {
  return Promise.all(
    quotas.map(async (quota) => {
      const { name, key, limits } = quota;
      const { windowSeconds, maxRequestsPerWindow: limit, maxConcurrent } = limits;
      const status = await backend.readQuotaPolicyLimits({ quotaPolicyId: policyIdOf(namespace, quota) });
      return {
        name,
        key,
        concurrency: maxConcurrent === 0 ? undefined : maxConcurrent,
        rate: limit === 0 ? undefined : { limit, windowMs: windowSeconds * 1_000 },
        held: status?.held ?? 0,
        started: status?.inWindow ?? 0,
        roomAt: status?.roomAt,
      };
    }),
  );
}

/** The quota that drops or cancels runs when it is full, if there is one. */
export const strictQuotaOf = <Quota extends Pick<QuotaDefinition, 'whenFull'>>(
  quotas: readonly Quota[],
): (Quota & { readonly whenFull: Exclude<WhenFull, 'queue'> }) | undefined =>
  quotas.find((quota): quota is Quota & { whenFull: Exclude<WhenFull, 'queue'> } => quota.whenFull !== 'queue');

/** How many more runs a quota admits at this moment; waiting runs count against it. */
export async function roomOf(backend: Backend, namespace: string, quota: RunQuota): Promise<number> {
  const uses = await usesOf(backend, namespace, [quota]);
  const rooms = uses.flatMap(({ concurrency, rate, held, started }) => [
    concurrency === undefined ? Infinity : concurrency - held,
    rate === undefined ? Infinity : rate.limit - started,
  ]);
  return Math.max(0, Math.min(...rooms));
}

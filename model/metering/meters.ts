/**
 * Meter sets: the budgets and quota policies of an execution as one text. Metered work waits in queues of its own, by
 * lane and meter set, and a claim names the set whose admissions its caller holds (ruling 19). So scans never pass over
 * refused work, and work without meters pays nothing.
 */
import { z } from 'zod';
import { present } from '../core/present.js';
import { compareBytes } from '../ids.js';
import { LIMITS } from '../limits.js';
import { isShortId, shortIdOf, uuidOf } from '../short-id.js';

/**
 * The first letter of a token, by kind of meter: a budget, a quota policy created by name, a quota policy created for a
 * key at its first use. The last contains its limits: `k<id>.<window, s>.<rate>.<at once>`.
 */
const KINDS = { budget: 'b', quota: 'q', keyed: 'k' } as const;

/** Limits for a key: its own policy is created with them at its first use. */
export interface KeyedQuota {
  readonly quotaPolicyId: string;
  readonly windowSeconds: number;
  readonly maxRequestsPerWindow: number;
  readonly maxConcurrent: number;
}

/** The meters of an execution. */
export interface Meters {
  readonly budgetIds: readonly string[];
  readonly quotaPolicyIds: readonly string[];
  readonly keyedQuotas: readonly KeyedQuota[];
}

const keyedToken = (quota: KeyedQuota): string =>
  `${KINDS.keyed}${shortIdOf(quota.quotaPolicyId)}.${quota.windowSeconds}.${quota.maxRequestsPerWindow}.${quota.maxConcurrent}`;

const NONE: readonly string[] = Object.freeze([]);
const NO_KEYED: readonly KeyedQuota[] = [];

/** The tokens of a policy's meters: a letter and a short id each, in byte order. */
export function metersOf(policy: Partial<Meters> | undefined): readonly string[] {
  if (policy === undefined) return NONE;
  const { budgetIds = NONE, quotaPolicyIds = NONE, keyedQuotas = NO_KEYED } = policy;
  if (budgetIds.length === 0 && quotaPolicyIds.length === 0 && keyedQuotas.length === 0) return NONE;
  const tokens = [
    ...budgetIds.map((id) => KINDS.budget + shortIdOf(id)),
    ...quotaPolicyIds.map((id) => KINDS.quota + shortIdOf(id)),
    ...keyedQuotas.map(keyedToken),
  ];
  return [...new Set(tokens)].sort(compareBytes);
}

/** The name of a set: its tokens joined by commas; empty without meters. */
export const meterSetOf = (tokens: readonly string[]): string => tokens.join(',');

const bodiesOf = (set: string, letter: string): string[] =>
  set === ''
    ? []
    : set
        .split(',')
        .filter((token) => token.startsWith(letter))
        .map((token) => token.slice(letter.length));

const idsOf = (set: string, letter: string): string[] => bodiesOf(set, letter).map((short) => uuidOf(short));

function keyedQuotaOf(body: string): KeyedQuota {
  const [short = '', ...numbers] = body.split('.');
  const [windowSeconds = 0, maxRequestsPerWindow = 0, maxConcurrent = 0] = numbers.map(Number);
  return { quotaPolicyId: uuidOf(short), windowSeconds, maxRequestsPerWindow, maxConcurrent };
}

/** Whether a set names a budget. */
export const namesBudget = (set: string, budgetId: string): boolean =>
  set.split(',').includes(KINDS.budget + shortIdOf(budgetId));

/** The meters that a set names. */
export const partsOfMeterSet = (set: string): Meters => ({
  budgetIds: idsOf(set, KINDS.budget),
  quotaPolicyIds: idsOf(set, KINDS.quota),
  keyedQuotas: bodiesOf(set, KINDS.keyed).map(keyedQuotaOf),
});

/** The narrowest limits of a set; infinite where it states none. */
export interface NarrowestLimits {
  /** Executions held at once. */
  readonly maxConcurrent: number;
  /** Starts in a window. Admissions held say nothing about it: work can run longer than the window. */
  readonly maxRequestsPerWindow: number;
}

/** The narrowest limits that the name of a set states. Policies created by name keep theirs to themselves. */
export function narrowestLimitsOf(set: string): NarrowestLimits {
  const quotas = bodiesOf(set, KINDS.keyed).map(keyedQuotaOf);
  // Zero means no limit.
  const narrowest = (limitOf: (quota: KeyedQuota) => number) =>
    Math.min(...quotas.map((quota) => limitOf(quota) || Infinity));
  return {
    maxConcurrent: narrowest(({ maxConcurrent }) => maxConcurrent),
    maxRequestsPerWindow: narrowest(({ maxRequestsPerWindow }) => maxRequestsPerWindow),
  };
}

const KEYED = /^k([^.]*)\.\d{1,5}\.\d{1,6}\.\d{1,6}$/;

const isToken = (token: string): boolean =>
  isShortId(token.startsWith(KINDS.keyed) ? (KEYED.exec(token)?.[1] ?? '') : token.slice(1)) && /^[bkq]/.test(token);

/** Tokens in one set, at most. */
const MAX_TOKENS = LIMITS.maxBudgetsPerExecution + LIMITS.maxQuotaPoliciesPerExecution;

/** Whether a text is the name of a set: known letters, short ids, ascending, no duplicates. */
export function isMeterSet(text: string): boolean {
  const tokens = text.split(',');
  if (tokens.length > MAX_TOKENS || !tokens.every(isToken)) return false;
  return tokens.every((token, i) => i === 0 || compareBytes(present(tokens[i - 1]), token) < 0);
}

/** A meter set as an argument. */
export const meterSet = z.string().refine(isMeterSet, {
  error: 'must be a meter set: tokens of meters, ascending, joined by commas',
});

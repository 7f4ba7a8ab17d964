/**
 * Meter sets: what an execution is metered by, as one text. Metered work waits in queues of its own, found by lane and
 * meter set, and a claim names the set whose admissions its caller holds (ruling 19). So refused work is never passed over
 * by a scan, and work without meters has nothing of all this.
 */
import { z } from 'zod';
import { compareBytes } from '../ids.js';
import { LIMITS } from '../limits.js';
import { isShortId, shortIdOf, uuidOf } from '../short-id.js';

/**
 * What a token of a set begins with, by the kind of the meter that it names: a budget, a quota policy that was created by
 * name, one that is made for a key when it is first used. The last brings its limits: `k<id>.<window, s>.<rate>.<at once>`.
 */
const KINDS = { budget: 'b', quota: 'q', keyed: 'k' } as const;

/** Limits for a key: a policy of its own is made by them at its first use. */
export interface KeyedQuota {
  readonly quotaPolicyId: string;
  readonly windowSeconds: number;
  readonly maxRequestsPerWindow: number;
  readonly maxConcurrent: number;
}

/** What work is metered by. */
export interface Meters {
  readonly budgetIds: readonly string[];
  readonly quotaPolicyIds: readonly string[];
  readonly keyedQuotas: readonly KeyedQuota[];
}

const keyedToken = (quota: KeyedQuota): string =>
  `${KINDS.keyed}${shortIdOf(quota.quotaPolicyId)}.${quota.windowSeconds}.${quota.maxRequestsPerWindow}.${quota.maxConcurrent}`;

const NONE: readonly string[] = Object.freeze([]);
const NO_KEYED: readonly KeyedQuota[] = [];

/** The tokens of the meters that a policy names: a letter and a short id each, in the order of bytes. */
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

/** The name of a set: its tokens, joined by commas; the empty text when there are none. */
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

/** The narrowest limits of a set; infinite where it says none. */
export interface NarrowestLimits {
  /** Executions held at once. */
  readonly maxConcurrent: number;
  /** Starts in a window. What is held says nothing of these: work can run for longer than the window. */
  readonly maxRequestsPerWindow: number;
}

/** The narrowest limits of a set, as far as its name says them: a policy that was created by name keeps its own. */
export function narrowestLimitsOf(set: string): NarrowestLimits {
  const quotas = bodiesOf(set, KINDS.keyed).map(keyedQuotaOf);
  // Zero stands for no limit.
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

/** Most tokens of one set. */
const MAX_TOKENS = LIMITS.maxBudgetsPerExecution + 2 * LIMITS.maxQuotaPoliciesPerExecution;

/** Whether a text names a set: known letters, short ids, ascending, none twice. */
export function isMeterSet(text: string): boolean {
  const tokens = text.split(',');
  if (tokens.length > MAX_TOKENS || !tokens.every(isToken)) return false;
  return tokens.every((token, i) => i === 0 || compareBytes(tokens[i - 1] as string, token) < 0);
}

/** A meter set as an argument. */
export const meterSet = z.string().refine(isMeterSet, {
  error: 'must be a meter set: tokens of meters, ascending, joined by commas',
});

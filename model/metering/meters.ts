/**
 * Meter sets: what an execution is metered by, as one text. Metered work waits in queues of its own, found by lane and
 * meter set, and a claim names the set whose admissions its caller holds (ruling 19). So refused work is never passed over
 * by a scan, and work without meters has nothing of all this.
 */
import { z } from 'zod';
import { compareBytes } from '../ids.js';
import { LIMITS } from '../limits.js';
import { isShortId, shortIdOf, uuidOf } from '../short-id.js';

/** What a token of a set begins with, by the kind of the meter that it names. */
const KINDS = { budget: 'b', quota: 'q' } as const;

/** What work is metered by. */
export interface Meters {
  readonly budgetIds: readonly string[];
  readonly quotaPolicyIds: readonly string[];
}

const NONE: readonly string[] = Object.freeze([]);

/** The tokens of the meters that a policy names: a letter and a short id each, in the order of bytes. */
export function metersOf(policy: Partial<Meters> | undefined): readonly string[] {
  const { budgetIds = NONE, quotaPolicyIds = NONE } = policy ?? {};
  if (budgetIds.length === 0 && quotaPolicyIds.length === 0) return NONE;
  const tokens = [
    ...budgetIds.map((id) => KINDS.budget + shortIdOf(id)),
    ...quotaPolicyIds.map((id) => KINDS.quota + shortIdOf(id)),
  ];
  return [...new Set(tokens)].sort(compareBytes);
}

/** The name of a set: its tokens, joined by commas; the empty text when there are none. */
export const meterSetOf = (tokens: readonly string[]): string => tokens.join(',');

const idsOf = (set: string, letter: string): string[] =>
  set === ''
    ? []
    : set
        .split(',')
        .filter((token) => token.startsWith(letter))
        .map((token) => uuidOf(token.slice(letter.length)));

/** The meters that a set names. */
export const partsOfMeterSet = (set: string): Meters => ({
  budgetIds: idsOf(set, KINDS.budget),
  quotaPolicyIds: idsOf(set, KINDS.quota),
});

const isToken = (token: string): boolean => /^[bq]/.test(token) && isShortId(token.slice(1));

/** Most tokens of one set. */
const MAX_TOKENS = LIMITS.maxBudgetsPerExecution + LIMITS.maxQuotaPoliciesPerExecution;

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

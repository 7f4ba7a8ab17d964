/**
 * The stored form of a policy. Its rules are what the server reads: short words, so that nothing has to decode JSON there
 * (8 microseconds a policy). Rules that say all of a policy are its text too, and it is kept nowhere else; a policy that
 * says more, such as what it is metered by, is kept as JSON besides.
 */
import { EngineError } from '../errors.js';
import type { ValueCodec } from '../core/facts.js';
import { TIMEOUT_BEHAVIORS } from '../suspension/facts.js';
import type { ExecutionPolicy, RetryPolicy } from './policy.js';

const NONE = '-';

/** Words that the rules of every policy have. */
const FIRST_WORDS = 6;

/**
 * The rules of a policy: six words of its retries, further words, the retryable categories, and the capabilities that it
 * asks for. Words that come later stand only where they say something: most policies are short.
 * The twin that reads them is `lua/execution/policy.lua`.
 */
export function policyRules(policy: ExecutionPolicy): string {
  const retry = policy.retryPolicy;
  const words = [
    ...retryWords(retry),
    policy.timeoutPolicy?.attemptTimeoutMs ?? NONE,
    policy.maxReclaimCount ?? NONE,
    policy.maxReleaseCount ?? NONE,
    policy.streamPolicy?.retentionTtlMs ?? NONE,
    policy.timeoutPolicy?.executionDeadlineMs ?? NONE,
    policy.dedupWindowMs ?? NONE,
    policy.priority ?? NONE,
    policy.delayUntil ?? NONE,
    policy.maxReplayCount ?? NONE,
    policy.streamPolicy?.retentionMaxlen ?? NONE,
    policy.streamPolicy?.maxBytes ?? NONE,
    policy.maxSignalsPerExecution ?? NONE,
    policy.suspensionPolicy?.defaultTimeoutMs ?? NONE,
    policy.suspensionPolicy?.timeoutBehavior === 'cancel' ? TIMEOUT_BEHAVIORS.cancel : NONE,
  ];
  while (words.length > FIRST_WORDS && words.at(-1) === NONE) words.pop();
  const capabilities = policy.routingRequirements?.requiredCapabilities ?? [];
  const lists = [retry?.retryableCategories ?? [], ...(capabilities.length > 0 ? [capabilities] : [])];
  return [words.join(' '), ...lists.map((list) => list.join(','))].join('|');
}

function retryWords(retry: RetryPolicy | undefined): (string | number)[] {
  if (retry === undefined) return [NONE, NONE, NONE, NONE, NONE, NONE];
  const { backoff, maxRetries } = retry;
  if (backoff.type === 'fixed') return [maxRetries, 'fixed', backoff.delayMs, NONE, NONE, NONE];
  return [
    maxRetries,
    'exponential',
    backoff.initialDelayMs,
    backoff.maxDelayMs,
    backoff.multiplier,
    backoff.jitter ? 1 : 0,
  ];
}

const listOf = (text: string | undefined): string[] => (text === undefined || text === '' ? [] : text.split(','));

/** Members that are there; nothing when there is none. */
function membersOf<Members extends object>(members: Members): Members | undefined {
  const there = Object.entries(members).filter(([, value]) => value !== undefined);
  return there.length === 0 ? undefined : (Object.fromEntries(there) as Members);
}

/** The policy that rules say, its members in the order of its schema. @throws EngineError `corruption` */
function policyOfRules(rules: string): ExecutionPolicy {
  const [before = '', categories, capabilities] = rules.split('|');
  if (categories === undefined) throw new EngineError('corruption', 'The rules of a policy are unreadable.');
  const words = before.split(' ');
  const numberAt = (place: number): number | undefined => {
    const word = words[place] ?? NONE;
    if (word === NONE) return undefined;
    const value = Number(word);
    if (!Number.isFinite(value)) throw new EngineError('corruption', 'The rules of a policy are unreadable.');
    return value;
  };
  const isCancelled = words[19] === TIMEOUT_BEHAVIORS.cancel;
  const defaultTimeoutMs = numberAt(18);
  const policy = {
    priority: numberAt(12),
    delayUntil: numberAt(13),
    retryPolicy: words[0] === NONE ? undefined : retryPolicyOf(words, numberAt, listOf(categories)),
    timeoutPolicy: membersOf({ attemptTimeoutMs: numberAt(6), executionDeadlineMs: numberAt(10) }),
    maxReclaimCount: numberAt(7),
    maxReplayCount: numberAt(14),
    maxReleaseCount: numberAt(8),
    suspensionPolicy:
      defaultTimeoutMs === undefined && !isCancelled
        ? undefined
        : membersOf({ defaultTimeoutMs, timeoutBehavior: isCancelled ? 'cancel' : 'fail' }),
    maxSignalsPerExecution: numberAt(17),
    routingRequirements: capabilities === undefined ? undefined : { requiredCapabilities: listOf(capabilities) },
    dedupWindowMs: numberAt(11),
    streamPolicy: membersOf({ retentionTtlMs: numberAt(9), retentionMaxlen: numberAt(15), maxBytes: numberAt(16) }),
  };
  return (membersOf(policy) ?? {}) as ExecutionPolicy;
}

function retryPolicyOf(
  words: readonly string[],
  numberAt: (place: number) => number | undefined,
  retryableCategories: string[],
): RetryPolicy {
  const [maxRetries, first, maxDelayMs, multiplier] = [0, 2, 3, 4].map((place) => numberAt(place) ?? 0);
  const backoff =
    words[1] === 'fixed'
      ? { type: 'fixed', delayMs: first }
      : { type: 'exponential', initialDelayMs: first, maxDelayMs, multiplier, jitter: numberAt(5) === 1 };
  return { maxRetries, backoff, retryableCategories } as RetryPolicy;
}

/** JSON of the policies that rules say: the same ones come again and again. */
const known = new Map<string, string>();
const MAX_KNOWN = 256;

function jsonOfRules(rules: string): string {
  const before = known.get(rules);
  if (before !== undefined) return before;
  const json = JSON.stringify(policyOfRules(rules));
  if (known.size === MAX_KNOWN) known.clear();
  known.set(rules, json);
  return json;
}

function policyOfJson(text: string): ExecutionPolicy {
  try {
    return JSON.parse(text) as ExecutionPolicy;
  } catch (cause) {
    throw new EngineError('corruption', 'A stored policy does not parse.', { cause });
  }
}

/** The text of a policy that has these rules: they, where they say all of it, else JSON. */
export function policyTextOf(policy: ExecutionPolicy, rules: string): string {
  const json = JSON.stringify(policy);
  return jsonOfRules(rules) === json ? rules : json;
}

/** How a policy is kept. */
export const policyText: ValueCodec<ExecutionPolicy> = {
  encode: (policy) => policyTextOf(policy, policyRules(policy)),
  decode: (text) => (text.startsWith('{') ? policyOfJson(text) : policyOfRules(text)),
};

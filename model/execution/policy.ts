/**
 * The policy of an execution: fixed at creation, stored as given, and read by transitions through its rules. Source:
 * spec 01 section 8, spec 04 section 4.2.
 */
import { z } from 'zod';
import {
  capabilities,
  category,
  integer,
  label,
  positiveDurationMs,
  priority,
  timestampMs,
  uuid,
} from '../core/fields.js';
import { notYet } from '../core/reserved.js';
import { withWireForm } from '../core/wire-form.js';
import { compareBytes } from '../ids.js';
import { DEFAULTS, KEEP_FOR_GOOD, LIMITS } from '../limits.js';
import { meterSetOf, metersOf } from '../metering/meters.js';
import { policyRules, policyTextOf } from './policy-text.js';

const backoffDelayMs = integer(0, LIMITS.maxBackoffMs);

const fixedBackoff = z.strictObject({
  type: z.literal('fixed'),
  delayMs: backoffDelayMs.default(DEFAULTS.backoffFixedDelayMs),
});

const exponentialBackoff = z
  .strictObject({
    type: z.literal('exponential'),
    initialDelayMs: backoffDelayMs.default(DEFAULTS.backoffInitialDelayMs),
    maxDelayMs: backoffDelayMs.default(DEFAULTS.backoffMaxDelayMs),
    multiplier: z.number().min(1).max(LIMITS.maxBackoffMultiplier).default(DEFAULTS.backoffMultiplier),
    jitter: z.boolean().default(false),
  })
  .refine((backoff) => backoff.initialDelayMs <= backoff.maxDelayMs, {
    error: 'initialDelayMs must not exceed maxDelayMs',
  });

export const retryPolicy = z.strictObject({
  /** Tries after the first one. */
  maxRetries: integer(0, LIMITS.maxRetries).default(DEFAULTS.maxRetries),
  backoff: z.discriminatedUnion('type', [fixedBackoff, exponentialBackoff]).prefault({ type: 'exponential' }),
  /** Categories that are retried; empty means all. */
  retryableCategories: z.array(category).max(LIMITS.maxRetryableCategories).default([]),
});

/** The rules of a retry policy that travels with a call. */
export const retryPolicyOverride = withWireForm(retryPolicy, {
  texts: ['retry_rules'],
  encode: (value) => [value === undefined ? '' : policyRules({ retryPolicy: value as RetryPolicy })],
});

const hint = label(LIMITS.maxCategoryBytes);

const members = z.strictObject({
  /** Used when the create call gives none. */
  priority: priority.optional(),
  /** Used when the create call gives none. */
  delayUntil: timestampMs.optional(),
  retryPolicy: retryPolicy.optional(),
  timeoutPolicy: z
    .strictObject({
      /** Per attempt, from its claim; stopped while the attempt is parked. */
      attemptTimeoutMs: positiveDurationMs.optional(),
      /** Below 10^12 a duration from creation, else an absolute time (the contract allows both readings). */
      executionDeadlineMs: integer(1, LIMITS.maxInteger).optional(),
      /** Part of the contract, which reads it nowhere: `maxReclaimCount` of the policy applies. */
      maxReclaimCount: notYet(integer(0, LIMITS.maxReclaimCount)),
    })
    .optional(),
  /** Reclaims before the execution fails. */
  maxReclaimCount: integer(0, LIMITS.maxReclaimCount).optional(),
  /** Replays of the execution after it ended. */
  maxReplayCount: integer(0, LIMITS.maxReplayCount).optional(),
  /** Hand-backs by draining workers before a further one is refused. */
  maxReleaseCount: integer(0, LIMITS.maxReleaseCount).optional(),
  /** For suspensions that set no time of their own. */
  suspensionPolicy: z
    .strictObject({
      /** From the start of the suspension. Absent: no limit. */
      defaultTimeoutMs: positiveDurationMs.optional(),
      /** What a timeout does, for suspensions that do not say. */
      timeoutBehavior: z.enum(['fail', 'cancel']).default('fail'),
    })
    .optional(),
  fallbackPolicy: notYet(
    z.strictObject({
      tiers: z.array(z.strictObject({ provider: hint, model: hint, timeoutMs: positiveDurationMs.optional() })),
    }),
  ),
  /** Budgets to charge: the execution waits while one of them is exhausted. */
  budgetIds: z
    .array(uuid)
    .max(LIMITS.maxBudgetsPerExecution)
    .transform((ids) => [...new Set(ids)])
    .optional(),
  /** Quota policies that must all admit it before it is claimed. */
  quotaPolicyIds: z
    .array(uuid)
    .transform((ids) => [...new Set(ids)].sort(compareBytes))
    .optional(),
  /** The same for policies per key: the first claimer creates them with these limits. */
  keyedQuotas: z
    .array(
      z.strictObject({
        quotaPolicyId: uuid,
        windowSeconds: integer(0, LIMITS.maxQuotaWindowSeconds).default(0),
        maxRequestsPerWindow: integer(0, LIMITS.maxQuotaRate).default(0),
        maxConcurrent: integer(0, LIMITS.maxQuotaConcurrency).default(0),
      }),
    )
    .refine((quotas) => new Set(quotas.map(({ quotaPolicyId }) => quotaPolicyId)).size === quotas.length, {
      error: 'must name no policy twice',
    })
    .refine((quotas) => quotas.every((quota) => quota.maxRequestsPerWindow === 0 || quota.windowSeconds > 0), {
      error: 'a rate limit needs a window of at least a second',
    })
    .optional(),
  /** Signals after which a further one is refused; a sender may ask for a lower number. */
  maxSignalsPerExecution: integer(1, LIMITS.maxSignals).optional(),
  routingRequirements: z
    .strictObject({
      requiredCapabilities: capabilities.default([]),
      preferredLocality: notYet(hint),
      isolationLevel: notYet(hint),
    })
    .optional(),
  /** Life of the idempotency key, ms. */
  dedupWindowMs: positiveDurationMs.optional(),
  streamPolicy: z
    .strictObject({
      /** Overrides the retention of the deployment, ms after the end; -1 keeps the execution. */
      retentionTtlMs: integer(KEEP_FOR_GOOD, LIMITS.maxDurationMs).optional(),
      durabilityMode: notYet(z.enum(['buffered', 'durable'])),
      /** Durable frames kept in each of its streams; the newest ones. */
      retentionMaxlen: integer(1, LIMITS.maxStreamMaxlen).optional(),
      /** Total bytes that each of its streams accepts. */
      maxBytes: integer(1, LIMITS.maxStreamBytes).optional(),
    })
    .optional(),
});

const MAX_QUOTAS = LIMITS.maxQuotaPoliciesPerExecution;

const policySchema = members.refine(
  ({ quotaPolicyIds = [], keyedQuotas = [] }) => quotaPolicyIds.length + keyedQuotas.length <= MAX_QUOTAS,
  { error: `must name at most ${MAX_QUOTAS} quota policies, by id and by key together`, path: ['quotaPolicyIds'] },
);

/**
 * The wire form of a policy: the policy itself, unless its rules say all of it; its rules, which are read; and the queue: the
 * required capabilities, then a tab and the meter set, if any.
 */
export const executionPolicy = withWireForm(policySchema, {
  texts: ['policy', 'rules', 'needs'],
  encode(value) {
    const policy = value as ExecutionPolicy | undefined;
    if (policy === undefined) return ['', '', ''];
    const needs = policy.routingRequirements?.requiredCapabilities.join(',') ?? '';
    const meters = meterSetOf(metersOf(policy));
    const rules = policyRules(policy);
    const text = policyTextOf(policy, rules);
    return [text === rules ? '' : text, rules, meters === '' ? needs : `${needs}\t${meters}`];
  },
});

export type ExecutionPolicy = z.output<typeof policySchema>;
export type RetryPolicy = z.output<typeof retryPolicy>;

/** From this value on an execution deadline is read as an absolute time. */
export const ABSOLUTE_TIME_FROM = 1_000_000_000_000;

/** Classes of a failure. Class and category together decide whether a retry makes sense. */
export const FAILURE_CLASSES = ['transient', 'permanent', 'infra_crash', 'timeout', 'cancelled'] as const;
export type FailureClass = (typeof FAILURE_CLASSES)[number];

const NEVER_RETRIED = new Set<string>(['permanent', 'cancelled']);

export interface Failure {
  readonly failureClass: FailureClass;
  readonly category: string;
}

/** Whether the policy allows another retry after `retryCount` retries. */
export function mayRetry(policy: RetryPolicy | undefined, retryCount: number, failure: Failure): policy is RetryPolicy {
  if (policy === undefined || retryCount >= policy.maxRetries) return false;
  if (NEVER_RETRIED.has(failure.failureClass) || NEVER_RETRIED.has(failure.category)) return false;
  return policy.retryableCategories.length === 0 || policy.retryableCategories.includes(failure.category);
}

/**
 * Delay before the next try, whole ms. `jitter` (0..1, drawn by the caller) matters only where the policy asks for
 * jitter: it moves the delay between half of the backoff and all of it.
 *
 * The power is a loop on purpose: repeated multiplication gives the same double in JavaScript and in Lua.
 */
export function backoffDelayOf(policy: RetryPolicy, retryCount: number, jitter: number): number {
  const { backoff } = policy;
  if (backoff.type === 'fixed') return backoff.delayMs;
  let delay = backoff.initialDelayMs;
  for (let i = 0; i < retryCount && delay < backoff.maxDelayMs; i++) delay *= backoff.multiplier;
  delay = Math.min(delay, backoff.maxDelayMs);
  return Math.floor(backoff.jitter ? delay * (0.5 + 0.5 * jitter) : delay);
}

/** Number of replays that the policy of an execution allows. */
export const maxReplayCountOf = ({ policy }: { readonly policy?: ExecutionPolicy | undefined }): number =>
  policy?.maxReplayCount ?? DEFAULTS.maxReplayCount;

/** Policies of created executions in random runs. */
export const CATEGORIES = ['io', 'rate', 'permanent'] as const;

/** Retry policies supplied by operators. */
export const OVERRIDES = [
  { maxRetries: 0 },
  { maxRetries: 9, backoff: { type: 'fixed' as const, delayMs: 15 } },
  { maxRetries: 3, retryableCategories: ['io'] },
];

/** Policies that make deep states reachable in few steps: small caps, short times, every kind of backoff. */
export const POLICIES = [
  undefined,
  { retryPolicy: { maxRetries: 2, backoff: { type: 'fixed', delayMs: 50 } } },
  {
    retryPolicy: {
      maxRetries: 3,
      backoff: { type: 'exponential', initialDelayMs: 10, maxDelayMs: 65, multiplier: 2.5, jitter: true },
      retryableCategories: ['io', 'timeout'],
    },
  },
  { retryPolicy: { maxRetries: 1 }, timeoutPolicy: { attemptTimeoutMs: 700 }, maxReclaimCount: 1, maxReplayCount: 0 },
  { timeoutPolicy: { attemptTimeoutMs: 1_500, executionDeadlineMs: 4_000 }, maxReclaimCount: 0 },
  { maxReleaseCount: 1, maxReplayCount: 1, priority: 7, dedupWindowMs: 900, streamPolicy: { retentionTtlMs: 0 } },
  {
    maxReclaimCount: 2,
    maxReleaseCount: 0,
    delayUntil: 1_700_000_000_900,
    streamPolicy: { retentionTtlMs: -1 },
    retryPolicy: { maxRetries: 0 },
  },
  {
    timeoutPolicy: { executionDeadlineMs: 1_700_000_003_000 },
    retryPolicy: { maxRetries: 5, backoff: { type: 'exponential', initialDelayMs: 0, maxDelayMs: 0, multiplier: 1 } },
  },
  {
    timeoutPolicy: { attemptTimeoutMs: 1_300 },
    retryPolicy: { maxRetries: 2, backoff: { type: 'fixed', delayMs: 20 } },
  },
  // The backoff is capped at the second retry; attempts time out in the millisecond in which the shortest lease ends.
  {
    timeoutPolicy: { attemptTimeoutMs: 1_000 },
    retryPolicy: {
      maxRetries: 4,
      backoff: { type: 'exponential', initialDelayMs: 7, maxDelayMs: 20, multiplier: 2.5, jitter: true },
    },
  },
  // Everything is due at once.
  {
    timeoutPolicy: { attemptTimeoutMs: 1_000, executionDeadlineMs: 1_000 },
    retryPolicy: { maxRetries: 1, backoff: { type: 'fixed', delayMs: 1_000 }, retryableCategories: ['timeout'] },
  },
  // Attempts time out while their lease is valid, and only some failures are retried.
  {
    timeoutPolicy: { attemptTimeoutMs: 800 },
    retryPolicy: {
      maxRetries: 4,
      backoff: { type: 'exponential', initialDelayMs: 9, maxDelayMs: 10, multiplier: 3, jitter: true },
      retryableCategories: ['timeout', 'transient', 'io'],
    },
  },
  // Suspensions without a time of their own end soon; signals are few.
  { suspensionPolicy: { defaultTimeoutMs: 600 }, maxSignalsPerExecution: 2 },
  { suspensionPolicy: { defaultTimeoutMs: 600, timeoutBehavior: 'cancel' }, maxReplayCount: 9 },
  // Kept longer than other executions, and than its flow.
  { streamPolicy: { retentionTtlMs: 90_000_000 } },
  // Streams keep few frames and accept few bytes.
  { streamPolicy: { retentionMaxlen: 2, maxBytes: 80 } },
] as const;

/**
 * How an execution is stored on the server. The core hash holds short values only: one value over 64 bytes would
 * turn the hash from a compact list into a table four times its size. Texts that can be longer live in a second
 * hash, which exists only when one of them does. The Lua library is given these names when it is bundled.
 */

/** Payloads and results of up to so many bytes live in the core hash; longer ones in keys of their own. */
export const INLINE_BYTES = 64;

/**
 * Fields of the core hash, by the name of the fact. An absent or empty field is an unset fact (0 for counters). The
 * facts of a lease count only while the execution is active: after that they may be left as they were.
 */
export const CORE_FIELDS = {
  namespace: 'ns',
  laneId: 'ln',
  executionKind: 'kd',
  creatorIdentity: 'cr',
  requiredCapabilities: 'rq',
  priority: 'pr',
  payloadBytes: 'pb',
  payloadEncoding: 'pe',
  createdAt: 'ca',
  executionDeadlineAt: 'dl',
  /** The policy's rules, see `policyRules`. */
  rules: 'po',
  /** How many tags there are; the tags themselves are a detail. */
  tagCount: 'tg',
  situation: 'st',
  nextAttempt: 'nx',
  dueAt: 'du',
  /** Absent before the first transition: it is the time of creation then. */
  lastTransitionAt: 'lt',
  startedAt: 'sa',
  totalAttemptCount: 'at',
  currentAttemptId: 'ai',
  /** Of a lease. */
  attemptTimeoutAt: 'ta',
  attemptTimeoutRemainingMs: 'tr',
  /** Of a lease. */
  currentLeaseId: 'li',
  currentLeaseEpoch: 'le',
  /** Of a lease: `<worker>:<instance>`. */
  currentWorker: 'wk',
  /** Of a lease. */
  leaseLastRenewedAt: 'lr',
  retryCount: 'rc',
  leaseReclaimCount: 'rx',
  leaseReleaseCount: 'rl',
  failureCategory: 'fc',
  cancelledBy: 'cb',
  progressPct: 'pp',
  progressUpdatedAt: 'pu',
  resultBytes: 'rb',
  resultEncoding: 're',
  /** The input payload, when it is short. */
  payload: 'in',
  /** The result, when it is short. */
  result: 'ou',
} as const;

/** Fields of the detail hash. */
export const DETAIL_FIELDS = {
  policy: 'policy',
  tags: 'tags',
  failureReason: 'failure_reason',
  cancellationReason: 'cancellation_reason',
  progressMessage: 'progress_message',
  leaseRevokeReason: 'lease_revoke_reason',
} as const;

/** Suffixes of the keys beside the core hash of an execution; a payload or a result is there when it is long. */
export const EXECUTION_KEYS = { details: ':details', payload: ':in', result: ':out' } as const;

/**
 * Most arguments that wait for one index of a partition before they are written: Lua hands about 8 000 at once to a
 * command, and one claim adds up to 200.
 */
export const MAX_UNSETTLED = 2_000;

/** Between the key that bytes will have and the name under which they are staged meanwhile. */
export const STAGED_SEPARATOR = ':';

/** What says that bytes come with the command: no name is like it. */
export const BYTES_HERE = '=';

/**
 * Names of the keys of a partition, after `<prefix>{fp:<n>}:`. Those that end in a colon are continued. Members of
 * indexes are executions by their UUIDs: their partition is the one of the index.
 */
export const PARTITION_KEYS = {
  log: 'log',
  /**
   * Never exists. Every call declares it: while a slot migrates, the server answers TRYAGAIN to a call that names a
   * key which is not there, before the call runs. So a partition waits for the end of the migration of its slot, and
   * no call can meet a key that has moved away after it began to write.
   */
  absent: 'absent',
  timers: 'timers',
  ids: 'ids',
  lanes: 'lanes',
  /** + lane + ":" + requirement set */
  queue: 'queue:',
  /** + lane: the requirement sets, other than the empty one, whose queue has work. */
  requirementSets: 'sets:',
  /** + time of the purge */
  slot: 'slot:',
  /** + namespace + ":" + key */
  idempotency: 'idem:',
} as const;

/** Members of the timers index that are not executions: `slot:<time>` says that a retention slot is due then. */
export const SLOT_TIMER = 'slot:';

/** Channels on which wakes are published, after the prefix: one per lane, and one for timers. */
export const CHANNELS = { work: 'wake:', timers: 'timers' } as const;

/**
 * Every number that bounds something, in one place. The Lua library is given the ones it needs when it is
 * linked (`lua/library.ts`), so a limit is written once.
 */
export const LIMITS = {
  /** Largest integer a caller can send (2^53 - 1): exact in JavaScript, in Lua and in a sorted-set score. */
  maxInteger: Number.MAX_SAFE_INTEGER,
  /** Identifier texts (lane, worker, namespace, kind, creator), bytes. */
  maxLaneIdBytes: 64,
  maxNamespaceBytes: 128,
  maxWorkerIdBytes: 256,
  maxExecutionKindBytes: 128,
  maxCreatorIdentityBytes: 256,
  maxIdempotencyKeyBytes: 256,
  maxEncodingBytes: 64,
  /** Free texts, bytes. */
  maxReasonBytes: 4_096,
  /** Why a worker is marked dead, bytes. */
  maxDeathReasonBytes: 256,
  maxCategoryBytes: 128,
  /** Bytes that explain a failure to programs. */
  maxFailureDetailBytes: 4_096,
  maxProgressMessageBytes: 1_024,
  /** Payload and result, bytes. */
  maxPayloadBytes: 8 * 1024 * 1024,
  /** Tags of one execution. */
  maxTags: 64,
  maxTagKeyBytes: 128,
  maxTagValueBytes: 1_024,
  /** Keys of tags by which a deployment indexes executions (ruling 17). */
  maxIndexedTags: 16,
  /** Capabilities of one execution or worker: tokens, and bytes of the comma-joined list. */
  maxCapabilities: 256,
  maxCapabilityListBytes: 4_096,
  /** Priority is clamped into this range; higher runs first. */
  minPriority: 0,
  maxPriority: 9_000,
  /** Lease length, ms. */
  minLeaseTtlMs: 1_000,
  maxLeaseTtlMs: 86_400_000,
  /** For how long a grant can be used, ms. */
  maxGrantTtlMs: 60_000,
  /** Executions that one claim call may take, and commands that one call may carry. */
  maxClaimCount: 100,
  /** Kinds that one claim may name. */
  maxClaimKinds: 256,
  /** Lanes whose queues one read looks at. */
  maxLanesPerRead: 256,
  maxBatchCommands: 1_000,
  /** Frames: payload and labels, bytes. */
  maxFrameBytes: 65_536,
  maxFrameLabelBytes: 256,
  /** Frames of one read, and bytes of their payloads beyond which it has no further one. */
  maxFramesPerRead: 10_000,
  maxFrameBytesPerRead: 256 * 1024,
  defaultFramesPerRead: 100,
  /** Longest wait of a tail, ms; and tails that wait in one process. */
  maxTailBlockMs: 30_000,
  maxTails: 10_000,
  /** A rolling summary in its canonical form, bytes. */
  maxSummaryBytes: 262_144,
  /** Durable frames that a stream may keep, and bytes that it may be given. */
  maxStreamMaxlen: 100_000,
  maxStreamBytes: 1024 * 1024 * 1024,
  /** Best-effort frames: how long they matter, ms, and how many are kept. */
  minBestEffortTtlMs: 100,
  maxBestEffortTtlMs: 3_600_000,
  maxBestEffortFrames: 65_536,
  /** Entries of one page of a listing, of the log, of due work. */
  maxPageSize: 1_000,
  /** Rows of one page of a list of executions. */
  maxListPage: 200,
  /** Retry policy. */
  maxRetries: 1_000,
  maxBackoffMs: 30 * 86_400_000,
  maxBackoffMultiplier: 100,
  maxRetryableCategories: 32,
  maxReclaimCount: 100_000,
  maxReleaseCount: 100_000,
  maxReplayCount: 100_000,
  /** Durations a caller may ask for (timeouts, retention, deduplication), ms: ten years. */
  maxDurationMs: 315_360_000_000,
  /** How long a partition announces ends of executions to a caller that said once that it waits, ms. */
  maxWatchTtlMs: 60_000,
  /** Readers of the log that a partition knows, and the bytes of their names. */
  maxReaders: 32,
  /** Dimensions of a budget. */
  maxDimensions: 64,
  maxScopeTypeBytes: 64,
  maxScopeIdBytes: 512,
  /** How long a reservation can be held without being renewed, ms. */
  minReservationTtlMs: 1_000,
  maxReservationTtlMs: 86_400_000,
  /** Days that one read of a bill goes over: as many as are kept. */
  maxBilledDays: 400,
  maxReaderIdBytes: 128,
  /** Workers that a namespace knows at once. */
  maxWorkers: 10_000,
  /** For how long a worker can count as alive unheard, ms. */
  minLivenessTtlMs: 1_000,
  maxLivenessTtlMs: 30 * 86_400_000,
  /** Waitpoints of one suspension, and those of an execution that no suspension has used yet. */
  maxWaitpoints: 64,
  maxPendingWaitpoints: 64,
  /** Waitpoints of one execution over its life. */
  maxWaitpointsOfExecution: 10_000,
  /** How long a waitpoint may wait for a suspension to use it, ms: seven days. */
  maxPendingMs: 604_800_000,
  /** Signals that are kept for a waitpoint that no suspension has used yet. */
  maxBufferedSignals: 1_000,
  /** How long the name of a suspension is known, ms: seven days. */
  maxSuspendKeyMs: 604_800_000,
  /** Parts of one condition, keys that all of them name, and satisfiers of one of them. */
  maxConditionNodes: 256,
  maxConditionKeys: 1_024,
  maxCountedSignals: 10_000,
  /** Names, sources and keys of signals and waitpoints, bytes. */
  maxSignalTextBytes: 256,
  /** Ids of signing keys, their secrets and tokens, bytes. */
  maxKidBytes: 64,
  minSecretBytes: 32,
  maxSecretBytes: 256,
  maxTokenBytes: 256,
  /** How long tokens of a key that was current may verify, ms: 366 days. */
  maxTokenGraceMs: 31_622_400_000,
  /** Signals of one execution, the bytes that one brings, and those that all of them bring together. */
  maxSignals: 10_000,
  maxSignalPayloadBytes: 65_536,
  maxSignalPayloadsBytes: 64 * 1024 * 1024,
  /** Payloads of one page of signals, bytes; one signal is always on it. */
  maxSignalPageBytes: 256 * 1024,
  /** Steps of one execution, their names, their values, and all of its values together, bytes. */
  maxSteps: 10_000,
  maxStepNameBytes: 128,
  maxStepsBytes: 64 * 1024 * 1024,
  /** Steps of one read, and bytes of their values beyond which it has no further one. */
  maxStepsPerRead: 1_000,
  maxStepBytesPerRead: 256 * 1024,
  /**
   * Steps, waitpoints and signals of an execution, of each, that a claim carries to its next owner, and the bytes of their
   * values and payloads together. Where there is more, the owner reads it.
   */
  maxCarried: 64,
  maxCarriedBytes: 32 * 1024,
  /** The same of all executions of a claim together: the claim of a hundred such executions would take 20 ms. */
  maxCarriedPerClaim: 512,
  maxCarriedBytesPerClaim: 256 * 1024,
  /**
   * The longest input that a claim carries, and the most bytes of an argument that leave in one write with its call.
   * Longer ones move by themselves, so that calls and their answers are short on any link.
   */
  maxClaimedInputBytes: 32 * 1024,
  /** Bytes of long inputs, results and values of steps in one message to or from a server; longer ones travel in parts of this size. */
  maxPartBytes: 256 * 1024,
  /** Losses of an execution that lie further apart have causes of their own, ms. */
  lossMemoryMs: 3_600_000,
  /** Meters of one execution. */
  maxBudgetsPerExecution: 64,
  maxQuotaPoliciesPerExecution: 4,
  /** Admissions of a quota policy in one window, and at once; and the length of a window, s. */
  maxQuotaRate: 100_000,
  maxQuotaConcurrency: 100_000,
  maxQuotaWindowSeconds: 86_400,
  /** How long a slot waits for its claim before it is asked whether it was used, ms. */
  minSlotTtlMs: 1_000,
  maxSlotTtlMs: 3_600_000,
  /** Refused claimers that a quota policy remembers, and for how long, ms. */
  maxQuotaWaiters: 1_000,
  maxWaiterTtlMs: 60_000,
  /** Admissions that one call names. */
  maxAdmissions: 100,
  /** Metered queues of one page. */
  maxMeteredHeads: 200,
  /** Members and edges of a flow, and edges that lead to one member (ruling 29). */
  maxFlowMembers: 10_000,
  maxFlowEdges: 50_000,
  maxGroupEdges: 10_000,
  /** Members and edges that one call brings. */
  maxMembersPerCall: 500,
  maxEdgesPerCall: 2_000,
  /** Members, and edges, that one call looks at to find out whether an edge closes a cycle. */
  maxSearchedMembers: 1_000,
  maxSearchedEdges: 10_000,
  maxFlowKindBytes: 128,
  maxDataPassingRefBytes: 256,
  /** Results of upstreams that one claim brings: bytes, and edges that it looks at (ruling 48). */
  maxResultBytesPerClaim: 1024 * 1024,
  maxResultEdgesPerClaim: 100,
  /** Partitions of a deployment. */
  maxPartitions: 65_535,
} as const;

/** What applies when a caller or a policy says nothing. */
export const DEFAULTS = {
  priority: 0,
  /** Durable frames that a stream keeps, and bytes that it may be given. */
  streamMaxlen: 10_000,
  streamMaxBytes: 64 * 1024 * 1024,
  /** Partitions of a deployment, see docs/benchmarks.md. */
  partitionCount: 16,
  /** Partitions of budgets, and of quota policies. */
  meterPartitionCount: 16,
  /** Length of a lease: how soon the work of a worker that died is taken over (ruling 51). */
  leaseTtlMs: 10_000,
  /** For how long a worker counts as alive unheard, ms (spec 11 section B6). */
  livenessTtlMs: 30_000,
  /** For how long a grant can be used, ms (spec 05 section 8.1). */
  grantTtlMs: 5_000,
  maxRetries: 3,
  backoffInitialDelayMs: 1_000,
  backoffMaxDelayMs: 60_000,
  backoffMultiplier: 2,
  backoffFixedDelayMs: 1_000,
  /** Reclaims of one execution before it ends failed (spec 05 section 13, question 2). */
  maxReclaimCount: 1_000,
  /** Hand-backs of one execution by draining workers before a release is refused. */
  maxReleaseCount: 1_000,
  /** Replays of one execution before a further one is refused. */
  maxReplayCount: 10,
  /** Life of an idempotency key, independent of retention. */
  dedupWindowMs: 86_400_000,
  /** Life of a terminal execution before it is purged. */
  retentionMs: 86_400_000,
  /** Log entries kept per partition (approximately: whole stream nodes are trimmed). */
  logMaxEntries: 100_000,
  pageSize: 100,
  /** How long tokens of a signing key that was current verify, ms. */
  tokenGraceMs: 86_400_000,
  /** How long a reservation is held unless it is renewed, ms. */
  reservationTtlMs: 60_000,
  /** How long the sender's key of a signal is known, ms. */
  signalDedupTtlMs: 86_400_000,
  /** How long a slot waits for its claim before it is asked whether it was used, ms. */
  slotTtlMs: 5_000,
  /** How long a quota policy remembers a claimer that it refused, ms. */
  waiterTtlMs: 10_000,
  /** How long a process may take to build and seal a flow, ms. After that the engine cancels the flow: its builder has probably died. */
  flowBuildTimeoutMs: 3_600_000,
  /** Longest time a call to a server may take, ms. */
  callTimeoutMs: 5_000,
} as const;

/**
 * Terminal executions are purged in slots of this length, so that the retention index costs a list entry and
 * not a sorted-set entry per execution. An execution lives at least its retention, at most one slot more.
 */
export const RETENTION_SLOT_MS = 60_000;

/** A terminal execution is kept so long at least, whatever its retention, ms. */
export const MIN_RETENTION_MS = 60_000;

/** The retention of what is never purged. */
export const KEEP_FOR_GOOD = -1;

/** Time steps back when the last entry of the log is further ahead of the clock than this, ms (ruling 14). */
export const MAX_CLOCK_LEAD_MS = 60_000;

/** A reader that falls behind can make the log of a partition so many times as long as it is otherwise. */
export const HELD_LOG_FACTOR = 10;

/** How long other loops leave due work to the one that is at it, ms. */
export const APPLIER_MS = 1_000;

/**
 * Units of work that a purge costs in one pass over due work: its keys. Long values of steps have keys of their own:
 * each `LIMITS.maxClaimedInputBytes` of steps cost one unit more, and so does each attempt up to the last with a stream.
 */
export const PURGE_UNITS = 4;

/**
 * Most units of work of a call (`Operation.units`): executions that it creates, claims or changes. This many plain
 * ones occupy the server for three to four milliseconds, and create at most twice as many entries of the log. What a
 * command costs can depend on what is stored: the server answers a part of a call that turns out to be more.
 */
export const MAX_CALL_UNITS = 250;

/** Units of work that the end of a suspension costs, beside one for each of its waitpoints. */
export const SUSPENSION_UNITS = 3;

/**
 * One priority step in a queue score, ms: `score = createdAt - priority * step`. Bands of two priorities cannot
 * overlap while creation times differ by less than this (31.7 years), and every score is exact in a double.
 */
export const PRIORITY_STEP = 1_000_000_000_000;

/**
 * Added to the time at which a lease lapsed to get its queue score: below every priority band, so that lapsed
 * work is taken first, oldest first; still above -(2^53 - 1).
 */
export const RECLAIM_BAND = -9_005_000_000_000_000;

/** How long a worker that completed metered work has to give its slot back itself before the loop that applies due work is told, ms. */
export const RETURN_GRACE_MS = 1_000;

/** After this time the loop that applies due work is told of a returned admission again, ms: delivery is at least once. */
export const OFFER_AGAIN_MS = 5_000;

/** How long a voided admission is known, ms: no call is on its way for longer. */
export const VOID_MEMORY_MS = 86_400_000;

/** After this time a slot is asked again whether it is in use, ms: so none outlives its holder. */
export const SLOT_CHECK_MS = 15_000;

/** Slots that one pass asks. */
export const SLOTS_PER_CHECK = 100;

/** How long a policy that was made for a key is kept after its last use, ms. */
export const IDLE_QUOTA_MS = 3_600_000;
/** For how long a key under which usage was reported counts, ms (spec 09 section 3.2). */
export const USAGE_KEY_MS = 86_400_000;
/** For how long it is known how a reservation was closed, ms. */
export const RESERVATION_KEPT_MS = 86_400_000;
/** Days for which a ledger that is not written to is kept. */
export const LEDGER_KEPT_DAYS = 7;
/** Days for which the totals of a day are kept (ruling 49). */
export const BILL_KEPT_DAYS = 400;

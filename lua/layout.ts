/**
 * How entities are stored on the server: the names of keys and fields. The core hash of an execution holds short values
 * only (ruling 38): one value over 64 bytes would turn the hash from a compact list into a table four times its size.
 * Longer values are stored in a second hash, which exists only when needed; the core has a mark in their place.
 */
import { HELD_SHELF } from '../model/listing/shelves.js';
import { TIMED_KINDS } from '../model/schedule/due.js';
import { timerMember } from '../model/schedule/timers.js';
import type { EntityKind } from '../model/state.js';

/** Longest value of a core hash, bytes. */
export const MAX_FIELD_BYTES = 64;

/** The end of the text of an idempotency key that its execution holds. */
export const HELD_KEY = '\t1';

/** The mark in the core for a value that is stored in the second hash. */
export const SPILLED = '>';

/**
 * Fields of the core hash: facets, then facts that can be long, then values that are no facts. A letter is never reused
 * for another field. A facet that is an extra has one letter; a long fact may have two.
 */
export const FIELDS = {
  naming: 'n',
  given: 'g',
  bounds: 'b',
  own: 'y',
  needs: 'q',
  life: 'l',
  wait: 'd',
  fence: 'f',
  worker: 'w',
  timing: 'c',
  retries: 'r',
  hold: 'h',
  streams: 'm',
  edits: 'k',
  grant: 'G',
  progress: 'p',
  pause: 'u',
  membership: 'a',
  group: 'j',
  kept: 'z',
  ending: 'e',
  tags: 't',
  policy: 'P',
  failureReason: 'F',
  failureDetail: 'Kf',
  cancellationReason: 'X',
  holdReason: 'Kh',
  blockingDetail: 'Kb',
  progressMessage: 'M',
  leaseRevokeReason: 'V',
  /** The policy's rules, see `policyRules`. */
  rules: 'R',
  /** Never a field: an extra with this letter means that the execution has recorded steps. */
  steps: 'S',
  /** The input and the result, if short. */
  input: 'i',
  result: 'o',
} as const;

/**
 * Facets and facts that most executions do not have. The last value of `life` lists the letters of those present, so
 * one command reads everything that is needed, and a missing field is noticed.
 */
export const EXTRAS = [
  'bounds',
  'own',
  'needs',
  'wait',
  'timing',
  'retries',
  'hold',
  'streams',
  'edits',
  'grant',
  'progress',
  'pause',
  'membership',
  'group',
  'kept',
  'tags',
  'rules',
] as const;

/** Suffixes of the keys beside the core hash of an execution. */
export const SUFFIXES = {
  details: ':details',
  /** The input, if long. */
  input: ':in',
  /** + attempt id: the result, if long. Only the owner of the attempt can name it (ruling 37). */
  result: ':out:',
  /** Suspensions, waitpoints and signals, past and present: exists once it was suspended or was sent a signal. */
  waits: ':waits',
  /** Payloads of signals, by signal id. */
  payloads: ':payloads',
  /** Recorded steps: exists from the first step on. */
  steps: ':steps',
  /** + a name that the steps list: the value of a step, if long. */
  value: ':value:',
  /** Dependencies on upstreams: edge id -> its facts. */
  dependencies: ':deps',
  /** Outgoing edges: for one edge, a text with the ids of the edge and the downstream; for more, a set. */
  only: ':to',
  leading: ':next',
} as const;

/** Fields of the hash under `waits`, see `model/suspension/facts.ts`. Names that end in a colon are prefixes. */
export const WAITS_FIELDS = {
  suspension: 's',
  /** Ids of the waitpoints of the suspension, in order. */
  waitpoints: 'b',
  condition: 'c',
  progress: 'p',
  satisfiers: 'f',
  closing: 'o',
  signal_count: 'n',
  /** Total bytes of all payloads of signals; absent without any. */
  payload_bytes: 'y',
  /** Number of waitpoints ever created. */
  waitpoint_count: 'm',
  /** Ids of unused waitpoints, in order. */
  pending: 'q',
  /** + idempotency key of a suspension: its answer. */
  suspend_key: 'i:',
  /** + waitpoint id */
  waitpoint: 'w:',
  /** + signal id */
  signal: 'g:',
  /** + waitpoint id + ':' + the sender's idempotency key: a signal id. */
  signal_key: 'k:',
} as const;

/**
 * Fields of the hash under `steps`, see `model/step/facts.ts`. The facts of a step are stored under its position in the
 * order of recording, a number.
 */
export const STEP_FIELDS = {
  /** Number of steps, and total bytes of their values. */
  totals: 't',
  /** + `stepKeyOf`: position, a line feed, value; or position, a tab, the name of a long value. */
  key: 'k',
  /** Names of long values, separated by spaces; absent without any. */
  long: 'l',
} as const;

/** Most ids in a leaf of the index of ids: the server stores up to 128 entries as one compact text. */
export const MAX_LEAF_IDS = 120;

/** Most ids that are added to a leaf of a shelf at once; so it exceeds its maximum only by a few. */
export const LEAF_IDS_AT_ONCE = 8;

/** Most names of further leaves of a shelf that are read at once. */
export const LEAVES_AHEAD = 16;

/** Ids in a leaf when ascending ids start the next leaf. */
export const LEAF_IDS_IN_ORDER = 100;

/** How entities other than executions are stored: one hash each, with facets and facts that can be long as fields. */
export interface RecordLayout {
  /** Prefix of their keys, after `<prefix>{fp:<n>}:` and before the id. Ends in a colon; unique among all keys. */
  readonly key: string;
  /** Facets and facts of the facet `long` -> field. Every record has the first facet of the table. */
  readonly fields: Readonly<Record<string, string>>;
  /** The list that contains every entity of the kind, and its type. */
  readonly list?: { readonly key: keyof typeof KEYS; readonly type: 'zset' | 'hash' };
}

/** Kinds with records of their own. A letter is never reused for another field. */
export const RECORDS: { readonly [Kind in EntityKind]?: RecordLayout } = {
  /** Exists only for lanes that were paused or drained at some time. */
  lane: { key: 'lane:', fields: { state: 's', stateChangedBy: 'b', stateReason: 'r' } },
  quota_policy: { key: 'quota:', fields: { limits: 'l', use: 'u' } },
  signing_key: {
    key: 'signing:',
    fields: { identity: 'k', expiry: 'e' },
    list: { key: 'kids', type: 'hash' },
  },
  budget: {
    key: 'budget:',
    fields: { given: 'g', limits: 'l', usage: 'u', breaches: 'b', resets: 'r', today: 'd', touched: 't', scopeId: 's' },
    list: { key: 'budgets', type: 'zset' },
  },
  reservation: { key: 'rsv:', fields: { given: 'g', state: 's' } },
  ledger: { key: 'ledger:', fields: { totals: 't' } },
  bill: { key: 'bill:', fields: { totals: 't' } },
  /** Counters and rate are stored beside the state (ruling 39), because they are no facts. */
  worker: {
    key: 'worker:',
    fields: { identity: 'i', offer: 'o', beat: 'b' },
    list: { key: 'workers', type: 'zset' },
  },
  flow: {
    key: 'flow:',
    fields: { given: 'g', life: 'l', keeping: 'k', cancel: 'c', cancelReason: 'r', tags: 't' },
    list: { key: 'flows', type: 'zset' },
  },
  walk: { key: 'walk:', fields: { walk: 'w' } },
  stream: { key: 'st:', fields: { given: 'g', summary: 's', closing: 'z', counters: 'c', rate: 'e' } },
};

/** Replaces the priority in a wake of a lane: metered work can be admitted again. */
export const ADMIT = 'admit';
/** Replaces the time in a message about timers: a budget has room again. */
export const ROOM = 'room';

/** Suffixes of the keys beside the record of a quota policy: slot holders, times of their checks, window, waiters. */
export const QUOTA_SUFFIXES = { slots: ':s', checks: ':c', window: ':w', waiters: ':q' } as const;

/** Fields of a signing key beside its facts: the secret with each of the two paddings of HMAC. */
export const SIGNING_FIELDS = { inner: 'i', outer: 'o' } as const;

/** Attempts that are probed for streams when the record of their execution is unreadable. */
export const MAX_PROBED_STREAMS = 100;

/** Suffixes of the keys beside the record of a stream: frames by mode, and the summary document. */
export const STREAM_SUFFIXES = { durable: ':d', summary: ':s', best_effort: ':b', document: ':doc' } as const;

/** Up to this number, recorded steps are stored as a compact list; more are a hash table with fast lookups. */
export const LISTED_STEPS = 32;

/** Longest list of a retention slot from which one entry is removed: the server scans all entries before it. */
export const SHORT_SLOT = 128;

/** A call with fewer arguments has a command or two, so its index writes are not gathered. */
export const GATHER_FROM_ARGUMENTS = 40;

/** The log is trimmed every so many entries. */
export const TRIM_EVERY = 64;

/** Most executions of a claim whose tables are reused by the next claim. */
export const KEPT_CLAIMS = 64;

/** Most tables of indexes that are reused by the next call. */
export const KEPT_INDEXES = 16;

/** Most partitions whose headers the library caches. */
export const KNOWN_PARTITIONS = 1_024;

/** Most thousands whose leading digits the library caches. */
export const KNOWN_THOUSANDS = 256;

/** Most parsed headings of groups that the library caches, and the longest of them in bytes. */
export const KNOWN_HEADINGS = 256;
export const KNOWN_HEADING_BYTES = 1_024;

/** Most budgets whose records the library caches. */
export const KNOWN_BUDGETS = 256;

/** Most parsed settings of deployments that the library caches. */
export const KNOWN_SETTINGS = 64;

/** Most texts of the facet `naming` that the library caches as well formed. */
export const KNOWN_NAMINGS = 1_024;

/** Most arguments buffered for one index before they are written: Lua can pass about 8 000 to one command. */
export const MAX_UNSETTLED = 2_000;

/** Separates the final key of bytes from the name under which they are staged. */
export const STAGED_SEPARATOR = ':';

/** The answer to a command whose staged bytes are missing: neither it nor any command after it was run. */
export const NOT_STAGED = -2;

/** The place of bytes that are in the command itself; no staging name equals it. */
export const BYTES_HERE = '=';

/** Names of the keys of a partition, after `<prefix>{fp:<n>}:`. Names that end in a colon are prefixes. */
export const KEYS = {
  log: 'log',
  /** Id of a signing key -> when it stops verifying; empty for the current key. */
  kids: 'kids',
  /** The state of the partition that every call reads (ruling 36). */
  header: 'header',
  /**
   * Never exists. On a cluster every call declares it: while a slot migrates, the server answers TRYAGAIN to a call
   * that declares a missing key, before the call runs. So a partition waits for the end of the migration of its slot,
   * and no call can meet a key that moved away after the call began to write.
   */
  absent: 'absent',
  timers: 'timers',
  /** The due times of retention slots. */
  retention: 'retention',
  /** Names of the leaves of the index of ids; `leaf` + name: the ids in a leaf, at most 120. */
  ids: 'ids',
  leaf: 'ids:',
  lanes: 'lanes',
  /** Suspended executions by the end of their suspension; the largest integer if it has none. */
  suspended: 'suspended',
  /** Ids of flows. */
  flows: 'flows',
  /** + flow id: its members by rank. */
  members: 'members:',
  /** + flow id: edge id -> downstream. */
  edges: 'edges:',
  /** The version of the settings for which the shelves of tags are complete; absent until the settings change. */
  tagged: 'tagged',
  /** + shelf name: names of its leaves. */
  shelf: 'shelf:',
  /** + leaf name + ':' + shelf name: the ids in the leaf. */
  shelved: 'shelved:',
  /** + lane: number of its executions by letter of the situation, and number of held ones. */
  counts: 'counts:',
  /** + lane + tab + needs + tab + (meter set + tab, if metered) + kind */
  queue: 'queue:',
  /** + lane: the names of its unmetered queues with work. */
  queues: 'queues:',
  /** + lane: its metered queues with work, by meter set, needs and kind. */
  metered: 'metered:',
  /** Short lease id -> state of the admission, see `model/metering/entity.ts`. */
  admissions: 'admissions',
  /** + purge time */
  slot: 'slot:',
  /** + namespace + ":" + key: the end of its time, an execution, and `HELD_KEY` if that holds it. */
  idempotency: 'idem:',
  /** + execution id: until when its streams are watched. */
  watch: 'watch:',
  /** Ids of budgets. */
  budgets: 'budgets',
  /** + budget id + ':' + idempotency key of a usage report: until when the key counts. */
  usage: 'usage:',
  /** `<kind>:<id>` of an unreadable record -> when and why it was set aside. */
  quarantine: 'quarantine',
  /** Reader id -> its position in the log. */
  readers: 'readers',
  /** Instance ids of workers, all with the same score, so they are ordered by id. */
  workers: 'workers',
} as const;

/** Prefix of a flow id after `counts`: the number of its members by situation. No lane has such a name. */
export const COUNTED_FLOW = 'flow:';

/** Field of the number of held executions in the counts of a lane. No situation has this letter. */
export const COUNTED_HELD = HELD_SHELF;

/** Bytes of a condition and its progress that cost a unit of work when a signal is evaluated. */
export const CONDITION_BYTES_PER_UNIT = 512;
/** Texts of the hash of waits that cost a unit of work when buffered signals are looked for. */
export const WAITS_PER_UNIT = 16;

/** Listings are read from queues and timers up to this number of entries, all of which are sorted. */
export const MAX_LIVE = 1_000;

/** Most timers that a list reads to find them. Finished flows have one each, until they are purged. */
export const MAX_TIMERS_READ = 5_000;

/**
 * Suspended executions are listed from the order of their timeouts up to this number, all of which are sorted for
 * every page: 4,000 take the server 5 ms, and a page is to stay below 3 ms.
 */
export const MAX_SUSPENDED = 2_000;

/** Most executions that one page of a listing examines, or one look at the members of a flow. */
export const MAX_LOOKED_AT = 500;

/** Most members that one call drops with their flow. */
export const MAX_DROPPED_MEMBERS = 100;

/** Bytes of a page of the log, or of the tags in a list of executions, after which the page ends. */
export const MAX_PAGE_BYTES = 1024 * 1024;

/** Entries of the log that are read before their bytes are counted. */
export const ENTRIES_AT_ONCE = 64;

/** Texts beside executions (suspensions and dependencies) after which a page of a snapshot ends. */
export const MAX_SNAPSHOT_TEXTS = 10_000;

/** Fields of the header. */
export const HEADER_FIELDS = {
  position: 'p',
  applier: 'a',
  /** Changes with every call that broke off; absent when a verification has repaired what they left. */
  broken: 'b',
  /** The last one that was removed. */
  mended: 'r',
  /** The process that verifies the partition because of it, and until when. */
  mender: 'm',
  /** Number of corrections of counts. */
  corrections: 'c',
} as const;

/** Follows the words of an error of a call that broke off: the partition is marked, or could not be marked. */
export const BROKE_OFF = ' [broke off]';
export const BROKE_OFF_UNMARKED = ' [broke off unmarked]';
/** Reasons of a quarantine that can mean a superfluous entry of an index beside a record without a fault. */
export const STRAY_TIMER = 'the record has a timer and nothing is due for it';
export const STRAY_IN_QUEUE = 'the record is in a queue and cannot be claimed';
/** Among the names of records that a pass over due work has set aside: calls broke off in the partition. */
export const HAS_BROKEN = 'broken_off';

/** Prefixes of the members of the timers index, by kind of entity; the id follows. */
export const TIMER_KINDS: Readonly<Record<string, string>> = Object.fromEntries(
  TIMED_KINDS.map((kind) => [kind, timerMember(kind, '')]),
);

/**
 * Channels after the prefix: wakes, one per lane and one for timers; and notices to subscribers of a partition: new log
 * entries, executions that ended, and, per execution, new frames of its streams.
 */
export const CHANNELS = {
  work: 'wake:',
  timers: 'timers',
  appended: 'appended',
  ended: 'ended',
  frames: 'frames:',
} as const;

/** Most ids in one notice of ended executions. */
export const MAX_NOTICED_ENDS = 500;

/**
 * How entities are stored on the server: the names of keys and fields. The core hash of an execution holds short values
 * only (ruling 38): one value over 64 bytes would turn the hash from a compact list into a table four times its size. A
 * longer value lives in a second hash, which exists only when there is one, and the core says so.
 */
import { HELD_SHELF } from '../model/listing/shelves.js';
import { TIMED_KINDS } from '../model/schedule/due.js';
import { timerMember } from '../model/schedule/timers.js';
import type { EntityKind } from '../model/state.js';

/** Longest value of a core hash, bytes. */
export const MAX_FIELD_BYTES = 64;

/** Stands in the core for a value that is in the second hash. */
export const SPILLED = '>';

/**
 * Fields of the core hash: a facet each, then facts that can be long, then what is no fact. Letters are never given to
 * something else; a facet that is an extra has one letter, a long fact may have two.
 */
export const FIELDS = {
  naming: 'n',
  given: 'g',
  bounds: 'b',
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
  /** Never a field: an extra by this name says that there are steps beside the record. */
  steps: 'S',
  /** The input and the result, when they are short. */
  input: 'i',
  result: 'o',
} as const;

/**
 * Facets and facts that most executions do not have. The last value of `life` names those that there are, by their
 * fields: so what an execution needs is read by one command, and what is lost is missed.
 */
export const EXTRAS = [
  'bounds',
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
  /** The input, when it is long. */
  input: ':in',
  /** + the attempt id: the result, when it is long. Only the owner of an attempt can name it (ruling 37). */
  result: ':out:',
  /** What it waits for, and waited for: exists once it was suspended, or sent a signal. */
  waits: ':waits',
  /** By signal id: what signals brought with them. */
  payloads: ':payloads',
  /** Its recorded steps: exists once it has one. */
  steps: ':steps',
  /** What it depends on: id of the edge -> its facts. */
  dependencies: ':deps',
  /** What leads out of it: the id of the edge and of the downstream, in one text; a set when that is more than one edge. */
  only: ':to',
  leading: ':next',
} as const;

/** Fields of what an execution waits for, see `model/suspension/facts.ts`. Those that end in a colon are continued. */
export const WAITS_FIELDS = {
  suspension: 's',
  /** Ids of the waitpoints of the suspension, in order. */
  waitpoints: 'b',
  condition: 'c',
  progress: 'p',
  satisfiers: 'f',
  closing: 'o',
  signal_count: 'n',
  /** Of all payloads of signals together; absent while there are none. */
  payload_bytes: 'y',
  /** How many waitpoints there ever were. */
  waitpoint_count: 'm',
  /** Ids of waitpoints that no suspension has used yet, in order. */
  pending: 'q',
  /** + the name of a suspension: what it answered. */
  suspend_key: 'i:',
  /** + waitpoint id */
  waitpoint: 'w:',
  /** + signal id */
  signal: 'g:',
  /** + waitpoint id + ':' + the sender's key: a signal id. */
  signal_key: 'k:',
} as const;

/**
 * Fields of the steps of an execution, see `model/step/facts.ts`. What is said of a step stands under its place in the order
 * of recording, a number.
 */
export const STEP_FIELDS = {
  /** How many there are, and the bytes of their values. */
  totals: 't',
  /** + `stepKeyOf`: its place, a line's end, its value. */
  key: 'k',
} as const;

/** Most ids of a leaf of the index of ids: the server keeps up to 128 entries as one compact text. */
export const MAX_LEAF_IDS = 120;

/** Most ids that wait for a leaf of a shelf before they are written: a leaf holds hardly more than its most. */
export const MAX_UNSETTLED_LEAF_IDS = 8;

/** Most leaves of shelves that a call keeps in hand. */
export const SHELF_LEAVES_IN_HAND = 8;

/** How many a leaf has when ids that come in order begin the next one. */
export const LEAF_IDS_IN_ORDER = 100;

/** How entities of a kind other than executions are stored: a hash each, whose fields are facets and facts that can be long. */
export interface RecordLayout {
  /** What their keys begin with, after `<prefix>{fp:<n>}:`; then the id. Ends in a colon, and begins like no other key. */
  readonly key: string;
  /** Facets, and facts of the facet `long`, and their fields. The first facet of the table is in every record. */
  readonly fields: Readonly<Record<string, string>>;
  /** The list in which each of them stands, and its type. */
  readonly list?: { readonly key: keyof typeof KEYS; readonly type: 'zset' | 'hash' };
}

/** Kinds that have records of their own. Letters are never given to something else. */
export const RECORDS: { readonly [Kind in EntityKind]?: RecordLayout } = {
  /** Only of lanes that were ever paused or drained. */
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
  /** Counters and rate are beside the state (ruling 39): they are no facts. */
  worker: {
    key: 'worker:',
    fields: { identity: 'i', offer: 'o', beat: 'b' },
    list: { key: 'workers', type: 'zset' },
  },
  flow: {
    key: 'flow:',
    fields: { given: 'g', life: 'l', cancel: 'c', cancelReason: 'r', tags: 't' },
    list: { key: 'flows', type: 'zset' },
  },
  walk: { key: 'walk:', fields: { walk: 'w' } },
  stream: { key: 'st:', fields: { given: 'g', summary: 's', closing: 'z', counters: 'c', rate: 'e' } },
};

/** Stands in a wake of a lane in the place of a priority: there is room for a claimer of metered work. */
export const ADMIT = 'admit';
/** What a message says of a budget that has room again, in the place of a time. */
export const ROOM = 'room';

/** Suffixes of the keys beside the record of a quota policy: holders of slots, when each is asked, the window, who waits. */
export const QUOTA_SUFFIXES = { slots: ':s', checks: ':c', window: ':w', waiters: ':q' } as const;

/** Fields of a signing key beside its facts: its secret, with the two paddings of HMAC. */
export const SIGNING_FIELDS = { inner: 'i', outer: 'o' } as const;

/** Attempts of an execution that cannot be read, among which its streams are looked for. */
export const MAX_PROBED_STREAMS = 100;

/** Suffixes of the keys beside the record of a stream: frames by their mode, and the summary. */
export const STREAM_SUFFIXES = { durable: ':d', summary: ':s', best_effort: ':b', document: ':doc' } as const;

/** So many recorded steps are a compact list; more are a table, in which each is found at once. */
export const LISTED_STEPS = 32;

/** Longest list of a retention slot that one entry is taken out of: the server looks at all before it. */
export const SHORT_SLOT = 128;

/** A call with fewer arguments has a command or two: nothing that it writes waits for more of its kind. */
export const GATHER_FROM_ARGUMENTS = 40;

/** Entries of a log after which it is trimmed. */
export const TRIM_EVERY = 64;

/** Most executions of a claim whose tables are left to the next one. */
export const KEPT_CLAIMS = 64;

/** Most tables of indexes that a call leaves to the next one. */
export const KEPT_INDEXES = 16;

/** Most partitions of which the library remembers what it wrote into their headers. */
export const KNOWN_PARTITIONS = 1_024;

/** Most beginnings of numbers that the library remembers as texts. */
export const KNOWN_THOUSANDS = 256;

/** Most beginnings of groups that the library remembers taken apart, and the longest, in bytes. */
export const KNOWN_HEADINGS = 256;
export const KNOWN_HEADING_BYTES = 1_024;

/** Most budgets of which the library remembers what it wrote. */
export const KNOWN_BUDGETS = 256;

/** Most settings of deployments that the library remembers as it read them. */
export const KNOWN_SETTINGS = 64;

/** Most texts of where executions belong that the library remembers as readable. */
export const KNOWN_NAMINGS = 1_024;

/** Most arguments that wait for one index before they are written: Lua hands about 8 000 at once to a command. */
export const MAX_UNSETTLED = 2_000;

/** Between the key that bytes will have and the name under which they are staged meanwhile. */
export const STAGED_SEPARATOR = ':';

/** Answers a command whose bytes are not found beside the call: nothing was done, of it or behind it. */
export const NOT_STAGED = -2;

/** Says that bytes come with the command: no name is like it. */
export const BYTES_HERE = '=';

/** Names of the keys of a partition, after `<prefix>{fp:<n>}:`. Those that end in a colon are continued. */
export const KEYS = {
  log: 'log',
  /** Signing keys by id, and until when each verifies; nothing for the current one. */
  kids: 'kids',
  /** What every call knows of its partition (ruling 36). */
  header: 'header',
  /**
   * Never exists. On a cluster every call declares it: while a slot migrates, the server answers TRYAGAIN to a call that names a
   * key which is not there, before the call runs. So a partition waits for the end of the migration of its slot, and
   * no call can meet a key that has moved away after it began to write.
   */
  absent: 'absent',
  timers: 'timers',
  /** Times at which a retention slot is due. */
  retention: 'retention',
  /** Names of the leaves of the index of ids, and + name: a leaf, at most 120 ids in order. */
  ids: 'ids',
  leaf: 'ids:',
  lanes: 'lanes',
  /** Suspended executions by when their waits are over, in the greatest of all numbers where they never are. */
  suspended: 'suspended',
  /** Ids of flows. */
  flows: 'flows',
  /** + flow: its members by rank. */
  members: 'members:',
  /** + flow: id of the edge -> its downstream. */
  edges: 'edges:',
  /** The version of the settings for which the shelves of tags have all, once they changed. */
  tagged: 'tagged',
  /** + name of a shelf: names of its leaves. */
  shelf: 'shelf:',
  /** + name of a leaf + ':' + name of the shelf: the ids of the leaf. */
  shelved: 'shelved:',
  /** + lane: how many of its executions are in each situation, by its letter, and how many are held. */
  counts: 'counts:',
  /** + lane + tab + needs + tab + (meter set + tab, where there is one) + kind */
  queue: 'queue:',
  /** + lane: the names of its unmetered queues that have work. */
  queues: 'queues:',
  /** + lane: its metered queues that have work, by meter set, needs and kind. */
  metered: 'metered:',
  /** Short lease id -> what became of the admission, see `model/metering/entity.ts`. */
  admissions: 'admissions',
  /** + time of the purge */
  slot: 'slot:',
  /** + namespace + ":" + key */
  idempotency: 'idem:',
  /** + id: until when the streams of an execution are watched. */
  watch: 'watch:',
  /** Ids of budgets. */
  budgets: 'budgets',
  /** + budget + ':' + a key under which usage was reported: until when it counts. */
  usage: 'usage:',
  /** `<kind>:<id>` of what could not be read -> when and why. */
  quarantine: 'quarantine',
  /** Id of a reader -> where it is. */
  readers: 'readers',
  /** Instance ids of workers, all with one score: in order. */
  workers: 'workers',
} as const;

/** Behind `counts` and this stands a flow: how many of its members are in each situation. No lane has such a name. */
export const COUNTED_FLOW = 'flow:';

/** Field of a lane's counts, beside the letters of situations: how many are held. No situation has such a letter. */
export const COUNTED_HELD = HELD_SHELF;

/** A list is read off queues and timers when they hold no more than this: all of it is sorted. */
export const MAX_LIVE = 1_000;

/** Executions that one page of a list looks at. */
export const MAX_LOOKED_AT = 500;

/** Most members that are given up with their flow in one call. */
export const MAX_DROPPED_MEMBERS = 100;

/** Texts beside executions (what they wait for and depend on) after which a page of a snapshot ends. */
export const MAX_SNAPSHOT_TEXTS = 10_000;

/** Fields of the header. */
export const HEADER_FIELDS = { position: 'p', applier: 'a' } as const;

/** Members of the timers index: the kind of the entity, and its id. */
export const TIMER_KINDS: Readonly<Record<string, string>> = Object.fromEntries(
  TIMED_KINDS.map((kind) => [kind, timerMember(kind, '')]),
);

/**
 * Channels after the prefix: wakes, one per lane and one for timers; and what is said of partitions to those that asked for
 * it: that their log has more, which executions ended, and, one per execution, that its streams have more.
 */
export const CHANNELS = {
  work: 'wake:',
  timers: 'timers',
  appended: 'appended',
  ended: 'ended',
  frames: 'frames:',
} as const;

/** Most ids that one notice of ends names. */
export const MAX_NOTICED_ENDS = 500;

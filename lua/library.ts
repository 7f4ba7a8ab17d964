/**
 * Builds the function library: a header, the tables from model/, then every file of this folder, linked. A test build
 * differs only in the file of its clock; callers of a production build cannot set the time.
 */
import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { snakeCase, variantsOf } from '../model/core/kinds.js';
import { EVENTS } from '../model/events.js';
import { UNITS_AT_ONCE, UNITS_OF_A_WALK, WALKER } from '../model/flow/cascade.js';
import { BUILD_TIMED_OUT } from '../model/flow/due.js';
import {
  BUCKETS,
  CANCELLATION_POLICIES,
  dependencyFacts,
  EDGE_STATES,
  FLOW_STATES,
  GROUP_POLICIES,
  GROUP_STATES,
  ON_SATISFIED,
  WALK_KINDS,
} from '../model/flow/facts.js';
import { EXPIRE_REASONS } from '../model/execution/events.js';
import { executionFacts } from '../model/execution/facts.js';
import { ABSOLUTE_TIME_FROM } from '../model/execution/policy.js';
import { BLOCKS, NEXT_ATTEMPTS, SITUATION_NAMES, SITUATIONS } from '../model/execution/situation.js';
import { isShelved, TAG_SHELF } from '../model/listing/shelves.js';
import { ATTEMPT_TYPES } from '../model/lease/events.js';
import { HARD_LIMIT_ACTIONS, RESERVATION_STATES } from '../model/budget/facts.js';
import {
  APPLIER_MS,
  BILL_KEPT_DAYS,
  LEDGER_KEPT_DAYS,
  RESERVATION_KEPT_MS,
  USAGE_KEY_MS,
  DEFAULTS,
  KEEP_FOR_GOOD,
  LIMITS,
  MAX_CLOCK_LEAD_MS,
  MIN_RETENTION_MS,
  OFFER_AGAIN_MS,
  RETURN_GRACE_MS,
  IDLE_QUOTA_MS,
  SLOT_CHECK_MS,
  SLOTS_PER_CHECK,
  PRIORITY_STEP,
  PURGE_UNITS,
  RECLAIM_BAND,
  RETENTION_SLOT_MS,
  HELD_LOG_FACTOR,
  VOID_MEMORY_MS,
} from '../model/limits.js';
import { entityNamed, type EntityKind } from '../model/state.js';
import { OPERATIONS, operationNamed, type OperationName } from '../model/machine.js';
import { PLAIN_CLAIM } from '../model/schedule/claim-answer.js';
import { CLAIM_KINDS } from '../model/schedule/claimed.js';
import { ADMISSION_STATES } from '../model/metering/entity.js';
import { REPLACED_REASON, REPLACER, WHEN_FULL } from '../model/metering/line.js';
import { LANE_STATES } from '../model/lane/lane.js';
import { FINGERPRINT_LENGTH } from '../model/signing/token.js';
import { FIRST_WAITING_SCORE } from '../model/schedule/queue.js';
import { MAX_MEMBERS } from '../model/stream/canonical-json.js';
import { CLOSED_REASONS } from '../model/stream/facts.js';
import { SUMMARY_FRAMES } from '../model/stream/retention.js';
import { SUSPEND_KEY_AFTER_MS } from '../model/suspension/once.js';
import { MAX_RECLAIMS_EXCEEDED } from '../model/schedule/reclaim-cap.js';
import { STEP_KINDS, stepFacts } from '../model/step/facts.js';
import {
  RESUME_TRIGGERS,
  SIGNAL_EFFECTS,
  SIGNAL_SCOPES,
  SUSPEND_REASONS,
  SUSPEND_REQUESTERS,
  TIMEOUT_BEHAVIORS,
  WAITPOINT_STATES,
  waitsFacts,
} from '../model/suspension/facts.js';
import { codecFile, recordCodecFile } from './codec.js';
import { commandsIn } from './commands.js';
import { luaFiles } from './files.js';
import { withoutCommentLines } from './tokens.js';
import {
  BYTES_HERE,
  CHANNELS,
  COUNTED_FLOW,
  COUNTED_HELD,
  FIELDS,
  GATHER_FROM_ARGUMENTS,
  HEADER_FIELDS,
  KEPT_CLAIMS,
  KEPT_INDEXES,
  KEYS,
  KNOWN_HEADING_BYTES,
  KNOWN_BUDGETS,
  KNOWN_HEADINGS,
  KNOWN_PARTITIONS,
  KNOWN_NAMINGS,
  LEAF_IDS_IN_ORDER,
  KNOWN_SETTINGS,
  KNOWN_THOUSANDS,
  LISTED_STEPS,
  MAX_FIELD_BYTES,
  MAX_LEAF_IDS,
  ADMIT,
  MAX_DROPPED_MEMBERS,
  MAX_LIVE,
  MAX_LOOKED_AT,
  MAX_NOTICED_ENDS,
  MAX_PROBED_STREAMS,
  MAX_SNAPSHOT_TEXTS,
  MAX_UNSETTLED,
  MAX_UNSETTLED_LEAF_IDS,
  NOT_STAGED,
  QUOTA_SUFFIXES,
  RECORDS,
  ROOM,
  SHELF_LEAVES_IN_HAND,
  SHORT_SLOT,
  SIGNING_FIELDS,
  SPILLED,
  STAGED_SEPARATOR,
  STEP_FIELDS,
  STREAM_SUFFIXES,
  SUFFIXES,
  TIMER_KINDS,
  TRIM_EVERY,
  WAITS_FIELDS,
  type RecordLayout,
} from './layout.js';
import { link, type Literals, type LuaFile } from './link.js';
import { lifeParser, loaderText, recordLoaderText } from './loader.js';
import { SHAPES } from './parameters.js';
import { outcomeNumber, SIGNATURES } from './signatures.js';

/** Major version of the protocol between client and library. Libraries of two versions can share a server. */
export const CONTRACT = 2;
/** Raised with every release that changes the Lua; a client never replaces a library by a lower build. */
const BUILD = 2;

export type LibraryKind = 'production' | 'test';

export interface Library {
  /** Name of the library on the server. */
  readonly name: string;
  /** Prefix of the names of its functions. */
  readonly functionPrefix: string;
  readonly contract: number;
  readonly build: number;
  /** Hash of its contents. */
  readonly hash: string;
  /** The argument of FUNCTION LOAD. */
  readonly source: string;
  /** The commands that it runs, lower case: the server user of a client needs the right to each. */
  readonly commands: readonly string[];
}

const CLOCKS: Record<LibraryKind, string> = { production: 'core/clock.lua', test: 'core/virtual-clock.lua' };

const NAMES = Object.keys(OPERATIONS) as OperationName[];

/** Kinds of outcomes, which are sent as numbers. */
const OUTCOME_KINDS: readonly string[] = [
  ...new Set(NAMES.flatMap((name) => [...variantsOf(operationNamed(name).outcome as z.ZodType).keys()])),
].sort();

/** Files that other files use while loading come first, `main.lua` last; the order of the rest does not matter. */
function inOrder(paths: readonly string[]): string[] {
  const rank = (path: string): number =>
    path === 'main.lua' ? 3 : path.startsWith('core/') ? 0 : path === 'execution/record.lua' ? 1 : 2;
  return [...paths].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

/** @throws Error when two kinds have the same number: one of them needs another name */
function numbersOfKinds(): Record<string, number> {
  const numbers = Object.fromEntries(OUTCOME_KINDS.map((kind) => [kind, outcomeNumber(kind)]));
  if (new Set(Object.values(numbers)).size < OUTCOME_KINDS.length) throw new Error('lua: two outcomes have one number');
  return numbers;
}

const mapValues = <From, To>(table: Readonly<Record<string, From>>, change: (value: From) => To): Record<string, To> =>
  Object.fromEntries(Object.entries(table).map(([name, value]) => [name, change(value)]));

const snakeKeys = <Value>(table: Readonly<Record<string, Value>>): Record<string, Value> =>
  Object.fromEntries(Object.entries(table).map(([name, value]) => [snakeCase(name), value]));

const lettersOf = (table: Readonly<Record<string, { readonly letter: string }>>): Record<string, string> =>
  Object.fromEntries(Object.entries(table).map(([name, { letter }]) => [name, letter]));

/** Letters as they are stored: the first word is stored as the empty text. */
const storedLetters = <Word extends string>(letters: Readonly<Record<Word, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries<string>(letters).map(([word, letter], i) => [word, i === 0 ? '' : letter]));

/** Kinds with records of their own, and how they are stored. */
const RECORD_KINDS = Object.entries(RECORDS) as [EntityKind, RecordLayout][];

/** `<KIND>.<facet>` for the fields of a kind's records, `<KIND>.key` for the prefix of their keys. */
const recordLiterals = (): Literals =>
  Object.fromEntries(
    RECORD_KINDS.map(([kind, { key, fields }]) => [kind.toUpperCase(), { ...snakeKeys(fields), key }]),
  );

/** Suffixes of the keys beside the records of a kind. */
const BESIDE: { readonly [Kind in EntityKind]?: Readonly<Record<string, string>> } = { quota_policy: QUOTA_SUFFIXES };

/** What is removed with a record of a kind: its prefix, the suffixes beside it, and the list that contains it. */
function recordLookUp(kind: EntityKind, { key, list }: RecordLayout): string {
  const suffixes = [SUFFIXES.details, ...Object.values(BESIDE[kind] ?? {})].map((suffix) => JSON.stringify(suffix));
  const leaving =
    list && `list = ${JSON.stringify(KEYS[list.key])}, leave = "${list.type === 'hash' ? 'HDEL' : 'ZREM'}"`;
  return `{ key = ${JSON.stringify(key)}, beside = { ${suffixes.join(', ')} }, ${leaving ?? 'list = false'} }`;
}

/** The constants of model/ and of the layout, by their names in the Lua. */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: one complete table
function literalsOf(functionPrefix: string): Literals {
  return {
    ...recordLiterals(),
    SITUATION: lettersOf(SITUATIONS),
    EVENT: lettersOf(EVENTS),
    LANE_STATE: LANE_STATES,
    ADMISSION_STATE: ADMISSION_STATES,
    FLOW_STATE: storedLetters(FLOW_STATES),
    CANCELLATION: storedLetters(CANCELLATION_POLICIES),
    CANCELLATION_LETTER: CANCELLATION_POLICIES,
    GROUP_POLICY: storedLetters(GROUP_POLICIES),
    GROUP_POLICY_LETTER: GROUP_POLICIES,
    ON_SATISFIED: storedLetters(ON_SATISFIED),
    GROUP_STATE: storedLetters(GROUP_STATES),
    EDGE_STATE: storedLetters(EDGE_STATES),
    BUCKET: BUCKETS,
    WALK_KIND: WALK_KINDS,
    RESERVATION_STATE: RESERVATION_STATES,
    HARD_LIMIT: HARD_LIMIT_ACTIONS,
    WHEN_FULL,
    NEXT: NEXT_ATTEMPTS,
    ATTEMPT: ATTEMPT_TYPES,
    CLAIM: CLAIM_KINDS,
    CLAIM_ROW: { plain: PLAIN_CLAIM },
    KIND: numbersOfKinds(),
    ANSWER: mapValues(numbersOfKinds(), (number) => `${number}\t`),
    FIELD: snakeKeys(FIELDS),
    SUFFIX: SUFFIXES,
    WAITS: WAITS_FIELDS,
    SIGNING: { ...SIGNING_FIELDS, fingerprint_length: FINGERPRINT_LENGTH },
    WAITPOINT_STATE: { ...WAITPOINT_STATES, active: '' },
    TRIGGER: Object.fromEntries(Object.keys(RESUME_TRIGGERS).map((word) => [word, word])),
    STREAM_SUFFIX: STREAM_SUFFIXES,
    QUOTA_SUFFIX: QUOTA_SUFFIXES,
    STEP: STEP_FIELDS,
    CLOSED: CLOSED_REASONS,
    KEY: KEYS,
    HEADER: HEADER_FIELDS,
    TIMER: TIMER_KINDS,
    CHANNEL: CHANNELS,
    LIBRARY: { prefix: functionPrefix, contract: CONTRACT, build: BUILD, hash: HASH_TO_COME },
    LIMIT: {
      max_integer: LIMITS.maxInteger,
      max_clock_lead_ms: MAX_CLOCK_LEAD_MS,
      priority_step: PRIORITY_STEP,
      reclaim_band: RECLAIM_BAND,
      first_waiting_score: `${FIRST_WAITING_SCORE}`,
      retention_slot_ms: RETENTION_SLOT_MS,
      min_retention_ms: MIN_RETENTION_MS,
      keep_for_good: KEEP_FOR_GOOD,
      applier_ms: APPLIER_MS,
      offer_again_ms: OFFER_AGAIN_MS,
      return_grace_ms: RETURN_GRACE_MS,
      slot_check_ms: SLOT_CHECK_MS,
      slots_per_check: SLOTS_PER_CHECK,
      idle_quota_ms: IDLE_QUOTA_MS,
      max_quota_waiters: LIMITS.maxQuotaWaiters,
      admit: ADMIT,
      room: ROOM,
      void_memory_ms: VOID_MEMORY_MS,
      replacer: REPLACER,
      replaced_reason: REPLACED_REASON,
      purge_units: PURGE_UNITS,
      absolute_time_from: ABSOLUTE_TIME_FROM,
      default_priority: DEFAULTS.priority,
      default_max_reclaim_count: DEFAULTS.maxReclaimCount,
      default_max_release_count: DEFAULTS.maxReleaseCount,
      default_max_replay_count: DEFAULTS.maxReplayCount,
      max_tags: LIMITS.maxTags,
      default_dedup_window_ms: DEFAULTS.dedupWindowMs,
      max_reclaims_exceeded: MAX_RECLAIMS_EXCEEDED,
      max_field_bytes: MAX_FIELD_BYTES,
      spilled: SPILLED,
      max_unsettled: MAX_UNSETTLED,
      leaf_ids: MAX_LEAF_IDS,
      unsettled_leaf_ids: MAX_UNSETTLED_LEAF_IDS,
      shelf_leaves_in_hand: SHELF_LEAVES_IN_HAND,
      leaf_ids_in_order: LEAF_IDS_IN_ORDER,
      short_slot: SHORT_SLOT,
      staged_separator: STAGED_SEPARATOR,
      bytes_here: BYTES_HERE,
      not_staged: NOT_STAGED,
      max_noticed_ends: MAX_NOTICED_ENDS,
      max_readers: LIMITS.maxReaders,
      max_workers: LIMITS.maxWorkers,
      held_log_factor: HELD_LOG_FACTOR,
      gather_from_arguments: GATHER_FROM_ARGUMENTS,
      held: COUNTED_HELD,
      tag_shelf: TAG_SHELF,
      trim_every: TRIM_EVERY,
      kept_claims: KEPT_CLAIMS,
      kept_indexes: KEPT_INDEXES,
      max_signal_payloads_bytes: LIMITS.maxSignalPayloadsBytes,
      max_buffered_signals: LIMITS.maxBufferedSignals,
      max_pending_waitpoints: LIMITS.maxPendingWaitpoints,
      max_suspend_key_ms: LIMITS.maxSuspendKeyMs,
      suspend_key_after_ms: SUSPEND_KEY_AFTER_MS,
      first_effect: Object.values(SIGNAL_EFFECTS)[0] ?? '',
      max_signal_page_bytes: LIMITS.maxSignalPageBytes,
      max_carried: LIMITS.maxCarried,
      max_carried_bytes: LIMITS.maxCarriedBytes,
      max_frame_bytes: LIMITS.maxFrameBytes,
      max_summary_bytes: LIMITS.maxSummaryBytes,
      max_members: MAX_MEMBERS,
      summary_frames: SUMMARY_FRAMES,
      max_probed_streams: MAX_PROBED_STREAMS,
      stream_maxlen: DEFAULTS.streamMaxlen,
      stream_max_bytes: DEFAULTS.streamMaxBytes,
      max_steps: LIMITS.maxSteps,
      listed_steps: LISTED_STEPS,
      max_steps_bytes: LIMITS.maxStepsBytes,
      /** Makes a value too long for a compact list. */
      padding: ' '.repeat(MAX_FIELD_BYTES),
      max_step_bytes_per_read: LIMITS.maxStepBytesPerRead,
      max_dimensions: LIMITS.maxDimensions,
      usage_key_ms: USAGE_KEY_MS,
      reservation_kept_ms: RESERVATION_KEPT_MS,
      ledger_kept_days: LEDGER_KEPT_DAYS,
      bill_kept_days: BILL_KEPT_DAYS,
      known_partitions: KNOWN_PARTITIONS,
      known_headings: KNOWN_HEADINGS,
      known_heading_bytes: KNOWN_HEADING_BYTES,
      known_settings: KNOWN_SETTINGS,
      known_budgets: KNOWN_BUDGETS,
      known_thousands: KNOWN_THOUSANDS,
      known_namings: KNOWN_NAMINGS,
      counted_flow: COUNTED_FLOW,
      units_at_once: UNITS_AT_ONCE,
      units_of_a_walk: UNITS_OF_A_WALK,
      walker: WALKER,
      build_timed_out: BUILD_TIMED_OUT,
      max_result_bytes_per_claim: LIMITS.maxResultBytesPerClaim,
      max_result_edges_per_claim: LIMITS.maxResultEdgesPerClaim,
      max_flow_members: LIMITS.maxFlowMembers,
      max_flow_edges: LIMITS.maxFlowEdges,
      max_group_edges: LIMITS.maxGroupEdges,
      max_searched_members: LIMITS.maxSearchedMembers,
      max_searched_edges: LIMITS.maxSearchedEdges,
      max_live: MAX_LIVE,
      max_looked_at: MAX_LOOKED_AT,
      max_snapshot_texts: MAX_SNAPSHOT_TEXTS,
      max_dropped_members: MAX_DROPPED_MEMBERS,
    },
  };
}

const luaTable = (entries: Iterable<readonly [string, string]>): string =>
  `{ ${Array.from(entries, ([key, value]) => `[${JSON.stringify(key)}] = ${value}`).join(', ')} }`;

/** A Lua table from the words of a choice to their stored letters; the first word is stored as the empty text. */
const stored = (letters: Readonly<Record<string, string>>): string =>
  luaTable(Object.entries(letters).map(([word, letter], i) => [word, JSON.stringify(i === 0 ? '' : letter)]));

const words = (letters: Readonly<Record<string, string>>): string =>
  luaTable(Object.entries(letters).map(([word, letter], i) => [i === 0 ? '' : letter, JSON.stringify(word)]));

/** Tables that the Lua reads at run time. */
function lookUps(): string[] {
  const situations = Object.values(SITUATIONS);
  const terminal = situations.filter(({ outcome }) => outcome !== 'none');
  const shapes = NAMES.map((name) => {
    const { sharedCount, eachCount } = SHAPES[name];
    return [SIGNATURES[name], `{ ${sharedCount}, ${eachCount ?? 'false'}, "${snakeCase(name)}" }`] as const;
  });
  return [
    `local SHELVED = ${luaTable(SITUATION_NAMES.filter(isShelved).map((name) => [SITUATIONS[name].letter, 'true']))}`,
    `local PHASE = ${luaTable(situations.map(({ letter, phase }) => [letter, JSON.stringify(phase)]))}`,
    `local PUBLIC_STATE = ${luaTable(situations.map(({ letter, publicState }) => [letter, JSON.stringify(publicState)]))}`,
    `local TERMINAL_OUTCOME = ${luaTable(terminal.map(({ letter, outcome }) => [letter, JSON.stringify(outcome)]))}`,
    `local BLOCK = ${luaTable(Object.entries(BLOCKS).map(([reason, situation]) => [reason, JSON.stringify(SITUATIONS[situation].letter)]))}`,
    `local EXPIRE_REASON = ${luaTable(Object.entries(EXPIRE_REASONS).map(([word, letter]) => [word, JSON.stringify(letter)]))}`,
    `local CANCELLATION_WORD = ${luaTable(Object.entries(CANCELLATION_POLICIES).map(([word, letter], i) => [i === 0 ? '' : letter, JSON.stringify(word)]))}`,
    `local WORDS = { ${Object.entries({
      reason: stored(SUSPEND_REASONS),
      requester: stored(SUSPEND_REQUESTERS),
      behavior: stored(TIMEOUT_BEHAVIORS),
      behavior_word: words(TIMEOUT_BEHAVIORS),
      scope: stored(SIGNAL_SCOPES),
      effect: stored(SIGNAL_EFFECTS),
      effect_word: words(SIGNAL_EFFECTS),
      step_kind: stored(STEP_KINDS),
      step_kind_word: words(STEP_KINDS),
    })
      .map(([name, table]) => `${name} = ${table}`)
      .join(', ')} }`,
    `local CLOSED_WORD = ${luaTable(Object.entries(CLOSED_REASONS).map(([word, letter]) => [letter, JSON.stringify(word)]))}`,
    `local SHAPE = ${luaTable(shapes)}`,
    `local RECORD_OF = ${luaTable(RECORD_KINDS.map(([kind, layout]) => [kind, recordLookUp(kind, layout)]))}`,
    `local SIGNATURE = ${luaTable(NAMES.map((name) => [snakeCase(name), JSON.stringify(SIGNATURES[name])]))}`,
  ];
}

/** Placeholder for the hash in the text that is hashed. */
const HASH_TO_COME = '@hash@';

/** Libraries built from the files of this package: every backend of a process needs them more than once. */
const made = new Map<LibraryKind, Library>();

/** The library of a kind, built from the files of this package. */
export function library(kind: LibraryKind = 'production'): Library {
  const known = made.get(kind);
  if (known !== undefined) return known;
  const fresh = libraryOf(kind, luaFiles());
  made.set(kind, fresh);
  return fresh;
}

/** The library of a kind, built from the given files. Pure: the same files give the same text. */
export function libraryOf(kind: LibraryKind, files: Readonly<Record<string, string>>): Library {
  const name = `flowfabric_v${CONTRACT}${kind === 'test' ? '_test' : ''}`;
  const functionPrefix = `${name}_`;
  const all = Object.values(files).join('\n');
  const uses = (called: string): boolean => all.includes(`${called}(`);
  const parts: LuaFile[] = [
    { path: 'core/codec', text: codecFile(executionFacts, uses) + lifeParser(executionFacts) },
    { path: 'step/codec', text: recordCodecFile('steps', stepFacts, uses) },
    { path: 'flow/edge-codec', text: recordCodecFile('edge', { dependency: dependencyFacts }, uses) },
    { path: 'suspension/codec', text: recordCodecFile('waits', waitsFacts, uses) },
    ...RECORD_KINDS.map(([kind]) => ({
      path: `${kind}/codec`,
      text: recordCodecFile(kind, entityNamed(kind).facts, uses),
    })),
    ...inOrder(Object.keys(files))
      .filter((path) => !Object.values(CLOCKS).includes(path) || path === CLOCKS[kind])
      .map((path) => ({ path, text: withoutCommentLines(files[path] as string) })),
  ];
  const loader = (writer: string, names: readonly string[]): string => {
    if (writer !== 'record') return loaderText(executionFacts, names, writer === 'refilling_loader');
    const [kind, ...facets] = names as [EntityKind, ...string[]];
    const layout = RECORDS[kind];
    if (layout === undefined) throw new Error(`lua: there are no records of the kind "${kind}"`);
    return recordLoaderText(kind, entityNamed(kind).facts, layout, facets);
  };
  const text = [`#!lua name=${name}`, ...lookUps(), ...link(parts, literalsOf(functionPrefix), loader), ''].join('\n');
  const hash = createHash('sha256').update(text.replaceAll(HASH_TO_COME, '')).digest('hex').slice(0, 16);
  const source = text.replaceAll(HASH_TO_COME, hash);
  return { name, functionPrefix, contract: CONTRACT, build: BUILD, hash, source, commands: commandsIn(source) };
}

/** The constants that the Lua names in capitals: they are written into its text where it names them. */
import type { z } from 'zod';
import { snakeCase, variantsOf } from '../model/core/kinds.js';
import { EVENTS } from '../model/events.js';
import { LOOKS_PAST_FLOWS } from '../model/schedule/apply-due.js';
import { UNITS_AT_ONCE, UNITS_OF_A_WALK, UNITS_OF_AN_ENDING } from '../model/flow/cascade.js';
import { WALKER } from '../model/flow/cancellation.js';
import { BUILD_TIMED_OUT } from '../model/flow/due.js';
import {
  BUCKETS,
  CANCELLATION_POLICIES,
  EDGE_STATES,
  FLOW_STATES,
  GROUP_POLICIES,
  GROUP_STATES,
  ON_SATISFIED,
  WALK_KINDS,
} from '../model/flow/facts.js';
import { HOLD_LETTER } from '../model/execution/initial-block.js';
import { ABSOLUTE_TIME_FROM } from '../model/execution/policy.js';
import { NEXT_ATTEMPTS, SITUATIONS } from '../model/execution/situation.js';
import { TAG_SHELF } from '../model/listing/shelves.js';
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
  MAX_CALL_UNITS,
  MAX_CLOCK_LEAD_MS,
  MIN_RETENTION_MS,
  OFFER_AGAIN_MS,
  RETURN_GRACE_MS,
  IDLE_QUOTA_MS,
  SLOT_CHECK_MS,
  SLOTS_PER_CHECK,
  PRIORITY_STEP,
  PURGE_UNITS,
  SUSPENSION_UNITS,
  RECLAIM_BAND,
  RETENTION_SLOT_MS,
  HELD_LOG_FACTOR,
  VOID_MEMORY_MS,
} from '../model/limits.js';
import type { EntityKind } from '../model/state.js';
import { OPERATION_NAMES, operationNamed } from '../model/machine.js';
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
import { SHORT_LENGTH } from '../model/short-id.js';
import { MAX_RECLAIMS_EXCEEDED } from '../model/schedule/reclaim-cap.js';
import { RESUME_TRIGGERS, SIGNAL_EFFECTS, WAITPOINT_STATES } from '../model/suspension/facts.js';
import {
  BYTES_HERE,
  CHANNELS,
  CONDITION_BYTES_PER_UNIT,
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
  LEAF_IDS_AT_ONCE,
  LEAF_IDS_IN_ORDER,
  LEAVES_AHEAD,
  KNOWN_SETTINGS,
  KNOWN_THOUSANDS,
  LISTED_STEPS,
  MAX_FIELD_BYTES,
  MAX_LEAF_IDS,
  ADMIT,
  BROKE_OFF,
  BROKE_OFF_UNMARKED,
  HAS_BROKEN,
  STRAY_TIMER,
  STRAY_IN_QUEUE,
  MAX_DROPPED_MEMBERS,
  MAX_LIVE,
  MAX_TIMERS_READ,
  MAX_LOOKED_AT,
  MAX_NOTICED_ENDS,
  MAX_PROBED_STREAMS,
  MAX_SUSPENDED,
  ENTRIES_AT_ONCE,
  MAX_PAGE_BYTES,
  MAX_SNAPSHOT_TEXTS,
  MAX_UNSETTLED,
  NOT_STAGED,
  QUOTA_SUFFIXES,
  RECORDS,
  ROOM,
  SHORT_SLOT,
  SIGNING_FIELDS,
  SPILLED,
  HELD_KEY,
  STAGED_SEPARATOR,
  STEP_FIELDS,
  STREAM_SUFFIXES,
  SUFFIXES,
  TIMER_KINDS,
  TRIM_EVERY,
  WAITS_FIELDS,
  WAITS_PER_UNIT,
  type RecordLayout,
} from './layout.js';
import type { Literals } from './link.js';
import { outcomeNumber } from './signatures.js';

/** Every operation. */

/** Kinds of outcomes, which are sent as numbers. */
const OUTCOME_KINDS: readonly string[] = [
  ...new Set(OPERATION_NAMES.flatMap((name) => [...variantsOf(operationNamed(name).outcome as z.ZodType).keys()])),
].sort();

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
export const RECORD_KINDS = Object.entries(RECORDS) as [EntityKind, RecordLayout][];

/** `<KIND>.<facet>` for the fields of a kind's records, `<KIND>.key` for the prefix of their keys. */
const recordLiterals = (): Literals =>
  Object.fromEntries(
    RECORD_KINDS.map(([kind, { key, fields }]) => [kind.toUpperCase(), { ...snakeKeys(fields), key }]),
  );

/** Limits, durations and fixed words. */
const LIMIT: Literals[string] = {
  max_integer: LIMITS.maxInteger,
  id_length: SHORT_LENGTH,
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
  suspension_units: SUSPENSION_UNITS,
  max_call_units: MAX_CALL_UNITS,
  condition_bytes_per_unit: CONDITION_BYTES_PER_UNIT,
  waits_per_unit: WAITS_PER_UNIT,
  absolute_time_from: ABSOLUTE_TIME_FROM,
  initial_hold: HOLD_LETTER,
  default_priority: DEFAULTS.priority,
  default_max_reclaim_count: DEFAULTS.maxReclaimCount,
  default_max_release_count: DEFAULTS.maxReleaseCount,
  default_max_replay_count: DEFAULTS.maxReplayCount,
  loss_memory_ms: LIMITS.lossMemoryMs,
  max_tags: LIMITS.maxTags,
  max_page_size: LIMITS.maxPageSize,
  default_dedup_window_ms: DEFAULTS.dedupWindowMs,
  max_reclaims_exceeded: MAX_RECLAIMS_EXCEEDED,
  max_field_bytes: MAX_FIELD_BYTES,
  spilled: SPILLED,
  held_key: HELD_KEY,
  max_unsettled: MAX_UNSETTLED,
  leaf_ids: MAX_LEAF_IDS,
  leaf_ids_at_once: LEAF_IDS_AT_ONCE,
  leaves_ahead: LEAVES_AHEAD,
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
  max_carried_per_claim: LIMITS.maxCarriedPerClaim,
  max_carried_bytes_per_claim: LIMITS.maxCarriedBytesPerClaim,
  max_claimed_input_bytes: LIMITS.maxClaimedInputBytes,
  max_frame_bytes_per_read: LIMITS.maxFrameBytesPerRead,
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
  units_of_an_ending: UNITS_OF_AN_ENDING,
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
  looks_past_flows: LOOKS_PAST_FLOWS,
  max_timers_read: MAX_TIMERS_READ,
  max_suspended: MAX_SUSPENDED,
  max_looked_at: MAX_LOOKED_AT,
  max_snapshot_texts: MAX_SNAPSHOT_TEXTS,
  max_page_bytes: MAX_PAGE_BYTES,
  entries_at_once: ENTRIES_AT_ONCE,
  max_dropped_members: MAX_DROPPED_MEMBERS,
  broke_off: BROKE_OFF,
  broke_off_unmarked: BROKE_OFF_UNMARKED,
  has_broken: HAS_BROKEN,
  stray_timer: STRAY_TIMER,
  stray_in_queue: STRAY_IN_QUEUE,
};

/** The constants of model/ and of the layout, by their names in the Lua. */
export function literals(): Literals {
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
    LIMIT,
  };
}

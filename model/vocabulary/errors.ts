/**
 * The errors of the contract by name: the family of each code, and what a caller should do. Includes codes of domains
 * that are not built yet, so that callers can handle them today. Source: spec 03 sections 1, 2 and 4.
 */
import { BOUNDARY_ERRORS, REJECTIONS, type EngineError, type ErrorFamily } from '../errors.js';

/** Every family of the contract. */
export const ERROR_FAMILIES = [
  'not_found',
  'validation',
  'contention',
  'conflict',
  'state',
  'bug',
  'transport',
  'unavailable',
  'resource_exhausted',
  'timeout',
] as const;
export type ContractFamily = (typeof ERROR_FAMILIES)[number];

/**
 * What an error means for its caller. `terminal`: stop. `retryable`: the same call can succeed later. `cooperative`: do
 * what the error names, then stop. `informational`: skip it, it is no failure. `expected`: a normal empty state.
 * `soft_error`: log it and continue. `bug`: must not happen; alert.
 */
export const ERROR_CLASSES = [
  'terminal',
  'retryable',
  'cooperative',
  'informational',
  'expected',
  'soft_error',
  'bug',
] as const;
export type ErrorClass = (typeof ERROR_CLASSES)[number];

type Codes = Partial<Record<ErrorClass, string>>;

/** Codes by family and class. */
const CATALOGUE: Readonly<Record<ContractFamily, Codes>> = {
  not_found: {
    terminal: 'execution_not_found flow_not_found attempt_not_found budget_not_found quota_policy_not_found',
    expected: 'stream_not_found',
  },
  validation: {
    terminal:
      'invalid_input invalid_policy_json invalid_capabilities invalid_tag_key too_many_tags fence_required ' +
      'partial_fence_triple payload_too_large retention_limit_exceeded signal_limit_exceeded invalid_token ' +
      'missing_token token_expired invalid_secret waitpoint_not_token_bound invalid_waitpoint_key ' +
      'invalid_waitpoint_for_execution invalid_lease_for_suspend invalid_dependency invalid_blocking_reason ' +
      'invalid_offset invalid_kid invalid_secret_hex invalid_grace_ms invalid_budget_scope invalid_quota_spec ' +
      'budget_override_not_allowed unauthorized corruption handle_from_other_backend',
    informational: 'capability_mismatch',
    soft_error: 'invalid_frame_type',
  },
  contention: {
    retryable:
      'use_claim_resumed_execution not_a_resumed_execution execution_not_leaseable lease_conflict ' +
      'invalid_claim_grant claim_grant_expired no_eligible_execution waitpoint_not_found ' +
      'waitpoint_pending_use_buffer_script stale_graph_revision rate_limit_exceeded concurrency_limit_exceeded ' +
      'retry_exhausted admission_void',
    terminal: 'execution_not_active',
    informational: 'execution_not_eligible execution_not_in_eligible_set execution_not_reclaimable no_active_lease',
  },
  conflict: {
    terminal:
      'dependency_already_exists cycle_detected self_referencing_edge execution_already_in_flow rotation_conflict ' +
      'edge_group_policy_fixed budget_attach_conflict quota_attach_conflict',
    informational: 'waitpoint_already_exists',
  },
  state: {
    terminal:
      'stale_lease lease_expired lease_revoked attempt_timed_out execution_deadline_passed max_releases_exceeded ' +
      'target_not_signalable execution_not_terminal max_replays_exhausted max_retries_exhausted stream_closed ' +
      'stale_owner_cannot_append execution_not_in_flow flow_already_terminal not_runnable terminal ' +
      'resume_condition_not_met attempt_not_started execution_not_eligible_for_attempt replay_not_allowed ' +
      'cursor_lost cursor_too_old',
    informational:
      'execution_not_suspended already_suspended already_satisfied waitpoint_closed waitpoint_not_pending ' +
      'pending_waitpoint_expired waitpoint_not_open grant_already_exists deps_not_satisfied not_blocked_by_deps ' +
      'budget_soft_exceeded duplicate_signal ok_already_applied attempt_already_terminal stream_already_closed',
    cooperative: 'budget_exceeded',
  },
  bug: {
    bug:
      'active_attempt_exists attempt_not_in_created_state invariant_violation invalid_keys_missing_hmac ' +
      'unknown_code function_failed',
  },
  transport: { retryable: 'transport_failed' },
  unavailable: {
    terminal:
      'unavailable hmac_secret_not_initialized backend_closed unsupported_server unsafe_eviction_policy ' +
      'library_mismatch partition_mismatch settings_mismatch server_refused certificate_refused ' +
      'tls_mismatch',
    retryable: 'server_not_ready settings_changed',
  },
  resource_exhausted: { retryable: 'server_memory_full server_clients_full server_cannot_persist' },
  timeout: { retryable: 'call_timeout' },
};

/**
 * Codes that say that the requested state exists already: a caller that repeated its call may treat them as success.
 */
const IDEMPOTENT: ReadonlySet<string> = new Set([
  'execution_not_suspended',
  'already_suspended',
  'waitpoint_already_exists',
  'waitpoint_not_open',
  'duplicate_signal',
  'ok_already_applied',
  'attempt_already_terminal',
  'stream_already_closed',
]);

export interface ErrorMeaning {
  readonly family: ContractFamily;
  readonly errorClass: ErrorClass;
  /** Whether a code says that the requested state exists already. */
  readonly idempotent: boolean;
  /** What to do next. */
  readonly hint: string;
}

/** What to do about codes that this version does not raise. */
const HINTS: Readonly<Record<ErrorClass, string>> = {
  terminal: 'Stop: the same call cannot succeed.',
  retryable: 'Read the state again, or wait with a backoff, then repeat the call.',
  cooperative: 'Do what the error names, then stop.',
  informational: 'Skip this item: it needs nothing more.',
  expected: 'Go on: there is nothing yet.',
  soft_error: 'Log it and continue.',
  bug: 'Report this with the message: it must not happen.',
};

/** Codes that this version raises, from its catalogue. */
const OURS: Readonly<
  Record<string, { readonly family: ErrorFamily; readonly retryable: boolean; readonly hint: string }>
> = { ...REJECTIONS, ...BOUNDARY_ERRORS };

const MEANINGS: ReadonlyMap<string, ErrorMeaning> = new Map(
  ERROR_FAMILIES.flatMap((family) =>
    ERROR_CLASSES.flatMap((errorClass) =>
      (CATALOGUE[family][errorClass] ?? '')
        .split(' ')
        .filter((code) => code !== '')
        .map((code) => {
          const hint = OURS[code]?.hint ?? HINTS[errorClass];
          return [code, { family, errorClass, idempotent: IDEMPOTENT.has(code), hint }] as const;
        }),
    ),
  ),
);

/** The meaning of a code; undefined when neither the contract nor this version has it. */
export function meaningOfCode(code: string): ErrorMeaning | undefined {
  const known = MEANINGS.get(code);
  const own = Object.hasOwn(OURS, code) ? OURS[code] : undefined;
  if (known !== undefined || own === undefined) return known;
  const { family, retryable, hint } = own;
  const errorClass = family === 'bug' ? 'bug' : retryable ? 'retryable' : 'terminal';
  return { family, errorClass, idempotent: false, hint };
}

/** What an error means for its caller. An unknown code is a bug. */
export function classOfError({ code }: Pick<EngineError, 'code'>): ErrorClass {
  return meaningOfCode(code)?.errorClass ?? 'bug';
}

/** Every code of the contract, ascending. */
export const CONTRACT_CODES: readonly string[] = [...MEANINGS.keys()].sort();

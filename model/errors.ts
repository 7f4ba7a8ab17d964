/**
 * The error catalogue: every code that a caller can meet, once. `family` groups codes by what went wrong,
 * `retryable` says whether the same call can succeed later, `hint` says what to do next.
 * Source: spec 03 sections 1, 2 and 4.
 */
import { safeCause } from './safe-cause.js';

export type ErrorFamily =
  | 'not_found'
  | 'validation'
  | 'contention'
  | 'conflict'
  | 'state'
  | 'bug'
  | 'transport'
  | 'unavailable'
  | 'resource_exhausted'
  | 'timeout';

interface CatalogueEntry {
  readonly family: ErrorFamily;
  readonly retryable: boolean;
  readonly hint: string;
}

const entry = (family: ErrorFamily, retryable: boolean, hint: string): CatalogueEntry => ({ family, retryable, hint });

/** Codes with which a transition refuses a command. A refusal changes nothing and writes no event. */
export const REJECTIONS = {
  /** Raised mostly by the boundary; a transition raises it for an argument that contradicts the stored state. */
  invalid_input: entry('validation', false, 'Correct the named argument.'),
  budget_not_found: entry('not_found', false, 'Create the budget first, or check its id.'),
  reservation_not_found: entry(
    'not_found',
    false,
    'Reserve first. A closed reservation is forgotten after a day: report its usage with reportUsageAdmin.',
  ),
  reservation_closed: entry(
    'state',
    false,
    'Reserve again under another id; settle the old one with what was used of it.',
  ),
  execution_not_found: entry(
    'not_found',
    false,
    'Check the execution id; it may have been purged after its retention.',
  ),
  fence_required: entry(
    'validation',
    false,
    "Pass the fence (leaseId, leaseEpoch, attemptId) of the claim, or a handle made of it; an operator passes `source: 'operator_override'` where the call takes one.",
  ),
  partial_fence_triple: entry('validation', false, 'Pass all of leaseId, leaseEpoch and attemptId, or none of them.'),
  execution_not_active: entry(
    'contention',
    false,
    'The execution is not running, or has ended: the detail has its state. A worker stops and discards the work in hand.',
  ),
  lease_revoked: entry('state', false, 'An operator revoked the lease; stop work at once.'),
  lease_expired: entry(
    'state',
    false,
    'The lease ran out before this call; stop work, renew earlier or ask for a longer lease.',
  ),
  attempt_timed_out: entry(
    'state',
    false,
    'The attempt timed out; stop work. Allow more time in the policy if this work needs it.',
  ),
  execution_deadline_passed: entry(
    'state',
    false,
    'The deadline of the execution has passed; stop work. Nothing more can be reported.',
  ),
  stale_lease: entry(
    'state',
    false,
    'Another worker owns the execution now; stop work at once and discard the result.',
  ),
  quota_policy_not_found: entry('not_found', false, 'Create the quota policy first, or check its id.'),
  admission_void: entry(
    'contention',
    true,
    'The admission can no longer be used for a claim: it was used, or lapsed. Get a new one admitted and claim with that.',
  ),
  too_many_readers: entry(
    'state',
    false,
    'The partition has the maximum number of readers; forget those that will not return (forgetReader).',
  ),
  too_many_workers: entry(
    'resource_exhausted',
    true,
    'The namespace has the maximum number of workers; wait for dead ones to lapse, or use another namespace.',
  ),
  max_releases_exceeded: entry(
    'state',
    false,
    'The execution was handed back too often; finish it or let its lease lapse.',
  ),
  capability_mismatch: entry(
    'validation',
    false,
    'The worker lacks what the detail names; grant the execution to another worker, or take another execution.',
  ),
  override_not_allowed: entry(
    'validation',
    false,
    "Only an operator (`source: 'operator_override'`) can pass a retry policy; set it when the execution is created.",
  ),
  execution_not_eligible: entry(
    'contention',
    false,
    'What the detail names does not allow this: the state of the execution, of its lane or of its flow. Read it again before you decide.',
  ),
  execution_not_terminal: entry(
    'state',
    false,
    'Only an execution that has ended can be replayed: wait for its end, or cancel it.',
  ),
  max_replays_exhausted: entry(
    'state',
    false,
    'The execution was replayed as often as its policy allows (`maxReplayCount`); create a new one.',
  ),
  too_many_tags: entry('validation', false, 'Use fewer tags: existing tags count too, and cannot be removed.'),
  grant_already_exists: entry(
    'state',
    false,
    'The execution is granted to another worker; skip it. It returns to its queue if the grant lapses unused.',
  ),
  execution_not_leaseable: entry(
    'contention',
    false,
    'The execution is no longer waiting for a worker; drop the grant and ask for other work.',
  ),
  use_claim_resumed_execution: entry(
    'contention',
    false,
    'This continues an interrupted attempt: call claimResumedExecution with the same grant.',
  ),
  not_a_resumed_execution: entry(
    'contention',
    false,
    'No attempt was interrupted: call claimExecution with the same grant.',
  ),
  invalid_claim_grant: entry(
    'contention',
    false,
    'This worker has no such grant: it was used, it lapsed, or it belongs to another worker. Ask for a new one.',
  ),
  claim_grant_expired: entry('contention', false, 'The grant was not used in time; ask for a new one.'),
  lane_draining: entry(
    'state',
    true,
    'The lane is being drained and takes no new executions; create it on another lane, or resume the lane (`app.lane(name).resume()`).',
  ),
  flow_not_found: entry('not_found', false, 'Check the flow id; a flow is forgotten after all its members have ended.'),
  flow_already_terminal: entry(
    'state',
    false,
    'The flow was cancelled: it takes no further members, edges or replays, and it cannot be sealed.',
  ),
  flow_closed: entry('state', false, 'The flow was closed: it takes no further members and edges.'),
  flow_exists_differently: entry(
    'conflict',
    false,
    'A flow with this id and another kind or namespace exists. Use a new id.',
  ),
  flow_limit_exceeded: entry(
    'validation',
    false,
    'The flow would have too many members or edges (the detail names the limit); split the work into several flows.',
  ),
  execution_not_in_flow: entry('state', false, 'Both ends of an edge must be members of the flow: add them first.'),
  execution_already_in_flow: entry(
    'conflict',
    false,
    'The execution belongs to another flow (the detail names it), and cannot leave it.',
  ),
  self_referencing_edge: entry('conflict', false, 'An execution cannot depend on itself.'),
  cycle_detected: entry(
    'conflict',
    false,
    'The edge would close a cycle, or the graph is too large to rule one out (the detail says which); add the edges of a large graph in topological order.',
  ),
  dependency_already_exists: entry('conflict', false, 'Another edge of the flow has this id; use a new one.'),
  stale_graph_revision: entry(
    'contention',
    true,
    'The graph has changed since it was read: read it again (describeFlow) and decide again.',
  ),
  edge_group_policy_fixed: entry(
    'conflict',
    false,
    'The execution already has incoming edges: set the policy of a group before its first edge.',
  ),
  invalid_dependency: entry('validation', false, 'There is no such edge; stage it first (addDependency).'),
  missing_token: entry('validation', false, 'Pass the token that was handed out for the waitpoint.'),
  invalid_token: entry(
    'validation',
    false,
    'The token does not belong to this waitpoint of this execution; use the one that was handed out for it.',
  ),
  token_expired: entry(
    'validation',
    false,
    'The key of the token was replaced and its grace period is over; read the token of the waitpoint again.',
  ),
  hmac_secret_not_initialized: entry(
    'unavailable',
    false,
    'The partition has no signing key: install one with `app.signals.rotateKey`, or rotateWaitpointHmacSecret.',
  ),
  rotation_conflict: entry('conflict', false, 'The key id exists with another secret; choose another id.'),
  execution_not_suspended: entry('state', false, 'The execution is not waiting: it has already continued or ended.'),
  waitpoint_not_found: entry('contention', false, 'Check the waitpoint id, and that it belongs to this execution.'),
  waitpoint_already_exists: entry('conflict', false, 'Use a new id for every waitpoint.'),
  waitpoint_not_pending: entry(
    'state',
    false,
    'A suspension used the waitpoint, or it was closed: create another one.',
  ),
  pending_waitpoint_expired: entry('state', false, 'No suspension used the waitpoint in time: create another one.'),
  waitpoint_limit_exceeded: entry(
    'validation',
    false,
    'The execution has reached the limit of waitpoints that the detail names. Close those that are not needed, or continue in another execution.',
  ),
  idempotency_conflict: entry('conflict', false, 'The key or id was used for something else; choose another one.'),
  waitpoint_closed: entry(
    'state',
    false,
    'The wait that the signal was for is over: the execution continued without it.',
  ),
  target_not_signalable: entry('state', false, 'The execution has ended: nothing waits for the signal.'),
  signals_arrived: entry(
    'contention',
    false,
    'Signals have arrived that the worker has not seen: read them (`listSignals`) before you suspend.',
  ),
  children_ended: entry(
    'contention',
    false,
    'Children have ended that the worker has not seen: read their edges (`listEdges`) before you suspend.',
  ),
  signal_limit_exceeded: entry(
    'validation',
    false,
    'The execution has received the maximum number of signals; send fewer, or allow more (`maxSignalsPerExecution`).',
  ),
  stream_closed: entry('state', false, 'The attempt is over: its stream is closed to appends.'),
  stale_owner_cannot_append: entry(
    'state',
    false,
    'The caller no longer owns the attempt; stop work and discard what was not appended.',
  ),
  retention_limit_exceeded: entry(
    'validation',
    false,
    'The frame, the stream or its summary would be too large: append less at once, or raise `streamPolicy.maxBytes`.',
  ),
  frame_seq_out_of_order: entry(
    'validation',
    false,
    'Number the frames of a stream in ascending order: the detail names the last number that was accepted.',
  ),
  step_changed: entry(
    'validation',
    false,
    'Runs that are under way continue with the names they started with: keep the name for its old purpose, and give the new step another name. Or start over: replay the run with `steps: "discard"`.',
  ),
  step_limit_exceeded: entry(
    'validation',
    false,
    'Record fewer or smaller steps: put several effects in one step, or store a reference in place of a large value. Split larger work into several executions.',
  ),
  cursor_lost: entry(
    'state',
    false,
    'The log at this position was lost or recreated; start from a snapshot (`snapshot` of `Subscriptions`, `readSnapshot`).',
  ),
  cursor_too_old: entry(
    'state',
    false,
    'The log was trimmed past this position; start from a snapshot (`snapshot` of `Subscriptions`, `readSnapshot`), or continue at the position named in the detail without the missing events.',
  ),
} as const satisfies Record<string, CatalogueEntry>;

/** Codes that the boundary raises before a transition runs, or instead of one. */
export const BOUNDARY_ERRORS = {
  not_runnable: entry(
    'state',
    false,
    'Only work that waits can be promoted: this one runs, is suspended or has ended.',
  ),
  not_blocked_by_deps: entry('state', false, 'Nothing to do: `explain` says what the execution waits for instead.'),
  deps_not_satisfied: entry(
    'state',
    false,
    'Wait until enough of its upstreams have completed, and until its flow is sealed; `explain` names them.',
  ),
  invalid_blocking_reason: entry('validation', false, 'Use one of the reasons that the message names.'),
  invalid_kid: entry('validation', false, 'Choose another key id: the message says which characters it can have.'),
  invalid_grace_ms: entry('validation', false, 'Give the grace period in whole ms; the message names its bounds.'),
  invalid_quota_spec: entry('validation', false, 'A rate limit needs a window: give both, or neither.'),
  not_supported_yet: entry('validation', false, 'Leave the named member out: this version does not support it.'),
  already_suspended: entry(
    'state',
    false,
    'The attempt is already suspended: wait until the execution is claimed again.',
  ),
  payload_too_large: entry('validation', false, 'Send less: store large data elsewhere, and send a reference to it.'),
  step_misused: entry(
    'validation',
    false,
    'Give each step that runs concurrently its own name (`step(`pay ${order}`, ...)`), and call steps, sleeps and waits in the handler itself, not inside the function of a step.',
  ),
  invalid_policy_json: entry('validation', false, 'Correct the named member of the policy.'),
  invalid_capabilities: entry(
    'validation',
    false,
    'Correct the capability list: non-empty tokens without commas, white space or control characters.',
  ),
  invalid_tag_key: entry(
    'validation',
    false,
    'Use a tag key like "team.name": lower case, digits and underscores, with a dot.',
  ),
  handle_from_other_backend: entry(
    'validation',
    false,
    'Use the handle with the backend that issued it, or claim again.',
  ),
  corruption: entry(
    'validation',
    false,
    'What is stored does not decode: run `verifyPartition`, or restore a copy of the folder of an embedded store. ' +
      'A handle does not decode either if it was edited.',
  ),
  unknown_code: entry(
    'bug',
    false,
    'The server answered with a code that this version does not know; compare the versions of client and library.',
  ),
  function_failed: entry('bug', false, 'The library failed inside the server; report this with the message.'),
  invariant_violation: entry('bug', false, 'An invariant of the engine is broken; report this with the message.'),
  transport_failed: entry(
    'transport',
    true,
    'The connection failed; retry with a backoff. Repeating the same call is safe; repeat `claimForWorker` with new ids.',
  ),
  call_timeout: entry(
    'timeout',
    true,
    'No answer in time; the call may or may not have run. Repeating the same call is safe; repeat `claimForWorker` with new ids.',
  ),
  server_memory_full: entry(
    'resource_exhausted',
    true,
    'The server has reached maxmemory: free memory or raise the limit. Running work can still finish; new work, signals and whatever else adds to the store are refused.',
  ),
  server_not_ready: entry(
    'unavailable',
    true,
    'The server cannot take calls at the moment (it is loading, failing over, moving a slot, or short of replicas); the call did not run. Retry with a backoff.',
  ),
  server_clients_full: entry(
    'resource_exhausted',
    true,
    'The server has as many clients as `maxclients` allows: close connections or raise the limit, then retry.',
  ),
  too_many_tails: entry(
    'resource_exhausted',
    true,
    'Too many readers wait for streams at once: end some of them, or spread them over more processes.',
  ),
  server_cannot_persist: entry(
    'resource_exhausted',
    true,
    'The server cannot write to its disk and refuses writes: check its log, free disk space, then retry.',
  ),
  storage_full: entry(
    'resource_exhausted',
    true,
    'The disk is full: free some space, then repeat the call. Nothing was done and nothing is lost. Work in hand can still end while the reserved space lasts.',
  ),
  storage_failed: entry(
    'unavailable',
    true,
    'The disk failed; see the cause. A call without an answer may or may not have run; repeating it is safe. If every call fails, repair the disk and open the store again.',
  ),
  storage_locked: entry(
    'unavailable',
    true,
    'The store is open elsewhere: close it there, or use another `path`. To share work between processes, use a server.',
  ),
  storage_tail_cut: entry(
    'unavailable',
    false,
    'An incomplete write at the end of the journal was cut off. If only the program died, nothing that had been answered is missing; after a loss of power, what `fsync` allows may be.',
  ),
  server_refused: entry(
    'unavailable',
    false,
    'The server does not allow this user to do this; check user, password and permissions (`aclOf` lists those that are needed).',
  ),
  certificate_refused: entry(
    'unavailable',
    false,
    'Check `tls`: `ca` must have signed the certificate of the node, which must be valid for the host name that you connect to (or `servername`); if the server asks for a client certificate, set `cert` and `key`; both sides need a version of TLS and a cipher in common.',
  ),
  tls_mismatch: entry(
    'unavailable',
    false,
    'Address a port that speaks TLS with `valkeys://` or the option `tls`, and any other with `valkey://` and without it.',
  ),
  backend_closed: entry('unavailable', false, 'The backend was closed; open a new one.'),
  unsupported_server: entry(
    'unavailable',
    false,
    'Use Valkey 8.0 or later with all its commands; check host and port.',
  ),
  unsafe_eviction_policy: entry(
    'unavailable',
    false,
    'Set `maxmemory-policy noeviction`: any other policy lets the server delete work.',
  ),
  server_emptied: entry(
    'unavailable',
    false,
    'Run again what is missing. With `appendonly yes`, a restart of the server keeps what it had answered.',
  ),
  library_mismatch: entry(
    'unavailable',
    false,
    'Deploy one version of flowfabric per contract, or use the newer package.',
  ),
  partition_mismatch: entry(
    'unavailable',
    false,
    'Open the backend with the partition configuration that was chosen at the first boot.',
  ),
  settings_mismatch: entry(
    'unavailable',
    false,
    'Leave the option out, or change the setting for all processes with `configureDeployment`.',
  ),
  settings_changed: entry(
    'unavailable',
    true,
    'The settings of the deployment changed while they were being read; the call did not run. Repeat it.',
  ),
} as const satisfies Record<string, CatalogueEntry>;

export type RejectionCode = keyof typeof REJECTIONS;
export type ErrorCode = RejectionCode | keyof typeof BOUNDARY_ERRORS;

/** Facts of a refusal beside its code: strings, which cross the wire unchanged. */
export type ErrorDetail = Readonly<Record<string, string>>;

/** The catalogue entry of a code. */
function describeCode(code: ErrorCode): CatalogueEntry {
  return code in REJECTIONS ? REJECTIONS[code as RejectionCode] : BOUNDARY_ERRORS[code as keyof typeof BOUNDARY_ERRORS];
}

/** Whether a text from the wire is a rejection code of this version. */
export function isRejectionCode(text: string): text is RejectionCode {
  return Object.hasOwn(REJECTIONS, text);
}

function isAlike(value: unknown): boolean {
  const { name, code, retryable, detail } = Object(value) as Partial<Record<keyof EngineError, unknown>>;
  return (
    name === 'EngineError' && typeof code === 'string' && typeof retryable === 'boolean' && typeof detail === 'object'
  );
}

/**
 * The one error class of the engine. The message says what happened, `hint` what to do next; `code` is stable and part
 * of the contract; `retryable` says whether the same call can succeed later; `detail` has the facts of this refusal.
 */
export class EngineError extends Error {
  static {
    // Another copy of this package has a class of its own, whose errors have the same members.
    Object.defineProperty(EngineError, Symbol.hasInstance, {
      value(this: unknown, value: unknown): boolean {
        const isInstance = Function.prototype[Symbol.hasInstance].call(this as () => unknown, value);
        return isInstance || (this === EngineError && isAlike(value));
      },
    });
  }

  override readonly name = 'EngineError';
  readonly code: ErrorCode;
  readonly family: ErrorFamily;
  readonly retryable: boolean;
  readonly hint: string;
  readonly detail: ErrorDetail;

  /** Replaced by an error that quotes no data (see `safeCause`). */
  constructor(code: ErrorCode, message: string, options: { detail?: ErrorDetail; cause?: unknown } = {}) {
    const { family, retryable, hint } = describeCode(code);
    const { cause } = options;
    super(
      `${code}: ${message}`,
      cause === undefined ? undefined : { cause: cause instanceof EngineError ? cause : safeCause(cause) },
    );
    this.code = code;
    this.family = family;
    this.retryable = retryable;
    this.hint = hint;
    this.detail = options.detail ?? {};
  }
}

/** Throws when an assumption of the engine does not hold: always a defect of the engine, never of a caller. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new EngineError('invariant_violation', `${message}.`);
}

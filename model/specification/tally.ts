/**
 * What the events say of one execution, counted from them alone, without the recipes that make the state. The tally and
 * the state must agree.
 */
import type { EventNamed, EventType, ExecutionEvent } from '../events.js';
import { stepKeyOf } from '../step/facts.js';

/** Whose an execution is, by its events: nobody's, an owner's, or a lost owner's. */
export type Ownership = 'none' | 'held' | 'expired' | 'revoked';

/** What ends an ownership without ending the execution, as the lease history calls it (spec 05 section 5). */
export type OwnershipChange = 'released' | 'expired' | 'revoked';

/** What the events say of one execution. */
export interface Tally {
  readonly created: EventNamed<'execution_created'>;
  acquisitions: number;
  /** Attempts begun. */
  attempts: number;
  /** Since the last replay; so are reclaims and hand-backs. */
  retries: number;
  reclaims: number;
  releases: number;
  ownership: Ownership;
  /** The last acquisition, with the expiry that renewals gave it. */
  lease:
    | { readonly leaseId: string; readonly leaseEpoch: number; readonly attemptId: string; expiresAt: number }
    | undefined;
  /** How the ownership changed since the last acquisition, in order. */
  changes: OwnershipChange[];
  /** What the next acquisition has to be. */
  next: 'initial' | 'retry' | 'resume' | 'reclaim' | 'replay';
  /** When the current attempt times out; unset while it is parked. */
  attemptTimeoutAt: number | undefined;
  /** The rest of a parked attempt's time, ms. */
  remainingMs: number | undefined;
  /** End of the delay that is running. */
  delayUntil: number | undefined;
  replays: number;
  /** Retries of this run that an operator's policy allowed. */
  overrides: number;
  priority: number;
  tags: Readonly<Record<string, string>>;
  /** The time at which the execution is over. */
  executionDeadlineAt: number | undefined;
  /** The suspension that is open, and when it is over. */
  suspension: { readonly dueAt: number | undefined } | undefined;
  /** Whether a scheduler keeps it out of its queue. */
  blocked: boolean;
  /** Whether an operator keeps it from being claimed. */
  held: boolean;
  /** The grant that may be used now. */
  grant: { readonly workerId: string; readonly expiresAt: number } | undefined;
  /** Recorded steps, by their keys, and the bytes of their values. */
  steps: { readonly keys: Set<string>; bytes: number };
  /** Signals that closed a suspension, since these were last discarded. */
  closers: Set<string>;
  /** Whether it waited, made a waitpoint or was sent a signal, since these were last discarded. */
  waited: boolean;
  /** The event that ended the execution. */
  end: EndingEvent | undefined;
}

/** The events that end an execution. */
export type EndingEvent = EventNamed<
  'execution_completed' | 'execution_failed' | 'execution_cancelled' | 'execution_expired' | 'execution_skipped'
>;

export function tallyOf(created: EventNamed<'execution_created'>): Tally {
  return {
    created,
    acquisitions: 0,
    attempts: 0,
    retries: 0,
    reclaims: 0,
    releases: 0,
    ownership: 'none',
    lease: undefined,
    changes: [],
    next: 'initial',
    attemptTimeoutAt: undefined,
    remainingMs: undefined,
    delayUntil: created.delayUntil,
    replays: 0,
    overrides: 0,
    priority: created.priority,
    tags: created.tags,
    executionDeadlineAt: created.executionDeadlineAt,
    steps: { keys: new Set(), bytes: 0 },
    closers: new Set(),
    waited: false,
    suspension: undefined,
    blocked: false,
    held: false,
    grant: undefined,
    end: undefined,
  };
}

/** The event types by which a worker becomes the owner. */
const ACQUISITIONS: ReadonlySet<EventType> = new Set<EventType>(['execution_claimed', 'execution_resumed']);

/** Whether by this event a worker becomes the owner. */
export function isAcquisition(event: ExecutionEvent): event is EventNamed<'execution_claimed' | 'execution_resumed'> {
  return ACQUISITIONS.has(event.type);
}

/** The events that end a grant: its use, its time, and whatever takes the execution out of where it could be used. */
const END_GRANT: ReadonlySet<EventType> = new Set<EventType>([
  ...ACQUISITIONS,
  'grant_lapsed',
  'execution_held',
  'execution_blocked',
  'retry_scheduled',
  'execution_failed',
  'execution_cancelled',
  'execution_expired',
  'execution_skipped',
  'dependencies_staged',
]);

type Count<Type extends ExecutionEvent['type']> = (tally: Tally, event: EventNamed<Type>) => void;

const ignore = (): void => {};

/** What a tally counts of an event. Complete by its type: a new event does not compile without a line here. */
const COUNTS: { readonly [Type in ExecutionEvent['type']]: Count<Type> } = {
  execution_claimed(tally, event) {
    acquired(tally, event);
    tally.attempts += 1;
    if (event.attemptType === 'reclaim') tally.reclaims += 1;
  },
  execution_resumed: acquired,
  attempt_begun(tally, event) {
    tally.attemptTimeoutAt = event.attemptTimeoutAt;
    tally.remainingMs = undefined;
  },
  lease_renewed(tally, event) {
    if (tally.lease !== undefined) tally.lease.expiresAt = event.leaseExpiresAt;
  },
  lease_expired: (tally) => lost(tally, 'expired'),
  lease_revoked: (tally) => lost(tally, 'revoked'),
  execution_suspended(tally, event) {
    park(tally, 'resume');
    tally.remainingMs = event.attemptTimeoutRemainingMs;
    tally.suspension = { dueAt: event.timeoutAt };
    tally.waited = true;
  },
  suspension_closed(tally, event) {
    tally.suspension = undefined;
    if (event.closerSignalId !== '') tally.closers.add(event.closerSignalId);
    tally.delayUntil = event.delayUntil;
  },
  suspension_escalated(tally) {
    tally.suspension = { dueAt: undefined };
  },
  children_awaited(tally, event) {
    park(tally, 'resume');
    tally.remainingMs = event.attemptTimeoutRemainingMs;
  },
  lease_released(tally, event) {
    tally.releases += 1;
    park(tally, 'resume');
    tally.remainingMs = event.attemptTimeoutRemainingMs;
  },
  execution_delayed(tally, event) {
    tally.delayUntil = event.delayUntil;
    park(tally, 'resume');
    tally.remainingMs = event.attemptTimeoutRemainingMs;
  },
  retry_scheduled(tally, event) {
    tally.retries += 1;
    if (event.overridden) tally.overrides += 1;
    tally.delayUntil = event.delayUntil;
    park(tally, 'retry');
  },
  execution_promoted(tally) {
    tally.delayUntil = undefined;
  },
  execution_completed: ended,
  execution_failed: ended,
  execution_cancelled: ended,
  execution_expired: ended,
  execution_skipped: ended,
  execution_replayed: replayed,
  priority_changed(tally, event) {
    tally.priority = event.priority;
  },
  tags_set(tally, event) {
    tally.tags = { ...tally.tags, ...event.tags };
  },
  execution_blocked(tally) {
    tally.blocked = true;
  },
  execution_unblocked(tally) {
    tally.blocked = false;
  },
  execution_held(tally) {
    tally.held = true;
  },
  hold_released(tally) {
    tally.held = false;
  },
  flow_member_added(tally, event) {
    if (event.awaitsSeal) awaitOthers(tally);
  },
  dependencies_staged: awaitOthers,
  dependencies_met(tally, event) {
    if (tally.delayUntil !== undefined && tally.delayUntil <= event.at) tally.delayUntil = undefined;
  },
  grant_issued(tally, event) {
    tally.grant = { workerId: event.grantWorkerId, expiresAt: event.grantExpiresAt };
  },
  step_recorded(tally, event) {
    tally.steps.keys.add(stepKeyOf(event));
    tally.steps.bytes += event.valueBytes ?? 0;
  },
  signal_accepted: waited,
  suspension_skipped: waited,
  pending_waitpoint_created: waited,
  edge_group_policy_set: ignore,
  dependency_resolved: ignore,
  dependencies_resolved: ignore,
  dependency_reopened: ignore,
  edge_group_fired: ignore,
  grant_lapsed: ignore,
  progress_updated: ignore,
  pending_waitpoint_closed: ignore,
  pending_waitpoint_expired: ignore,
  execution_created: ignore,
  execution_purged: ignore,
  execution_dropped: ignore,
  stream_opened: ignore,
  summary_patched: ignore,
  stream_closed: ignore,
  stream_removed: ignore,
};

export function count(tally: Tally, event: ExecutionEvent): void {
  if (END_GRANT.has(event.type)) tally.grant = undefined;
  const counted = COUNTS[event.type] as (tally: Tally, event: ExecutionEvent) => void;
  counted(tally, event);
}

function acquired(tally: Tally, event: EventNamed<'execution_claimed' | 'execution_resumed'>): void {
  tally.acquisitions += 1;
  tally.ownership = 'held';
  tally.lease = {
    leaseId: event.leaseId,
    leaseEpoch: event.leaseEpoch,
    attemptId: event.attemptId,
    expiresAt: event.leaseExpiresAt,
  };
  tally.changes = [];
  // An operator may take parked or blocked work before its time.
  tally.delayUntil = undefined;
  tally.blocked = false;
  tally.attemptTimeoutAt = event.attemptTimeoutAt;
  tally.remainingMs = event.attemptTimeoutRemainingMs;
}

function lost(tally: Tally, how: 'expired' | 'revoked'): void {
  tally.ownership = how;
  tally.changes.push(how);
  tally.next = 'reclaim';
}

function ended(tally: Tally, event: NonNullable<Tally['end']>): void {
  tally.end = event;
  tally.ownership = 'none';
  tally.held = false;
  tally.blocked = false;
  tally.suspension = undefined;
}

function waited(tally: Tally): void {
  tally.waited = true;
}

/** The caps of a run begin anew; its end took the place of the owner's. */
function replayed(tally: Tally, event: EventNamed<'execution_replayed'>): void {
  tally.end = undefined;
  tally.replays += 1;
  tally.retries = 0;
  tally.overrides = 0;
  tally.reclaims = 0;
  tally.releases = 0;
  tally.next = 'replay';
  tally.changes = tally.acquisitions === 0 ? [] : ['released'];
  tally.attemptTimeoutAt = undefined;
  tally.remainingMs = undefined;
  tally.delayUntil = undefined;
  tally.executionDeadlineAt = event.executionDeadlineAt;
  if (!event.checkpointsDiscarded) return;
  tally.steps = { keys: new Set(), bytes: 0 };
  tally.waited = false;
  tally.closers = new Set();
}

/** Work that could be run, or waited for its time, waits for others: a scheduler's block is over. */
function awaitOthers(tally: Tally): void {
  if (tally.ownership !== 'none' || tally.suspension !== undefined || tally.end !== undefined) return;
  tally.blocked = false;
  tally.grant = undefined;
}

function park(tally: Tally, next: Tally['next']): void {
  tally.ownership = 'none';
  tally.changes.push('released');
  tally.next = next;
  tally.attemptTimeoutAt = undefined;
}

/**
 * A log read from its beginning: the state that it folds to, and per execution a tally made from the events alone,
 * without the recipes that make the state. What the tally says and what the state says must agree; rules over the log
 * are judged entry by entry on the tally before the entry.
 */
import { fold } from '../evolve.js';
import { isOfExecution, type EventNamed, type EventType, type ExecutionEvent, type LoggedEvent } from '../events.js';
import { emptyState, type PartitionState } from '../state.js';
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

/** A rule over any two entries that follow each other. */
export interface EntryRule {
  /** The rule in words. */
  readonly name: string;
  holds(entry: LoggedEvent, previous: LoggedEvent): boolean;
}

/** What a rule over the life of an execution sees: an entry, what came before it, and the state before it. */
export interface Step {
  readonly entry: LoggedEvent;
  readonly event: ExecutionEvent;
  /** The tally before the event; none before the creation and after the purge. */
  readonly past: Tally | undefined;
  readonly before: PartitionState;
}

export interface LogRule {
  /** The rule in words. */
  readonly name: string;
  /** Whether the rule needs the log from its first entry on; default true. A trimmed log is judged by the others alone. */
  readonly needsWhole?: boolean;
  /** Whether the rule compares times: it says nothing once the clock stepped back. */
  readonly ofTime?: boolean;
  holds(step: Step): boolean;
}

/** The result of reading a log. */
export interface Replay {
  readonly state: PartitionState;
  readonly tallies: ReadonlyMap<string, Tally>;
  /** Whether the log began with its first entry: else state and tallies say nothing. */
  readonly whole: boolean;
  /** The first entry that broke each rule, by the name of the rule. */
  readonly faults: ReadonlyMap<string, string>;
  /** Why the log does not fold to a state. */
  readonly unfoldable: string | undefined;
  /** Whether the clock stepped back: then times say nothing about order. */
  readonly steppedBack: boolean;
}

/** Every rule over a log. */
export interface Rules {
  readonly entries: readonly EntryRule[];
  readonly lives: readonly LogRule[];
}

class Reader implements Replay {
  readonly state = emptyState();
  readonly tallies = new Map<string, Tally>();
  readonly faults = new Map<string, string>();
  unfoldable: string | undefined;
  steppedBack = false;
  read = 0;
  last: LoggedEvent | undefined;

  constructor(readonly whole: boolean) {}

  readOn(log: readonly LoggedEvent[], rules: Rules): void {
    for (; this.read < log.length; this.read++) this.step(log[this.read] as LoggedEvent, rules);
  }

  private step(entry: LoggedEvent, rules: Rules): void {
    const { event } = entry;
    const { last } = this;
    this.last = entry;
    if (last !== undefined) {
      for (const { name, holds } of rules.entries) if (!holds(entry, last)) this.fault(name, entry);
    }
    if (event.type === 'clock_stepped_back') this.steppedBack = true;
    const past = isOfExecution(event) ? this.tallies.get(event.executionId) : undefined;
    if (isOfExecution(event)) this.judge({ entry, event, past, before: this.state }, rules.lives);
    if (!this.whole || this.unfoldable !== undefined) return;
    try {
      fold(this.state, event);
    } catch (error) {
      this.unfoldable = `entry ${entry.sequence}: ${error instanceof Error ? error.message : String(error)}`;
      return;
    }
    if (event.type === 'execution_created') this.tallies.set(event.executionId, tallyOf(event));
    else if (event.type === 'execution_purged' || event.type === 'execution_dropped')
      this.tallies.delete(event.executionId);
    else if (past !== undefined && isOfExecution(event)) count(past, event);
  }

  private judge(step: Step, rules: readonly LogRule[]): void {
    for (const { name, needsWhole = true, ofTime = false, holds } of rules) {
      if (needsWhole && !this.whole) continue;
      if (ofTime && this.steppedBack) continue;
      if (!this.faults.has(name) && !holds(step)) this.fault(name, step.entry);
    }
  }

  private fault(name: string, { sequence, event }: LoggedEvent): void {
    if (!this.faults.has(name)) this.faults.set(name, `entry ${sequence}: ${JSON.stringify(event)}`);
  }
}

const readers = new WeakMap<readonly LoggedEvent[], { readonly rules: Rules; readonly reader: Reader }>();

/**
 * Reads a log. An array that only grew since it was read before is read on from there, so that checking after every
 * step of a run costs no more than one reading.
 */
export function replay(log: readonly LoggedEvent[], rules: Rules): Replay {
  const known = readers.get(log);
  const readsOn =
    known !== undefined &&
    known.rules === rules &&
    known.reader.read <= log.length &&
    known.reader.last === log[known.reader.read - 1];
  const reader = readsOn ? known.reader : new Reader(log.length === 0 || log[0]?.sequence === 1);
  if (!readsOn) readers.set(log, { rules, reader });
  reader.readOn(log, rules);
  return reader;
}

function tallyOf(created: EventNamed<'execution_created'>): Tally {
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
  'dependency_staged',
]);

function count(tally: Tally, event: ExecutionEvent): void {
  if (END_GRANT.has(event.type)) tally.grant = undefined;
  switch (event.type) {
    case 'execution_claimed':
    case 'execution_resumed':
      tally.acquisitions += 1;
      if (event.type === 'execution_claimed') {
        tally.attempts += 1;
        if (event.attemptType === 'reclaim') tally.reclaims += 1;
      }
      tally.ownership = 'held';
      tally.lease = {
        leaseId: event.leaseId,
        leaseEpoch: event.leaseEpoch,
        attemptId: event.attemptId,
        expiresAt: event.leaseExpiresAt,
      };
      tally.changes = [];
      // An operator takes up what is parked or blocked before its time.
      tally.delayUntil = undefined;
      tally.blocked = false;
      tally.attemptTimeoutAt = event.attemptTimeoutAt;
      tally.remainingMs = event.attemptTimeoutRemainingMs;
      return;
    case 'attempt_begun':
      tally.attemptTimeoutAt = event.attemptTimeoutAt;
      tally.remainingMs = undefined;
      return;
    case 'lease_renewed':
      if (tally.lease !== undefined) tally.lease.expiresAt = event.leaseExpiresAt;
      return;
    case 'lease_expired':
    case 'lease_revoked':
      tally.ownership = event.type === 'lease_expired' ? 'expired' : 'revoked';
      tally.changes.push(tally.ownership);
      tally.next = 'reclaim';
      return;
    case 'execution_suspended':
      park(tally, 'resume');
      tally.remainingMs = event.attemptTimeoutRemainingMs;
      tally.suspension = { dueAt: event.timeoutAt };
      tally.waited = true;
      return;
    case 'suspension_closed':
      tally.suspension = undefined;
      if (event.closerSignalId !== '') tally.closers.add(event.closerSignalId);
      tally.delayUntil = event.delayUntil;
      return;
    case 'suspension_escalated':
      tally.suspension = { dueAt: undefined };
      return;
    case 'children_awaited':
      park(tally, 'resume');
      tally.remainingMs = event.attemptTimeoutRemainingMs;
      return;
    case 'lease_released':
    case 'execution_delayed':
      if (event.type === 'lease_released') tally.releases += 1;
      else tally.delayUntil = event.delayUntil;
      park(tally, 'resume');
      tally.remainingMs = event.attemptTimeoutRemainingMs;
      return;
    case 'retry_scheduled':
      tally.retries += 1;
      if (event.overridden) tally.overrides += 1;
      tally.delayUntil = event.delayUntil;
      park(tally, 'retry');
      return;
    case 'execution_promoted':
      tally.delayUntil = undefined;
      return;
    case 'execution_completed':
    case 'execution_failed':
    case 'execution_cancelled':
    case 'execution_expired':
    case 'execution_skipped':
      tally.end = event;
      tally.ownership = 'none';
      tally.held = false;
      tally.blocked = false;
      tally.suspension = undefined;
      return;
    case 'execution_replayed':
      replayed(tally, event);
      return;
    case 'priority_changed':
      tally.priority = event.priority;
      return;
    case 'tags_set':
      tally.tags = { ...tally.tags, ...event.tags };
      return;
    case 'execution_blocked':
    case 'execution_unblocked':
      tally.blocked = event.type === 'execution_blocked';
      return;
    case 'execution_held':
    case 'hold_released':
      tally.held = event.type === 'execution_held';
      return;
    case 'flow_member_added':
      if (event.awaitsSeal) awaitOthers(tally);
      return;
    case 'dependency_staged':
      awaitOthers(tally);
      return;
    case 'dependencies_met':
      if (tally.delayUntil !== undefined && tally.delayUntil <= event.at) tally.delayUntil = undefined;
      return;
    case 'edge_group_policy_set':
    case 'dependency_resolved':
    case 'dependency_reopened':
    case 'edge_group_fired':
      return;
    case 'grant_issued':
      tally.grant = { workerId: event.grantWorkerId, expiresAt: event.grantExpiresAt };
      return;
    case 'step_recorded':
      tally.steps.keys.add(stepKeyOf(event));
      tally.steps.bytes += event.valueBytes ?? 0;
      return;
    case 'signal_accepted':
    case 'suspension_skipped':
    case 'pending_waitpoint_created':
      tally.waited = true;
      return;
    case 'grant_lapsed':
    case 'progress_updated':
    case 'pending_waitpoint_closed':
    case 'pending_waitpoint_expired':
    case 'execution_created':
    case 'execution_purged':
    case 'execution_dropped':
    case 'stream_opened':
    case 'summary_patched':
    case 'stream_closed':
    case 'stream_removed':
      return;
    default:
      event satisfies never;
  }
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

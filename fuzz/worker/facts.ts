/** Facts about a run of the machine: the server's log, the actions of handlers, the requests of callers. */
import type { Event, LoggedEvent } from '../../src/engine/index.js';
import type { RunSetup } from './program.js';

/** One ownership of an execution, from its claim to its end. */
export interface LeaseFacts {
  readonly executionId: string;
  readonly leaseId: string;
  readonly attemptId: string;
  readonly workerInstanceId: string;
  readonly claimedAt: number;
  readonly attemptIndex: number;
  /** How often attempts of the execution were resumed. */
  readonly resumes: number;
  /** Absent while the attempt's timeout is stopped, because its handler has not started. */
  attemptTimeoutAt: number | undefined;
  /** Claim and renewals, as executed by the server. */
  grantedAt: number;
  expiresAt: number;
  endedAt: number | undefined;
  /** The event that ended it. */
  endedBy: Event['type'] | undefined;
}

/** One call of a handler. */
export interface HandlerCall {
  readonly number: number;
  readonly executionId: string;
  readonly leaseId: string;
  readonly token: string;
  readonly process: string;
  readonly startedAt: number;
  /** Whether it has received its signal. */
  readonly looks: boolean;
  readonly toldAt: () => number | undefined;
  /** The reason that its signal gave. */
  readonly toldCode: () => string | undefined;
  /** Whether it awaits a wait, so that its slot may be free. */
  waits: boolean;
  endedAt: number | undefined;
  end: 'returned' | 'threw' | 'delayed' | 'suspended' | 'heeded' | undefined;
  /** The message of the error that it threw. */
  reason: string | undefined;
  /** Number of frames written. */
  frames: number;
  /** Steps whose failure it was told before it continued. */
  readonly passedFailures: string[];
}

export interface ExecutionFacts {
  readonly executionId: string;
  readonly run: number;
  readonly kind: string;
  readonly laneId: string;
  readonly needs: readonly string[];
  readonly createdAt: number;
  readonly deadlineAt: number | undefined;
  readonly leases: LeaseFacts[];
  readonly events: Event[];
  situation: 'eligible' | 'delayed' | 'active' | 'ended';
  /** Since when it has been in this situation. */
  since: number;
  /** When a delay ends. */
  dueAt: number | undefined;
}

/** A run that a caller requested. */
export interface RunFacts {
  readonly number: number;
  readonly setup: RunSetup;
  readonly task: number;
  readonly process: string;
  created: 'pending' | 'created' | 'refused';
  result: 'pending' | 'resolved' | 'rejected';
  value: unknown;
  executionId: string | undefined;
  cancelled: boolean;
}

const ENDINGS: ReadonlySet<Event['type']> = new Set<Event['type']>([
  'execution_completed',
  'retry_scheduled',
  'execution_failed',
  'execution_cancelled',
  'execution_expired',
  'execution_delayed',
  'execution_suspended',
  'children_awaited',
  'lease_expired',
  'lease_revoked',
  'lease_released',
]);

export class Facts {
  readonly executions = new Map<string, ExecutionFacts>();
  readonly leases = new Map<string, LeaseFacts>();
  readonly calls: HandlerCall[] = [];
  readonly runs: RunFacts[] = [];
  /** The run for which an execution was created; known once the creation is sent. */
  private readonly runOf = new Map<string, number>();

  creationSent(executionId: string, run: number): void {
    this.runOf.set(executionId, run);
  }

  /** Executions that have not ended. */
  get open(): ExecutionFacts[] {
    return [...this.executions.values()].filter(({ situation }) => situation !== 'ended');
  }

  callsOf(executionId: string): HandlerCall[] {
    return this.calls.filter((call) => call.executionId === executionId);
  }

  /** Whether a step of this name was recorded. */
  hasStep(executionId: string, name: string): boolean {
    const events = this.executions.get(executionId)?.events ?? [];
    return events.some((event) => event.type === 'step_recorded' && event.stepName === name);
  }

  logged({ event }: LoggedEvent): void {
    if (event.type === 'execution_created') {
      this.executions.set(event.executionId, {
        executionId: event.executionId,
        run: this.runOf.get(event.executionId) ?? -1,
        kind: event.executionKind,
        laneId: event.laneId,
        needs: event.requiredCapabilities,
        createdAt: event.at,
        deadlineAt: event.executionDeadlineAt,
        leases: [],
        events: [event],
        situation: event.delayUntil === undefined ? 'eligible' : 'delayed',
        since: event.at,
        dueAt: event.delayUntil,
      });
      return;
    }
    const execution = 'executionId' in event ? this.executions.get(event.executionId) : undefined;
    if (execution === undefined) return;
    execution.events.push(event);
    this.leaseChanged(execution, event);
    const next = situationAfter(event);
    if (next === undefined) return;
    Object.assign(execution, {
      situation: next,
      since: event.at,
      dueAt: dueAfter(event),
    });
  }

  private leaseChanged(execution: ExecutionFacts, event: Event): void {
    const { executionId } = execution;
    const { at } = event;
    if (event.type === 'execution_claimed' || event.type === 'execution_resumed') {
      const { leaseId, attemptId, workerInstanceId, leaseExpiresAt: expiresAt, attemptTimeoutAt, attemptIndex } = event;
      const resumes = (execution.leases.at(-1)?.resumes ?? 0) + (event.type === 'execution_resumed' ? 1 : 0);
      const ends = { endedAt: undefined, endedBy: undefined };
      const lease: LeaseFacts = {
        ...{ executionId, leaseId, attemptId, workerInstanceId, attemptTimeoutAt, attemptIndex, resumes },
        ...{ claimedAt: at, grantedAt: at, expiresAt, ...ends },
      };
      execution.leases.push(lease);
      this.leases.set(leaseId, lease);
      return;
    }
    const lease = execution.leases.at(-1);
    if (lease === undefined || lease.endedAt !== undefined) return;
    if (event.type === 'attempt_begun') lease.attemptTimeoutAt = event.attemptTimeoutAt;
    if (event.type === 'lease_renewed') Object.assign(lease, { grantedAt: at, expiresAt: event.leaseExpiresAt });
    if (ENDINGS.has(event.type)) Object.assign(lease, { endedAt: at, endedBy: event.type });
  }
}

/** When something is due for an execution that an event has set aside. */
function dueAfter(event: Event): number | undefined {
  if (event.type === 'execution_suspended') return event.timeoutAt;
  // A grant is good up to and including its last millisecond.
  if (event.type === 'grant_issued') return event.grantExpiresAt + 1;
  return 'delayUntil' in event ? event.delayUntil : undefined;
}

function situationAfter(event: Event): ExecutionFacts['situation'] | undefined {
  switch (event.type) {
    case 'execution_claimed':
    case 'execution_resumed':
      return 'active';
    case 'execution_promoted':
    case 'dependencies_met':
    case 'lease_expired':
    case 'lease_revoked':
    case 'lease_released':
    case 'grant_lapsed':
      return 'eligible';
    case 'suspension_closed':
      return event.resumeTrigger === '' ? undefined : 'eligible';
    case 'retry_scheduled':
    case 'execution_delayed':
    case 'execution_suspended':
    case 'children_awaited':
    // Until it is used or lapses, nobody else can claim the work.
    case 'grant_issued':
      return 'delayed';
    case 'dependencies_staged':
      return event.isChild ? undefined : 'delayed';
    case 'execution_completed':
    case 'execution_failed':
    case 'execution_cancelled':
    case 'execution_expired':
    case 'execution_skipped':
      return 'ended';
    default:
      return undefined;
  }
}

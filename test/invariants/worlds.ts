/** Good worlds to break: a machine that went through every situation, and the log that led there. */
import { parseCommand } from '../../src/backend/boundary.js';
import { flowing } from './flows.js';
import { meterSetOf, metersOf } from '../../model/metering/meters.js';
import { SpecMachine } from '../../model/specification/machine.js';
import type { Event, EventNamed, EventType, LoggedEvent } from '../../model/events.js';
import type { Execution } from '../../model/execution/facts.js';
import type { Situation } from '../../model/execution/situation.js';
import { DEFAULTS, KEEP_FOR_GOOD } from '../../model/limits.js';
import type { AnyDecision, Command } from '../../model/machine.js';
import type { PartitionState } from '../../model/state.js';

const START = 1_700_000_000_000;
const PARTITION = '{fp:0}';

/** A world under test: whatever is changed in it is changed in this copy alone. */
export interface Broken {
  readonly state: PartitionState;
  log: LoggedEvent[];
  now: number;
}

interface Fence {
  readonly leaseId: string;
  readonly leaseEpoch: number;
  readonly attemptId: string;
}

const METER_SET = meterSetOf(metersOf({ quotaPolicyIds: ['00000000-0000-4000-8000-0000000000ff'] }));

/** A machine with short calls for the commands of a story. */
export class Story {
  readonly machine = new SpecMachine({ retentionMs: DEFAULTS.retentionMs });
  private minted = 0;
  now = START;

  uuid(): string {
    return `00000000-0000-4000-8000-${String(++this.minted).padStart(12, '0')}`;
  }

  run(command: Command): AnyDecision {
    return this.machine.run(parseCommand(command.name, command.args, 'memory'), this.now);
  }

  create(args: Partial<Extract<Command, { name: 'createExecution' }>['args']> = {}): string {
    const executionId = `${PARTITION}:${this.uuid()}`;
    this.run({
      name: 'createExecution',
      args: { executionId, namespace: 'n', laneId: 'main', executionKind: 'kind', creatorIdentity: 'test', ...args },
    });
    return executionId;
  }

  claim(laneId = 'main', ahead = false, meters?: string): Fence {
    const claims = [{ leaseId: this.uuid(), attemptId: this.uuid() }];
    const decision = this.run({
      name: 'claimForWorker',
      args: {
        partition: PARTITION,
        laneId,
        workerId: 'pool',
        workerInstanceId: 'one',
        leaseTtlMs: 1_000,
        ahead,
        meters,
        claims,
      },
    });
    if (!decision.ok || !('executions' in decision.outcome)) throw new Error('There is nothing to claim.');
    const { leaseId, leaseEpoch, attemptId } = decision.outcome.executions[0] as Fence;
    return { leaseId, leaseEpoch, attemptId };
  }

  /** The world so far, its executions free to be changed. */
  world(): Broken {
    const { state, log } = this.machine.partition;
    return {
      state: structuredClone(state),
      log: structuredClone(log),
      now: this.now,
    };
  }
}

/** Of most executions of a good world. */
export const POLICY = {
  retryPolicy: {
    maxRetries: 2,
    backoff: { type: 'fixed', delayMs: 50 },
    retryableCategories: ['transient', 'timeout'],
  },
  timeoutPolicy: { attemptTimeoutMs: 5_000 },
  maxReclaimCount: 1,
  maxReleaseCount: 1,
  streamPolicy: { retentionTtlMs: 1_000 },
} as const;

/** One execution per situation, each in its own lane but those that wait for a worker. */
export function everySituation(): Story {
  const story = new Story();
  const made = (laneId: string, extra: object = {}): string =>
    story.create({ laneId, policy: POLICY as never, ...extra });
  const fail = (executionId: string, fence: Fence, failureClass: 'transient' | 'permanent'): void =>
    void story.run({ name: 'failExecution', args: { executionId, fence, failureReason: 'it broke', failureClass } });

  made('main', {
    priority: 1,
    idempotencyKey: 'key',
    executionDeadlineAt: START + 90_000,
    policy: { ...POLICY, routingRequirements: { requiredCapabilities: ['eu', 'gpu'] } },
  });
  made('main');
  story.now += 5;
  made('main');
  made('delayed', { delayUntil: START + 9_000 });
  operated(story, made);

  for (const lane of [
    'running',
    'expired_lease',
    'revoked',
    'completed',
    'failed',
    'cancelled',
    'retried',
    'parked',
    'capped',
    'purged',
    'promoted',
    'timed_out',
  ]) {
    const executionId = made(
      lane,
      lane === 'promoted'
        ? { delayUntil: story.now + 1 }
        : lane === 'timed_out'
          ? { executionDeadlineAt: story.now + 50 }
          : {},
    );
    if (lane === 'promoted') {
      story.now += 1;
      story.run({ name: 'promoteDelayed', args: { executionId } });
    }
    const fence = story.claim(lane);
    story.run({ name: 'updateProgress', args: { executionId, ...fence, progressPct: 5, progressMessage: 'on it' } });
    if (lane === 'running' || lane === 'completed' || lane === 'purged')
      story.run({ name: 'appendFrame', args: { executionId, fence, attemptIndex: 0, patch: '{"a":1}' } });
    if (lane === 'running' || lane === 'completed' || lane === 'purged')
      story.run({
        name: 'recordStep',
        args: { executionId, fence, stepName: 'pay', stepIndex: 0, value: new Uint8Array(3), encoding: 'bytes' },
      });
    if (lane === 'completed' || lane === 'purged')
      story.run({
        name: 'completeExecution',
        args: { executionId, fence, resultPayload: new Uint8Array(3), resultEncoding: 'raw' },
      });
    if (lane === 'failed') fail(executionId, fence, 'permanent');
    if (lane === 'cancelled')
      story.run({ name: 'cancelExecution', args: { executionId, reason: 'no need', ...fence } });
    if (lane === 'retried') fail(executionId, fence, 'transient');
    if (lane === 'parked') story.run({ name: 'releaseLease', args: { executionId, fence } });
    if (lane === 'revoked') story.run({ name: 'revokeLease', args: { executionId } });
    if (lane === 'expired_lease' || lane === 'capped') {
      story.now += 1_000;
      story.run({ name: 'markLeaseExpiredIfDue', args: { executionId } });
    }
    if (lane === 'timed_out') {
      story.now += 50;
      story.run({ name: 'expireExecution', args: { executionId, expireReason: 'execution_deadline' } });
    }
    if (lane === 'capped') {
      story.claim(lane);
      story.now += 1_000;
      story.run({ name: 'markLeaseExpiredIfDue', args: { executionId } });
    }
    if (lane === 'running') story.run({ name: 'renewLease', args: { executionId, fence, leaseTtlMs: 60_000 } });
    if (lane === 'purged') {
      story.now += 120_000;
      story.run({ name: 'purgeExecution', args: { executionId } });
    }
  }
  prepared(story, made);
  // Only now does the running one begin to lapse; an attempt that was parked goes on.
  const resumed = story.create({ laneId: 'resumed', policy: POLICY as never });
  const first = story.claim('resumed');
  story.now += 10;
  story.run({ name: 'delayExecution', args: { executionId: resumed, fence: first, delayUntil: story.now } });
  story.run({ name: 'promoteDelayed', args: { executionId: resumed } });
  story.claim('resumed');
  const kept = made('kept', { policy: { streamPolicy: { retentionTtlMs: KEEP_FOR_GOOD } } });
  story.run({ name: 'completeExecution', args: { executionId: kept, fence: story.claim('kept') } });
  // Claimed ahead: one handler began, the other did not.
  const begun = made('begun');
  const fence = story.claim('begun', true);
  story.now += 10;
  story.run({ name: 'beginAttempt', args: { executionId: begun, fence } });
  const metered = { ...POLICY, quotaPolicyIds: [story.uuid(), story.uuid()] };
  made('metered', { policy: metered });
  story.claim('metered', false, meterSetOf(metersOf(metered)));
  story.run({ name: 'voidAdmission', args: { partition: PARTITION, admissionId: story.uuid() } });
  const quotaPolicyId = story.uuid();
  const limits = { windowSeconds: 60, maxRequestsPerWindow: 1, maxConcurrent: 1 };
  story.run({ name: 'createQuotaPolicy', args: { quotaPolicyId, ...limits } });
  const asked = { quotaPolicyId, partition: PARTITION, laneId: 'metered', workerInstanceId: 'one', meters: METER_SET };
  story.run({ name: 'checkAdmission', args: { ...asked, admissionIds: [story.uuid()] } });
  story.run({ name: 'checkAdmission', args: { ...asked, admissionIds: [story.uuid()] } });
  made('ahead');
  story.claim('ahead', true);
  const granted = made('granted');
  story.run({
    name: 'issueClaimGrant',
    args: { executionId: granted, grantId: story.uuid(), workerId: 'pool', workerInstanceId: 'one' },
  });
  flowing(story);
  return story;
}

/** What operators and schedulers do: a block, a replay that waits, a hold, another priority, tags. */
function operated(story: Story, made: (laneId: string) => string): void {
  const blockingReason = 'waiting_for_quota' as const;
  story.run({
    name: 'blockExecutionForAdmission',
    args: { executionId: made('blocked'), blockingReason, blockingDetail: 'too many at once' },
  });
  waited(story, made);
  const executionId = made('replayed');
  const fence = story.claim('replayed');
  const failure = { failureReason: 'it broke', failureClass: 'permanent' } as const;
  story.run({ name: 'failExecution', args: { executionId, fence, ...failure } });
  story.run({ name: 'replayExecution', args: { executionId, reason: 'again' } });
  story.run({ name: 'setExecutionTags', args: { executionId, tags: { 'b.c': 'x', 'a.b': 'y' } } });
  story.run({ name: 'changePriority', args: { executionId, newPriority: 3 } });
  story.run({ name: 'holdExecution', args: { executionId, reason: 'not now' } });
}

function approve(story: Story, target: { executionId: string; waitpointId: string }, decidedBy: string): void {
  story.run({
    name: 'deliverApprovalSignal',
    args: { ...target, signalId: story.uuid(), signalName: 'go', idempotencySuffix: decidedBy, decidedBy },
  });
}

/** What waits: for a second person, for nothing but an operator, for its delay after a signal; and what time ended. */
function waited(story: Story, made: (laneId: string) => string): void {
  const suspend = (
    laneId: string,
    timeoutAt?: number,
    resumeDelayMs = 0,
  ): { executionId: string; waitpointId: string } => {
    const [executionId, waitpointId] = [made(laneId), story.uuid()];
    story.run({
      name: 'suspendExecution',
      args: {
        executionId,
        fence: story.claim(laneId),
        suspensionId: story.uuid(),
        waitpoints: [{ waitpointId, waitpointKey: 'key' }],
        resumeCondition: { type: 'count', n: 2, countKind: 'distinct_sources', waitpoints: ['key'] },
        timeoutAt,
        resumePolicy: { resumeDelayMs },
      },
    });
    return { executionId, waitpointId };
  };
  story.run({
    name: 'rotateWaitpointHmacSecret',
    args: { partition: PARTITION, newKid: 'k1', newSecret: new Uint8Array(32) },
  });
  const over = suspend('waited_out', story.now + 1);
  approve(story, over, 'ann');
  story.now += 1;
  story.run({ name: 'expireSuspension', args: { executionId: over.executionId } });
  approve(story, suspend('waiting', story.now + 80_000), 'ann');
  const resumed = suspend('resumed_later', undefined, 90_000);
  approve(story, resumed, 'ann');
  approve(story, resumed, 'bob');
}

/** Waitpoints before their suspensions: one that was used and satisfied at once, one that waits with a signal. */
function prepared(story: Story, made: (laneId: string) => string): void {
  const executionId = made('prepared');
  const fence = story.claim('prepared');
  for (const isUsed of [true, false]) {
    const waitpointId = story.uuid();
    const owner = { executionId, fence };
    story.run({
      name: 'createPendingWaitpoint',
      args: { ...owner, waitpointId, waitpointKey: 'key', expiresInMs: 80_000 },
    });
    approve(story, { executionId, waitpointId }, isUsed ? 'ann' : 'bob');
    if (!isUsed) continue;
    story.run({
      name: 'suspendExecution',
      args: {
        ...owner,
        suspensionId: story.uuid(),
        waitpoints: [{ waitpointId, usePending: true }],
        resumeCondition: { type: 'single', waitpointKey: 'key', matcher: { type: 'wildcard' } },
      },
    });
  }
}

/** The execution in a situation, to be changed. */
export function inSituation({ state }: Broken, situation: Situation, laneId?: string): Execution {
  const found = [...state.tables.execution.values()].find(
    (execution) => execution.situation === situation && (laneId === undefined || execution.laneId === laneId),
  );
  if (found === undefined) throw new Error(`Nothing is ${situation}.`);
  return found;
}

/** The last entry of a type, to be changed. */
export function lastOf<Type extends EventType>(
  { log }: Broken,
  type: Type,
  matches: (event: EventNamed<Type>) => boolean = () => true,
): { -readonly [Key in keyof EventNamed<Type>]: EventNamed<Type>[Key] } {
  const found = log.findLast(({ event }) => event.type === type && matches(event as EventNamed<Type>));
  if (found === undefined) throw new Error(`Nothing was ${type}.`);
  return found.event as EventNamed<Type>;
}

/** Appends an event of an execution to the log. */
export function append(broken: Broken, event: Event): void {
  broken.log.push({ sequence: broken.log.length + 1, event });
}

/** Removes an entry and closes the gap. */
export function remove(broken: Broken, event: Event): void {
  broken.log = broken.log
    .filter((entry) => entry.event !== event)
    .map((entry, i) => ({ sequence: i + 1, event: entry.event }));
}

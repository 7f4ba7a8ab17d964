import { describe, expect, it } from 'vitest';
import type { Event, EventNamed } from '../../model/events.js';
import type { WorkerRecord } from '../../model/worker/facts.js';
import { SITUATIONS } from '../../model/execution/situation.js';
import { INVARIANTS, violations } from '../../model/specification/invariants.js';
import type { Suspension, Waitpoint } from '../../model/suspension/facts.js';
import { streamIdOf, type Stream } from '../../model/stream/facts.js';
import type { QuotaPolicy } from '../../model/quota/facts.js';
import { LIMITS, MAX_CLOCK_LEAD_MS, RETENTION_SLOT_MS } from '../../model/limits.js';
import { generationOf } from '../../model/partition/cursor.js';
import { FLOW_BREAKS } from './flows.js';
import { BUDGET_BREAKS, budgetWorld } from './budget-worlds.js';
import { append, everySituation, inSituation, lastOf, POLICY, remove, Story, type Broken } from './worlds.js';

const UUID = '00000000-0000-4000-a000-000000000000';

const LEGAL_VECTOR = 'the state vector is a legal combination';

/** A reader of the log of the world. */
function addReader({ state, log }: Broken, number: number, facts: object = {}): void {
  const readerId = `reader-${number}`;
  const at = log[0]?.event.at ?? 0;
  const place = { generation: generationOf(at), sequence: 1, time: at, committedAt: at };
  state.tables.reader.set(readerId, { readerId, ...place, ...facts });
}

const WORKER: WorkerRecord = {
  ...{ workerInstanceId: 'w-1', workerId: 'pool', registeredAt: 1, livenessTtlMs: 1_000, lastHeartbeatAt: 1 },
  ...{ lanes: ['main'], capabilities: [], kinds: undefined, slots: undefined, running: 0, draining: false },
};
const registered = ({ now: at }: Broken, registeredAt = at): Event => ({
  type: 'worker_registered',
  ...{ ...WORKER, at, registeredAt },
});

const CLOSED = { closedReason: 'attempt_success', frameCount: 1, totalBytes: 1, lastFrameId: '1-0' };

/** The stream of the execution that is in a situation. */
function streamOf(it: Broken, situation: 'running' | 'completed'): Stream {
  const { executionId } = inSituation(it, situation);
  return it.state.tables.stream.get(streamIdOf(executionId, 0)) as Stream;
}

function rename({ state }: Broken, stream: Stream, streamId: string): void {
  state.tables.stream.delete(stream.streamId);
  state.tables.stream.set(streamId, { ...stream, streamId });
}

/** Breaks a good world so that the invariant of this name does not hold in it. */
const BREAKS: Record<string, (world: Broken) => void> = {
  ...FLOW_BREAKS,
  'the log can be folded': (it) =>
    append(it, { type: 'execution_promoted', executionId: `{fp:0}:${UUID}`, at: it.now }),
  'no entry of the log lies in the future': (it) => (it.now -= MAX_CLOCK_LEAD_MS + 1),
  'folding the log gives the state': (it) => (inSituation(it, 'running').currentWorkerInstanceId = 'other'),
  'executions are filed under their ids, all of one partition': (it) =>
    it.state.tables.execution.set(`{fp:1}:${UUID}`, { ...inSituation(it, 'ready'), executionId: `{fp:1}:${UUID}` }),

  'the situation is one of the table': (it) => (inSituation(it, 'ready').situation = 'asleep' as never),
  'a time belongs to every situation but ready, blocked and, when it lasts for good, suspended or terminal': (it) =>
    (inSituation(it, 'delayed').dueAt = undefined),
  'a delay is stored exactly while the execution waits for it, that of a retry until its claim': (it) =>
    (inSituation(it, 'ready').delayUntil = it.now + 1),
  'an interrupted attempt waits only while suspended, ready, delayed or blocked': (it) =>
    (inSituation(it, 'running').nextAttempt = 'resume'),
  'a retry waits only in backoff, ready or blocked': (it) => (inSituation(it, 'delayed').nextAttempt = 'retry'),
  'backoff is followed by a retry': (it) => (inSituation(it, 'retry_backoff').nextAttempt = 'first'),
  'a first attempt is pending if and only if there was none, except before a replay': (it) =>
    (inSituation(it, 'retry_backoff').nextAttempt = 'first'),
  'a pending replay is counted, and nothing of the run before it is left': (it) =>
    (inSituation(it, 'ready', 'replayed').resultBytes = 1),
  'an execution was started if and only if it has attempts': (it) => (inSituation(it, 'running').startedAt = undefined),
  'an execution has a last attempt if and only if it was started': (it) =>
    (inSituation(it, 'completed').currentAttemptId = undefined),
  'attempts are the first one, the retries that began and the reclaims': (it) =>
    (inSituation(it, 'completed').totalAttemptCount += 1),
  'counters are whole numbers, never negative': (it) => (inSituation(it, 'ready').leaseReleaseCount = -1),
  'times are in order: created, started, changed, now': (it) => (inSituation(it, 'running').lastTransitionAt = 0),
  'the retry cap holds, except for retries that operators allowed': (it) =>
    (inSituation(it, 'retry_backoff').retryCount = 3),
  'a backoff ends when it began or later': (it) => (inSituation(it, 'retry_backoff').dueAt = 0),
  'a result belongs to a completed execution': (it) => (inSituation(it, 'failed').resultBytes = 1),
  'a failure that has a reason or a detail has a category': (it) =>
    (inSituation(it, 'failed').failureCategory = undefined),
  'a failure is stored only while it is the latest outcome': (it) =>
    Object.assign(inSituation(it, 'completed'), { failureReason: 'why', failureCategory: 'what' }),
  'a cancellation has a reason and a canceller': (it) => (inSituation(it, 'cancelled').cancelledBy = undefined),
  'a hold has a time and a holder, and ends with the execution': (it) =>
    Object.assign(inSituation(it, 'completed'), { heldAt: it.now, heldBy: 'ann' }),
  'the detail of a block is stored only while the execution is blocked': (it) =>
    (inSituation(it, 'ready').blockingDetail = 'why'),
  'an execution is blocked if and only if its events block it': (it) =>
    (inSituation(it, 'blocked_quota').situation = 'ready'),
  'an execution is held if and only if its events hold it': (it) =>
    Object.assign(inSituation(it, 'ready'), { heldAt: it.now, heldBy: 'ann' }),
  'priority is in its range': (it) => (inSituation(it, 'ready').priority = 9_001),
  'a terminal execution is purged at the end of the slot in which its retention ends': (it) =>
    ((inSituation(it, 'failed').dueAt as number) += RETENTION_SLOT_MS),
  'progress belongs to an attempt': (it) => (inSituation(it, 'ready').progressPct = 5),
  'required capabilities are a set in byte order': (it) =>
    Object.assign(inSituation(it, 'ready'), { requiredCapabilities: ['b', 'a'] }),
  'a stream belongs to an attempt that began': (it) =>
    rename(it, streamOf(it, 'running'), `${inSituation(it, 'running').executionId}:7`),
  'the stream of an attempt is closed if and only if the attempt is over': (it) =>
    Object.assign(streamOf(it, 'running'), { ...CLOSED, closedAt: it.now }),
  'a closed stream says why, and with what it was closed': (it) => (streamOf(it, 'completed').closedReason = undefined),
  'a summary has a digest and times if and only if it has a version': (it) =>
    (streamOf(it, 'running').summaryVersion = 0),
  'an execution names its newest stream': (it) => (inSituation(it, 'running').lastStreamIndex = 3),
  'an execution counts its steps and the bytes of their values': (it) => (inSituation(it, 'running').stepBytes = 2),
  'steps stay within their limits': (it) => (inSituation(it, 'running').stepCount = LIMITS.maxSteps + 1),
  'a step is recorded once, until the steps of its execution are discarded': (it) =>
    append(it, { ...lastOf(it, 'step_recorded'), at: it.now }),
  'a replay discards only existing steps or waits': (it) =>
    append(it, { ...lastOf(it, 'execution_replayed'), at: it.now, checkpointsDiscarded: true }),
  'the lane of an execution is known': (it) => it.state.tables.lane.delete('failed'),
  'facts of the creation never change': (it) => Object.assign(inSituation(it, 'ready'), { executionKind: 'other' }),
  'the replay cap holds': (it) => (inSituation(it, 'ready', 'replayed').replayCount = 11),
  'priority, tags and deadline are those that the events gave it': (it) =>
    Object.assign(inSituation(it, 'ready', 'replayed'), { tags: {} }),
  'tags are in key order, and not too many': (it) =>
    Object.assign(inSituation(it, 'ready', 'replayed'), { tags: { 'b.c': 'x', 'a.b': 'y' } }),
  'attempts, retries and replays are those that the events count': (it) => (inSituation(it, 'failed').retryCount += 1),

  'an active execution has a lease, a worker and an attempt; no other has a lease or a worker': (it) =>
    (inSituation(it, 'completed').currentLeaseId = UUID),
  'facts of a lease are kept only while there is one': (it) =>
    (inSituation(it, 'completed').leaseLastRenewedAt = it.now),
  'a renewal lies between the beginning of the lease and now': (it) =>
    (inSituation(it, 'running').leaseLastRenewedAt = it.now + 1),
  'a reason of revocation is kept only while the lease is revoked': (it) =>
    (inSituation(it, 'running').leaseRevokeReason = 'operator'),
  'a lease is longer than the shortest one': (it) =>
    (inSituation(it, 'running').dueAt = inSituation(it, 'running').lastTransitionAt),
  'a lease that expired ran out before that was noticed': (it) => (inSituation(it, 'lease_expired').dueAt = it.now + 1),
  'an attempt timeout is armed only while active': (it) => (inSituation(it, 'ready').attemptTimeoutAt = it.now),
  'the rest of an attempt is kept only while its clock stands': (it) =>
    (inSituation(it, 'running').attemptTimeoutRemainingMs = 1),
  'there are no more attempts than acquisitions': (it) => (inSituation(it, 'completed').currentLeaseEpoch = 0),
  'a lost lease has its length': (it) => (inSituation(it, 'lease_expired').lostLeaseMs = undefined),
  'recent losses are some of all, the last one among them': (it) => (inSituation(it, 'running').recentLossCount += 1),
  'the reclaim cap holds': (it) => (inSituation(it, 'running').leaseReclaimCount = 2),
  'the cap on hand-backs holds': (it) => (inSituation(it, 'running').leaseReleaseCount = 2),
  'epoch, reclaims and hand-backs are those that the events count': (it) =>
    (inSituation(it, 'completed').currentLeaseEpoch += 1),
  'the lease in force is that of the last acquisition': (it) => (inSituation(it, 'running').currentLeaseId = UUID),

  'nothing is stuck: an execution that has not ended can be claimed, has a timer, waits for signals, or is held or blocked':
    (it) => (inSituation(it, 'retry_backoff').dueAt = undefined),
  // An attempt timeout that nobody arms: it is left on an execution that is not active.
  'a timer is armed for every time that matters': (it) => (inSituation(it, 'retry_backoff').attemptTimeoutAt = 1),
  'queue scores are exact': (it) => (inSituation(it, 'ready').priority = 0.000_000_000_000_1),
  // Two creations so far apart that age outweighs a step of priority.
  'the order of scores is the order of service': (it) =>
    Object.assign(inSituation(it, 'ready'), { priority: 2, createdAt: 9e12 }),

  'no reader is ahead of the log': (it) => addReader(it, 0, { sequence: 1_000_000 }),
  'a partition has at most the maximum number of readers': (it) => {
    for (let i = 0; i <= LIMITS.maxReaders; i++) addReader(it, i);
  },

  'positions in the log are dense': (it) => it.log.splice(3, 1),
  'time does not go back in the log, unless an entry says that it does': (it) =>
    (lastOf(it, 'lease_revoked').at += 9_999_999),
  'an execution is created once, and before anything else happens to it': (it) =>
    append(it, { ...lastOf(it, 'execution_created') }),
  'an execution ends once a run; after its end only its tags change and its streams close, until it is replayed or purged':
    (it) => append(it, { ...lastOf(it, 'execution_cancelled'), at: it.now }),
  'what is replayed had ended, and replays stay within the policy': (it) =>
    append(it, { ...lastOf(it, 'execution_replayed'), at: it.now }),
  'a deadline that is over does not bound a replay': (it) =>
    (lastOf(it, 'execution_replayed').executionDeadlineAt = it.now),
  'the priority of what runs, or has ended, stays as it is': (it) =>
    append(it, {
      ...lastOf(it, 'priority_changed'),
      executionId: inSituation(it, 'running').executionId,
      at: it.now,
    }),
  'a purge follows the end of the execution and of its retention': (it) =>
    (lastOf(it, 'execution_purged').at -= RETENTION_SLOT_MS),
  'neither held nor blocked work is claimed, but for an interrupted attempt that an operator takes up': (it) => {
    const { executionId } = inSituation(it, 'ready');
    append(it, { type: 'execution_held', executionId, at: it.now, heldBy: 'ann', holdReason: '' });
    append(it, { ...claimOf(it, 'initial'), executionId });
  },
  'only work that could be claimed is blocked, and only what is blocked is unblocked': (it) =>
    append(it, { type: 'execution_unblocked', executionId: inSituation(it, 'ready').executionId, at: it.now }),
  'a hold is made and released in turn': (it) =>
    append(it, {
      type: 'hold_released',
      executionId: inSituation(it, 'ready').executionId,
      at: it.now,
      releasedBy: 'ann',
      releaseReason: '',
    }),
  'a delay that is over was due': (it) => (lastOf(it, 'execution_delayed').delayUntil += 1),
  'an execution is not owned while its delay runs': (it) => remove(it, lastOf(it, 'execution_promoted')),
  'a delay that is over when it is asked for is none': (it) =>
    (lastOf(it, 'execution_created', ({ delayUntil }) => delayUntil !== undefined).delayUntil = 1),
  'an execution expires when its attempt or its deadline is due': (it) => (lastOf(it, 'execution_expired').at -= 1),
  'retries stay within the policy': (it) => (lastOf(it, 'retry_scheduled').failureCategory = 'other'),
  'an idempotency key lives as long as its policy says': (it) =>
    (lastOf(it, 'execution_created').idempotencyExpiresAt = 1),
  'a live idempotency key makes no second execution': (it) =>
    append(it, {
      ...lastOf(it, 'execution_created', ({ idempotencyKey }) => idempotencyKey !== undefined),
      executionId: `{fp:0}:${UUID}`,
      at: it.now,
    }),

  'at most one lease is live: owned work is not claimed': (it) => append(it, claimOf(it, 'initial')),
  'epochs increase by one with every acquisition': (it) => (lastOf(it, 'execution_claimed').leaseEpoch += 1),
  'between two acquisitions lies one end of an ownership': (it) => append(it, claimOf(it, 'initial')),
  'only a lost ownership is reclaimed': (it) => (lastOf(it, 'execution_claimed').attemptType = 'reclaim'),
  'an acquisition begins the kind of attempt that was pending': (it) =>
    (lastOf(it, 'execution_claimed').attemptType = 'retry'),
  'a claim adds one attempt, a resumption none': (it) => (lastOf(it, 'execution_resumed').attemptIndex += 1),
  'a lease has a legal length': (it) => (lastOf(it, 'execution_claimed').leaseExpiresAt = it.now),
  'a renewal makes a lease no shorter': (it) =>
    (lastOf(it, 'lease_renewed').leaseExpiresAt = lastOf(it, 'lease_renewed').at),
  'an owner acts before its lease expires, and never after': (it) => (lastOf(it, 'execution_completed').at += 1_000),
  'no owner acts on an attempt, or an execution, that has timed out': (it) =>
    (lastOf(it, 'progress_updated').at += POLICY.timeoutPolicy.attemptTimeoutMs),
  'a lost execution fails only at the reclaim cap': (it) =>
    append(it, {
      ...lastOf(it, 'execution_failed'),
      executionId: inSituation(it, 'lease_revoked').executionId,
      at: it.now,
    }),
  'reclaims stay below the cap': (it) =>
    append(it, { ...claimOf(it, 'reclaim'), executionId: inSituation(it, 'lease_expired', 'capped').executionId }),
  'a lease expires when it is due, and only while it has an owner': (it) => (lastOf(it, 'lease_expired').at -= 1),
  'only a lease with an owner is revoked': (it) => append(it, { ...lastOf(it, 'lease_revoked'), at: it.now }),
  'a parked attempt keeps the rest of its time, and gets it back': (it) =>
    (lastOf(it, 'lease_released').attemptTimeoutRemainingMs = 1),

  'a claim takes the lowest score of the lane that its worker can serve': (it) => {
    const [, , third] = [...it.state.tables.execution.values()];
    append(it, { ...claimOf(it, 'initial'), executionId: third?.executionId as string });
  },
  'a draining lane takes no new executions': (it) => {
    const created = lastOf(it, 'execution_created');
    append(it, { type: 'lane_drained', laneId: created.laneId, at: it.now, requestedBy: '', reason: '' });
    append(it, { ...created, executionId: `{fp:0}:${UUID}`, at: it.now });
  },
  'an execution is suspended if and only if it has an open suspension': (it) =>
    (inSituation(it, 'suspended').situation = 'ready'),
  'a waitpoint is active if and only if it is of the open suspension': (it) =>
    (waitsOf(it, 'resumed_later').waitpoint.waitpointState = 'active'),
  'a closed or expired waitpoint has the time and the reason': (it) =>
    (waitsOf(it, 'resumed_later').waitpoint.closeReason = undefined),
  'a waitpoint is pending if and only if it waits for a suspension to use it, until a time': (it) =>
    (inSituation(it, 'running', 'prepared').pendingExpiresAt = undefined),
  'a waitpoint is activated only if it was created before its suspension': (it) =>
    ((Object.values(waitsOf(it, 'prepared').waiting.waitpoints).at(-1) as Waitpoint).activatedAt = it.now),
  'waitpoints are counted, and stay within their limits': (it) => (waitsOf(it, 'prepared').waiting.waitpointCount += 1),
  'signals of a pending waitpoint are buffered': (it) => {
    const { signals } = waitsOf(it, 'prepared').waiting;
    for (const signal of Object.values(signals)) signal.effect = 'no_op';
  },
  'signals and ends of children are in one order': (it) => (waitsOf(it, 'waiting').signal.endedChildren = 1),
  'every signal has a number of its own': (it) => (waitsOf(it, 'waiting').signal.place = 2),
  'only the owner creates and closes pending waitpoints, and only its suspension is skipped': (it) =>
    append(it, {
      ...lastOf(it, 'pending_waitpoint_created'),
      executionId: inSituation(it, 'ready').executionId,
      at: it.now,
    }),
  'a suspension times out at the time that its worker set, or never': (it) =>
    (inSituation(it, 'suspended').dueAt = undefined),
  'a suspended execution has the reason of its suspension': (it) =>
    (inSituation(it, 'suspended').suspendReason = 'manual_pause'),
  'a suspension that also awaits children stays open only while too few of them have ended': (it) => {
    const parent = inSituation(it, 'suspended');
    parent.endedChildren = 1;
    (parent.waiting?.suspension as Suspension).awaitedChildren = 1;
  },
  'a condition is satisfied by its meaning if and only if a signal closed its suspension': (it) =>
    (waitsOf(it, 'waiting').suspension.condition = 'g\t0\t1\t\tkey'),
  'the closer is the last of the satisfiers: without it the condition is not satisfied': (it) =>
    waitsOf(it, 'resumed_later').suspension.satisfierSignalIds.reverse(),
  'the stored progress of a condition equals an evaluation of all its signals, and is gone once the suspension is closed':
    (it) => (waitsOf(it, 'waiting').suspension.progress = []),
  'a signal is for a waitpoint of its execution, or for none': (it) =>
    (waitsOf(it, 'waiting').signal.waitpointId = UUID),
  'the number of accepted signals is within the policy': (it) =>
    (inSituation(it, 'suspended', 'waiting').policy = { maxSignalsPerExecution: 0 }),
  'a signal closes one suspension at most, and one that its waitpoint is of': (it) =>
    append(it, {
      ...lastOf(it, 'suspension_closed', ({ closerSignalId }) => closerSignalId !== ''),
      executionId: inSituation(it, 'suspended', 'waiting').executionId,
      at: it.now,
    }),
  "a sender's key is one signal as long as it is known": (it) =>
    append(it, { ...lastOf(it, 'signal_accepted', ({ signalKey }) => signalKey !== ''), at: it.now, signalId: UUID }),
  'the name of a suspension is one suspension as long as it is known': (it) => {
    const suspended = lastOf(it, 'execution_suspended');
    Object.assign(suspended, { suspendKey: 'k', suspendDigest: 'd', suspendKeyExpiresAt: it.now + 9_999 });
    append(it, { ...suspended, at: it.now, suspensionId: UUID });
  },
  'a stream is opened once, changed while it is open, and closed once': (it) =>
    append(it, { ...lastOf(it, 'stream_closed'), at: it.now }),
  'only the owner of an attempt opens its stream and changes its summary': (it) =>
    (lastOf(it, 'stream_opened').attemptId = UUID),
  'the versions of a summary follow each other': (it) => (lastOf(it, 'summary_patched').summaryVersion += 1),
  'satisfiers are signals of the suspension, each once, in the order of their acceptance': (it) =>
    waitsOf(it, 'waiting').suspension.satisfierSignalIds.push(UUID),
  'signals are counted, by execution and by waitpoint': (it) =>
    (waitsOf(it, 'waiting').waitpoint.matchedSignalCount = 0),
  'signals without a listener are kept, and counted': (it) => (inSituation(it, 'suspended').keptSignalCount = 1),
  "a sender's key names the last signal that came with it": (it) => (waitsOf(it, 'waiting').signal.signalKey = 'other'),
  'an execution that has ended has no suspension and no open waitpoint': (it) =>
    (inSituation(it, 'failed', 'waited_out').pendingExpiresAt = it.now),
  'a suspended execution is not claimed': (it) =>
    append(it, { ...claimOf(it, 'initial'), executionId: inSituation(it, 'suspended').executionId }),
  'only an open suspension is closed, escalated, or signalled; other signals are kept': (it) =>
    append(it, {
      type: 'suspension_escalated',
      executionId: inSituation(it, 'running').executionId,
      at: it.now,
    }),
  'one signing key is current, where there are any': (it) => {
    for (const key of it.state.tables.signing_key.values()) key.expiresAt = it.now;
  },
  'a key id stands for one secret as long as it is known': (it) =>
    append(it, { ...lastOf(it, 'signing_key_installed'), fingerprint: 'another' }),
  'a namespace has at most the maximum number of workers': (it) => {
    for (let i = 0; i <= LIMITS.maxWorkers; i++) it.state.tables.worker.set(`w-${i}`, WORKER);
  },
  'a worker is filed under its id, and was heard when it registered or later': (it) =>
    it.state.tables.worker.set('w-1', { ...WORKER, registeredAt: WORKER.lastHeartbeatAt + 1 }),
  'a worker that is dead is heard again only once it registered': (it) => {
    append(it, registered(it));
    append(it, { type: 'worker_marked_dead', workerInstanceId: 'w-1', at: it.now, requestedBy: 'ann', reason: '' });
    append(it, { type: 'worker_heard', workerInstanceId: 'w-1', at: it.now, running: 0, draining: false });
  },
  'a worker keeps its age while it lives, and begins anew when it does not': (it) => {
    append(it, registered(it));
    append(it, registered(it, it.now - 1));
  },
  'a worker lapses only once it was not heard for its time': (it) => {
    append(it, registered(it));
    append(it, { type: 'worker_lapsed', workerInstanceId: 'w-1', at: it.now });
  },
  'a suspension times out when it is due': (it) =>
    (lastOf(it, 'suspension_closed', ({ closeReason }) => closeReason === 'timed_out_fail').at -= 1),
  'only work that stands in its queue, or that is granted, is claimed': (it) =>
    append(it, { ...claimOf(it, 'initial'), executionId: inSituation(it, 'delayed').executionId }),

  'meters are a set in byte order': (it) => {
    const metered = inSituation(it, 'running', 'metered');
    metered.meters = [...metered.meters].reverse();
  },
  'an admission is bound if and only if metered work is owned by it: no slot outlives its holder': (it) =>
    (inSituation(it, 'running', 'metered').situation = 'ready'),
  'every admission that is not bound has due work': (it) => {
    for (const admission of it.state.tables.admission.values()) admission.dueAt = undefined;
  },
  'an admission is good for one claim, of metered work, and for none once it was voided': (it) =>
    append(it, { ...claimOf(it, 'initial'), executionId: inSituation(it, 'ready').executionId, meters: ['q'] }),

  'a cascade ends only siblings that a decided group or a parent no longer needs': (it) => {
    const { executionId } = inSituation(it, 'blocked_dependencies');
    const byCascade = { cancelledBy: 'flow_cascade', cancellationReason: 'sibling_quorum_satisfied' } as const;
    append(it, { ...lastOf(it, 'execution_cancelled'), ...byCascade, executionId, at: it.now });
  },

  'there are no more slots than the cap allows': (it) =>
    Object.assign(quotaOf(it).slots ?? {}, { other: { holder: '{fp:0}', checkAt: it.now + 9_999 } }),
  'at every admission fewer than the rate were admitted in the window before': (it) =>
    append(it, { ...lastOf(it, 'quota_admitted'), admissions: ['other'], at: it.now }),
  'a slot is of an admission that was granted and not given back': (it) =>
    (lastOf(it, 'quota_admitted').admissions = ['other']),
  'every slot is asked in time whether it is in use, so none outlives its holder': (it) =>
    Object.assign(quotaOf(it).slots ?? {}, { other: { holder: '{fp:0}', checkAt: Number.NaN } }),
  'the window of a policy has no admission after its last use': (it) => (quotaOf(it).lastUsedAt = 0),
  'a waiting claimer wants at least one admission, and waits until a set time': (it) => {
    for (const waiter of Object.values(quotaOf(it).waiters ?? {})) Object.assign(waiter, { wanted: 0 });
  },

  'a grant names its worker': (it) => (inSituation(it, 'ready', 'granted').grantId = undefined),
  'only work that waits for a worker, or was lost, is granted, and not while it is held': (it) =>
    (inSituation(it, 'running').grantExpiresAt = it.now),
  'an execution is granted if and only if its events grant it': (it) =>
    (inSituation(it, 'ready', 'granted').grantWorkerId = 'another'),
  'a grant is issued only while no other grant is live': (it) =>
    append(it, { ...lastOf(it, 'grant_issued'), at: it.now }),
  'a grant is issued only for what can be claimed, or by an operator for an interrupted attempt': (it) =>
    append(it, { ...lastOf(it, 'grant_issued'), executionId: inSituation(it, 'running').executionId, at: it.now }),
  'a paused lane gives no grants, but to operators': (it) => {
    const { executionId, laneId } = inSituation(it, 'ready', 'granted');
    append(it, { type: 'grant_lapsed', executionId, at: it.now });
    append(it, { type: 'lane_paused', laneId, at: it.now, requestedBy: 'ann', reason: '' });
    append(it, { ...lastOf(it, 'grant_issued'), at: it.now });
  },
  'a grant has a legal length': (it) => (lastOf(it, 'grant_issued').grantExpiresAt += LIMITS.maxGrantTtlMs),
  'a grant lapses only once it is over': (it) =>
    append(it, { type: 'grant_lapsed', executionId: inSituation(it, 'ready', 'granted').executionId, at: it.now }),
  'granted work is claimed by the worker that was granted it, in time, and no grant is used twice': (it) =>
    append(it, {
      ...claimOf(it, 'initial'),
      executionId: inSituation(it, 'ready', 'granted').executionId,
      workerId: 'another',
    }),
};

const waitsOf = (it: Broken, laneId: string) => {
  const waiting = [...it.state.tables.execution.values()].find((execution) => execution.laneId === laneId)?.waiting;
  const suspension = waiting?.suspension;
  if (waiting === undefined || suspension === undefined) throw new Error(`Nothing waited on ${laneId}.`);
  const [waitpoint] = Object.values(waiting.waitpoints);
  const [signal] = Object.values(waiting.signals);
  if (waitpoint === undefined || signal === undefined) throw new Error(`Nothing came on ${laneId}.`);
  return { waiting, suspension, waitpoint, signal };
};

const quotaOf = (it: Broken): QuotaPolicy => [...it.state.tables.quota_policy.values()][0] as QuotaPolicy;

const claimOf = (it: Broken, attemptType: 'initial' | 'reclaim'): EventNamed<'execution_claimed'> => ({
  ...lastOf(it, 'execution_claimed'),
  attemptType,
  at: it.now,
});

const namesOf = ({ state, log, now }: Broken): string[] => violations(state, log, now).map(({ name }) => name);

describe('invariants', () => {
  const story = everySituation();

  it('hold in a valid world', () => {
    expect(violations(story.world().state, story.world().log, story.now)).toEqual([]);
  });

  it('have unique names, and each is broken by a world of its own', () => {
    expect([...Object.keys(BREAKS), ...Object.keys(BUDGET_BREAKS), LEGAL_VECTOR].sort()).toEqual(
      INVARIANTS.map(({ name }) => name).sort(),
    );
  });

  it.each(Object.entries(BREAKS))('detect a world in which this does not hold: %s', (name, breakIt) => {
    const world = story.world();
    breakIt(world);
    expect(namesOf(world)).toContain(name);
  });

  it('hold in a valid world of budgets', () => {
    const { state, log, now } = budgetWorld();
    expect(violations(state, log, now)).toEqual([]);
  });

  it.each(Object.entries(BUDGET_BREAKS))(
    'detect a world of budgets in which this does not hold: %s',
    (name, breakIt) => {
      const world = budgetWorld();
      breakIt(world);
      expect(namesOf(world)).toContain(name);
    },
  );

  it(`detect a world in which this does not hold: ${LEGAL_VECTOR}`, () => {
    // The vector follows from the table of situations: only a wrong table can break it.
    const row = SITUATIONS.ready as { publicState: string };
    row.publicState = 'delayed';
    try {
      expect(namesOf(story.world())).toContain(LEGAL_VECTOR);
    } finally {
      row.publicState = 'waiting';
    }
  });

  it('allow the clock to be a minute behind the log, and no more', () => {
    const { state, log } = story.world();
    expect(violations(state, log, story.now - MAX_CLOCK_LEAD_MS)).toEqual([]);
    expect(violations(state, log, story.now - MAX_CLOCK_LEAD_MS - 1)).not.toEqual([]);
  });

  describe('the invariants of a clock that stepped back', () => {
    const [from, behind] = [story.now, 61_000];
    const stepped = (facts: { from?: number; to?: number; at?: number } = {}): Broken => {
      const world = story.world();
      world.now = facts.at ?? from - behind;
      append(world, {
        type: 'clock_stepped_back',
        partition: '{fp:0}',
        at: world.now,
        from: facts.from ?? from,
        to: facts.to ?? world.now,
      });
      return world;
    };
    const NAME = 'time does not go back in the log, unless an entry says that it does';

    it('no longer compare times', () => {
      const world = stepped();
      expect(namesOf(world)).toEqual([]);
      inSituation(world, 'running').leaseLastRenewedAt = from;
      expect(namesOf(world)).not.toContain('a renewal lies between the beginning of the lease and now');
    });

    it.each([
      ['by less than the clock may be behind', { at: from - MAX_CLOCK_LEAD_MS }],
      ['from another time than that of the last entry', { from: from - 1 }],
      ['to another time than its own', { to: from - behind + 1 }],
    ])('detect a step %s', (_, facts) => {
      expect(namesOf(stepped(facts))).toContain(NAME);
    });

    it('detect a second step back without a log entry', () => {
      const world = stepped();
      append(world, { type: 'clock_stepped_back', partition: '{fp:0}', at: world.now, from: world.now, to: world.now });
      expect(namesOf(world)).toContain(NAME);
    });
  });

  it('judge a trimmed log by its remaining entries', () => {
    const world = story.world();
    world.log = world.log.slice(5);
    expect(namesOf(world)).toEqual([]);
    world.log.splice(3, 1);
    expect(namesOf(world)).toEqual(['positions in the log are dense']);
  });

  it('continue where the same log was read before', () => {
    const long = new Story();
    for (let i = 0; i < 400; i++) {
      const executionId = long.create();
      const fence = long.claim();
      long.run({ name: 'completeExecution', args: { executionId, fence } });
      long.now += 1;
      const { state, log } = long.machine.partition;
      expect(violations(state, log, long.now)).toEqual([]);
    }
  });
});

/** Invariants at all times of a run. Those at its end are in finish.ts. */
import { EngineError, type Event } from '../../src/engine/index.js';
import type { WorkerEvents } from '../../src/index.js';
import type { ObservedCall } from '../../src/testing/simulation/index.js';
import { partitionKeyOf } from '../../model/ids.js';
import { claimedIn } from '../claimed.js';
import type { ExecutionFacts, HandlerCall, LeaseFacts, RunFacts } from './facts.js';
import { CALL_TIMEOUT_MS, taskName, type Node, type NodeWorker } from './node.js';
import { short } from './story.js';
import type { World } from './world.js';

/** Reported endings of one lease. */
export interface Endings {
  readonly names: Set<string>;
  sent: number;
  firstSentAt: number;
  last: 'under way' | 'accepted' | 'refused' | 'unknown';
  lastSettledAt: number;
  unknown: number;
  node: Node;
}

/** A worker with a free slot, and the time. */
interface Idle {
  readonly node: Node;
  readonly seen: NodeWorker['seen'];
  readonly boundMs: number;
  readonly wellSince: number;
}

/** A worker follows a wake within this time: the wake, a claim and its answer, with yields to other workers, ms. */
const WAKE_BOUND_MS = 600;
/** Calls of the app are retried for 10 s, ms; after a few faults the next pause alone can be as long. */
const CREATION_PATIENCE_MS = 9_000;
const CREATION_FAULTS = 3;
/** Interval of the checks that depend on time, ms. */
const CHECK_EVERY_MS = 50;
const ENDING_NAMES: ReadonlySet<string> = new Set([
  'completeExecution',
  'failExecution',
  'delayExecution',
  'suspendExecution',
  'moveToWaitingChildren',
  'releaseLease',
]);
/** Random factors move a worker's sweep and the loop's poll by a fifth. */
const SPREAD = 1.2;
/** Duration of a sweep besides its pauses, at most, ms: its calls, and the claims in flight before it. */
const LOOK_MS = 300;
/** With nothing due within a minute, the loop polls every 2 s, with backoff up to 2.5 times, plus a fifth. */
const LOOP_BOUND_MS = 2_000 * 2.5 * SPREAD + LOOK_MS;
/** After this time, a worker may give the slot of a handler that does not stop to other work. */
const ABANDON_MS = 30_000;
/** The share of a lease for which its worker may be blocked without losing it: two thirds, less the time of calls. */
const BLOCKED_SHARE = 0.6;
const FAULTY_SHARE = 0.35;
/**
 * A handler is told that its work was taken away by the next renewal, or by its own clock, ms beyond a third of the
 * lease.
 */
const TOLD_SLACK_MS = 3_000;

/** Answers to a suspension, or to a wait for children, that leave the attempt with its worker. */
const GOES_ON: ReadonlySet<string> = new Set(['not_waiting', 'already_satisfied']);

const stateAfter = (error: unknown): Endings['last'] => {
  if (error === undefined) return 'accepted';
  return error instanceof EngineError && !error.retryable ? 'refused' : 'unknown';
};

export class Checks {
  /** Leases from answered claims, which their workers therefore know. */
  readonly received = new Set<string>();
  readonly endings = new Map<string, Endings>();
  /** When the last call with frames of a lease was answered, or failed. */
  readonly framesSettledAt = new Map<string, number>();
  private readonly partitions: readonly string[];
  private checkedAt = -Infinity;
  private readonly lookedAt = new Map<string, number>();
  /** Leases that their workers gave up as lost. */
  private readonly givenUp = new Set<string>();
  private readonly tokens = new Set<string>();
  /** Values of steps, once stored. */
  private readonly given = new Map<string, string>();

  constructor(private readonly world: World) {
    this.partitions = Array.from({ length: world.program.setup.partitions }, (_, index) => partitionKeyOf(index));
  }

  // Calls.

  callMade(node: Node, call: ObservedCall): void {
    for (const command of call.commands) {
      if (command.name === 'createExecution') {
        const { executionId, inputPayload } = command.args;
        if (inputPayload !== undefined && inputPayload.byteLength > 0)
          this.world.facts.creationSent(
            executionId,
            (JSON.parse(new TextDecoder().decode(inputPayload)) as { run: number }).run,
          );
      }
      if (command.name === 'renewLease') this.renewalSent(command as EndingCommand);
      if (ENDING_NAMES.has(command.name)) this.endingSent(node, command as EndingCommand);
    }
    if (call.names.some((name) => name === 'applyDue'))
      for (const partition of this.partitions) this.lookedAt.set(partition, this.world.scheduler.now());
  }

  private renewalSent({ args }: EndingCommand): void {
    if (this.endings.get(leaseOf(args))?.last === 'accepted')
      this.world.broken('a lease that is over is not renewed', short(args.executionId));
  }

  private endingSent(node: Node, { name, args }: EndingCommand): void {
    const leaseId = leaseOf(args);
    const now = this.world.scheduler.now();
    const endings = this.endings.get(leaseId);
    // A handler also waits if its frames could not be stored; then its run fails instead of being suspended.
    if (name === 'suspendExecution' || name === 'moveToWaitingChildren' || args.failureCategory === 'stream_refused')
      this.suspends(leaseId);
    if (endings?.last === 'accepted')
      this.world.broken(
        'an ending is reported once',
        `${name} of ${short(args.executionId)} is sent although the answer to ${[...endings.names].join()} was there`,
      );
    if (endings === undefined) {
      this.endings.set(leaseId, {
        names: new Set([name]),
        sent: 1,
        firstSentAt: now,
        last: 'under way',
        lastSettledAt: 0,
        unknown: 0,
        node,
      });
    } else {
      endings.names.add(name);
      Object.assign(endings, { sent: endings.sent + 1, last: 'under way' });
    }
  }

  /** The handler does not know: the waiting call ends when the worker says so. */
  private suspends(leaseId: string): void {
    const call = this.world.facts.calls.find((each) => each.leaseId === leaseId);
    if (call === undefined || call.endedAt !== undefined || !call.waits) return;
    call.end = 'suspended';
    call.endedAt = this.world.scheduler.now();
    this.world.tell(call.process, `handler call ${call.number} waits`);
  }

  callSettled(_node: Node, call: ObservedCall): void {
    call.commands.forEach((command, index) => {
      const answer = call.answers?.[index];
      if (command.name === 'appendFrame')
        this.framesSettledAt.set(leaseOf((command as EndingCommand).args), this.world.scheduler.now());
      if (ENDING_NAMES.has(command.name)) {
        const endings = this.endings.get(leaseOf((command as EndingCommand).args));
        const error = call.error ?? (answer?.ok === false ? answer.error : undefined);
        if (endings === undefined) return;
        // If there is nothing to wait for any more, the attempt continues, as after a refusal.
        const goesOn = answer?.ok === true && GOES_ON.has(answer.outcome.kind);
        endings.last = goesOn ? 'refused' : stateAfter(error);
        endings.lastSettledAt = this.world.scheduler.now();
        if (endings.last === 'unknown') endings.unknown++;
      }
      if (answer?.ok) for (const { leaseId } of claimedIn(answer.outcome)) this.received.add(leaseId);
    });
  }

  /** A creation is retried for ten seconds before its caller gets the error. */
  creationFailed(node: Node, { number }: RunFacts, askedAt: number, error: unknown): void {
    const now = this.world.scheduler.now();
    const faults = node.troubles.filter(({ kind, to }) => kind === 'fault' && to >= askedAt).length;
    const gaveUp = error instanceof EngineError && error.retryable;
    if (gaveUp && faults <= CREATION_FAULTS && now - askedAt < CREATION_PATIENCE_MS)
      this.world.broken(
        'a creation whose fate is unknown is repeated',
        `run ${number} failed after ${now - askedAt} ms: ${error.code}`,
      );
  }

  /** Handlers of the same process are told of a cancellation at once. */
  cancelled(node: Node, executionId: string): void {
    for (const call of this.world.facts.callsOf(executionId))
      if (call.process === node.name && call.looks && call.endedAt === undefined && call.toldAt() === undefined)
        this.world.broken(
          'a handler is told when its work is taken away',
          `call ${call.number} runs on, untold, although its own process cancelled it`,
        );
  }

  // Handlers.

  handlerCalled(call: HandlerCall): void {
    const { world } = this;
    const execution = world.facts.executions.get(call.executionId);
    if (
      execution?.leases.at(-1)?.leaseId === call.leaseId &&
      execution.leases.at(-1)?.endedBy === 'execution_suspended'
    )
      world.broken('nothing runs while it is suspended', `call ${call.number} for ${short(call.executionId)}`);
    if (this.tokens.has(call.token))
      world.broken(
        'a handler is called once per attempt',
        `second call for ${short(call.executionId)} under lease ${short(call.leaseId)}`,
      );
    this.tokens.add(call.token);
    for (const earlier of world.facts.callsOf(call.executionId)) {
      const other = world.nodes.find(({ name }) => name === earlier.process);
      if (earlier.endedAt !== undefined || !earlier.looks || earlier.toldAt() !== undefined || other === undefined)
        continue;
      const lease = world.facts.leases.get(earlier.leaseId);
      const lapsed = lease?.endedBy === 'lease_expired' || lease?.endedBy === 'execution_claimed';
      const runs = other.alive && other.process.blockedUntil < world.scheduler.now();
      const sameWorker = lease?.workerInstanceId === world.facts.leases.get(call.leaseId)?.workerInstanceId;
      if (runs && (lapsed || sameWorker))
        world.broken(
          'a handler is told before the next owner begins',
          `call ${earlier.number} for ${short(call.executionId)} runs on, untold`,
        );
    }
  }

  /** An owner that has the steps of earlier owners repeats none of them. One that was overtaken cannot know. */
  stepCalled(call: HandlerCall, name: string): void {
    if (this.owns(call) && this.isRecorded(call.executionId, name))
      this.world.broken(
        'no step is run again after its value was stored',
        `call ${call.number} for ${short(call.executionId)} runs ${name}`,
      );
  }

  /** A stored value of a step is returned in every later call. */
  stepGave(call: HandlerCall, name: string, key: string, value: string): void {
    if (!this.owns(call) || !this.isRecorded(call.executionId, name)) return;
    const known = this.given.get(key) ?? value;
    this.given.set(key, known);
    if (known !== value)
      this.world.broken(
        'a step gives one value in all calls of its handler',
        `${name} of ${short(call.executionId)} gave ${known}, and ${value} to call ${call.number}`,
      );
  }

  private owns({ leaseId }: HandlerCall): boolean {
    const lease = this.world.facts.leases.get(leaseId);
    return lease !== undefined && lease.endedAt === undefined && this.world.scheduler.now() < lease.expiresAt;
  }

  private isRecorded(executionId: string, name: string): boolean {
    const events = this.world.facts.executions.get(executionId)?.events ?? [];
    return events.some((event) => event.type === 'step_recorded' && event.stepName === name);
  }

  leaseLost(node: Node, each: NodeWorker, { executionId, reason }: WorkerEvents['leaseLost']): void {
    if (reason !== 'lease_lost') return;
    const own = this.leasesOf(each, executionId);
    const lease = own.at(-1);
    // Server-side endings are judged by the log; an earlier attempt that is still running here has been lost.
    if (lease === undefined || lease.endedAt !== undefined || this.endings.has(lease.leaseId)) return;
    if ((each.finished.get(executionId) ?? 0) < own.length - 1) return;
    this.givenUp.add(lease.leaseId);
    this.lostLease(node, lease, 'its worker gave it up');
  }

  private leasesOf({ worker }: NodeWorker, executionId: string): LeaseFacts[] {
    const leases = this.world.facts.executions.get(executionId)?.leases ?? [];
    return leases.filter(({ workerInstanceId }) => workerInstanceId === worker.workerInstanceId);
  }

  /** Called for every event. */
  logged(event: Event): void {
    const execution = 'executionId' in event ? this.world.facts.executions.get(event.executionId) : undefined;
    if (execution === undefined) return;
    if (event.type === 'execution_suspended') this.suspended(execution);
    const lease = event.type === 'execution_claimed' ? execution.leases.at(-2) : execution.leases.at(-1);
    const lapsed =
      event.type === 'lease_expired' || (event.type === 'execution_claimed' && lease?.endedBy === 'execution_claimed');
    if (lapsed && lease !== undefined) {
      const node = this.nodeOf(lease.workerInstanceId);
      // Leases that their worker gave up were judged then, even if an unanswered renewal extended them.
      const isHeld = this.received.has(lease.leaseId) && !this.givenUp.has(lease.leaseId);
      if (node?.alive && isHeld) this.lostLease(node, lease, 'it lapsed');
    }
  }

  /** Completed steps of its handler are stored before it waits. */
  private suspended({ executionId, leases }: ExecutionFacts): void {
    const call = this.world.facts.callsOf(executionId).find(({ leaseId }) => leaseId === leases.at(-1)?.leaseId);
    const lost = call?.passedFailures.find((name) => !this.isRecorded(executionId, name));
    if (lost !== undefined)
      this.world.broken(
        'a failure that a handler passed is stored before it waits',
        `${lost} of call ${call?.number} for ${short(executionId)}`,
      );
  }

  private lostLease(node: Node, lease: LeaseFacts, how: string): void {
    const to = Math.min(this.world.scheduler.now(), lease.expiresAt);
    const { leaseTtlMs } = node.setup;
    if (this.isExcused(node, lease, to)) return;
    const { blockedMs, faultMs } = node.troubleWithin(this.troubleFrom(node, lease, to), to);
    this.world.broken(
      'a healthy worker loses no lease',
      `lease ${short(lease.leaseId)} of ${short(lease.executionId)}, granted at +${lease.grantedAt - 1_700_000_000_000} for ${leaseTtlMs} ms: ${how}; blocked ${blockedMs} ms, faults ${faultMs} ms`,
    );
  }

  /** Whether its process was blocked long enough to lose the lease by this time. */
  isExcused(node: Node, lease: LeaseFacts, to: number): boolean {
    const { blockedMs, faultMs } = node.troubleWithin(this.troubleFrom(node, lease, to), to);
    return blockedMs + faultMs >= (faultMs > 0 ? FAULTY_SHARE : BLOCKED_SHARE) * node.setup.leaseTtlMs;
  }

  /** From when on faults can have cost the lease. Renewals that ran without an answer did not help its worker. */
  private troubleFrom(node: Node, { claimedAt }: LeaseFacts, to: number): number {
    return Math.max(claimedAt, to - node.setup.leaseTtlMs) - CALL_TIMEOUT_MS;
  }

  drained(node: Node, { worker }: NodeWorker, limitMs: number): void {
    const { world } = this;
    const now = world.scheduler.now();
    const { blockedMs } = node.troubleWithin(limitMs - 60_000, now);
    if (now > limitMs + blockedMs) world.broken('a drain ends in its time', `${now - limitMs} ms late`);
    if (node.wellSince > now - 15_000 || [...node.connection.inFlight].some(({ fault }) => fault !== undefined)) return;
    for (const lease of world.facts.leases.values()) {
      const own = lease.workerInstanceId === worker.workerInstanceId && this.received.has(lease.leaseId);
      const deadlineAt = world.facts.executions.get(lease.executionId)?.deadlineAt;
      // The loop handles expired executions.
      const over = Math.min(lease.expiresAt, lease.attemptTimeoutAt ?? Infinity, deadlineAt ?? Infinity) <= now;
      if (own && !over && lease.endedAt === undefined)
        world.broken(
          'a drained worker holds nothing',
          `lease ${short(lease.leaseId)} of ${short(lease.executionId)} is still its own`,
        );
    }
  }

  // Checks at rest, before time advances.

  beforeTimeMoves(next: number): void {
    const { world } = this;
    const now = world.scheduler.now();
    for (const node of world.living) for (const each of node.workers) this.capacity(node, each);
    // The remaining checks depend on time, so they need not run every millisecond.
    if (next - this.checkedAt < CHECK_EVERY_MS) return;
    this.checkedAt = now;
    const idle = this.idleWorkers();
    // Metered work also waits for room.
    for (const execution of world.facts.executions.values()) {
      if (execution.situation === 'eligible') {
        // Metered work also waits for room.
        if (quotaOf(world, execution.kind) === undefined) this.undone(execution, idle, next);
      } else if (execution.situation !== 'ended') this.late(execution, next);
    }
    for (const call of world.facts.calls) if (call.endedAt === undefined) this.told(call, next);
    this.loops(next);
    for (const node of world.living) this.looks(node, idle, next);
    this.withinQuotas();
  }

  private capacity(node: Node, { worker }: NodeWorker): void {
    const { running, ahead, slots } = worker.stats();
    const { claimAhead } = node.setup;
    let reserved = 0;
    for (const { commands } of node.connection.inFlight)
      for (const { name, args } of commands)
        if (name === 'claimForWorker' && args.workerInstanceId === worker.workerInstanceId)
          reserved += args.claims.length;
    if (running > slots)
      this.world.broken('no more handlers than slots', `${running} run on ${node.name}, which has ${slots} slots`);
    if (running + ahead + reserved > slots + claimAhead)
      this.world.broken(
        'held and reserved is within the room',
        `${running} running, ${ahead} ahead, ${reserved} asked for; room ${slots + claimAhead}`,
      );
    const now = this.world.scheduler.now();
    let calls = 0;
    for (const call of this.world.facts.calls) {
      if (call.endedAt !== undefined || call.waits || !call.looks || call.process !== node.name) continue;
      const own = this.world.facts.leases.get(call.leaseId)?.workerInstanceId === worker.workerInstanceId;
      if (own && now - (call.toldAt() ?? now) < ABANDON_MS) calls++;
    }
    if (calls > slots && !node.closed)
      this.world.broken('no more handlers than slots', `${calls} calls run on ${node.name}, which has ${slots} slots`);
  }

  /** No task has more owned executions than its limit. */
  private withinQuotas(): void {
    for (const [which, { quota }] of this.world.program.setup.tasks.entries()) {
      if (quota === undefined) continue;
      const owned = this.world.facts.open.filter(
        ({ kind, situation }) => kind === taskName(which) && situation === 'active',
      );
      if (owned.length > quota) this.world.broken('a limit of a task holds', `${owned.length} of ${quota} are owned`);
    }
  }

  /** Claimable work does not wait while a capable worker is idle. */
  private undone(execution: ExecutionFacts, idle: readonly Idle[], next: number): void {
    const { world } = this;
    const now = world.scheduler.now();
    for (const { node, seen, boundMs, wellSince } of idle) {
      if (!canDo(node, execution)) continue;
      const before = seen.get(execution);
      // The worker was idle at every check since the execution has been in this situation.
      const since = before !== undefined && before.since >= execution.since ? before.since : now;
      seen.set(execution, { since, at: now });
      const heardOf =
        execution.since >= Math.max(node.hearsSince, wellSince) && since <= execution.since + CHECK_EVERY_MS;
      if (heardOf && next - since > WAKE_BOUND_MS + this.claimsUnderWayMs(node))
        world.broken(
          'a wake is followed at once',
          `${short(execution.executionId)} waits on ${execution.laneId} for ${next - since} ms while ${node.name} has a free slot`,
        );
      const waitedMs = next - Math.max(since, wellSince);
      if (waitedMs > boundMs)
        world.broken(
          'no work is left while a worker is idle',
          `${short(execution.executionId)} has waited on ${execution.laneId} for ${waitedMs} ms while ${node.name} had a free slot`,
        );
    }
  }

  /** Workers with a free slot; all others start anew. */
  private idleWorkers(): Idle[] {
    const idle: Idle[] = [];
    for (const node of this.world.living) {
      for (const each of node.workers) {
        const { running, ahead, slots, state, claimed } = each.worker.stats();
        // A worker that received work meanwhile was not idle, however briefly it ran.
        if (claimed !== each.seenClaimed) each.seen.clear();
        each.seenClaimed = claimed;
        const stuck = this.unsettled(each) > running;
        if (state === 'running' && !stuck && each.drainedAt === undefined && running + ahead < slots)
          idle.push({ node, seen: each.seen, boundMs: this.sweepBoundMs(node), wellSince: node.wellSince });
        else each.seen.clear();
      }
    }
    return idle;
  }

  /** Handlers of this worker that have not settled; more than its own count when it gave up on one. */
  private unsettled({ worker }: NodeWorker): number {
    const { calls, leases } = this.world.facts;
    return calls.filter(
      ({ endedAt, leaseId }) =>
        endedAt === undefined && leases.get(leaseId)?.workerInstanceId === worker.workerInstanceId,
    ).length;
  }

  private sweepBoundMs(node: Node): number {
    return node.setup.sweepMs * SPREAD + LOOK_MS + this.claimsUnderWayMs(node);
  }

  /** Claims without an answer occupy room until they time out. */
  private claimsUnderWayMs(node: Node): number {
    return [...node.connection.inFlight].some(({ fault }) => fault !== undefined) ? Infinity : 0;
  }

  /** Due work is applied while a healthy loop runs. */
  private late(execution: ExecutionFacts, next: number): void {
    const lease = execution.leases.at(-1);
    const ends =
      execution.situation === 'delayed'
        ? execution.dueAt
        : Math.min(lease?.expiresAt ?? Infinity, lease?.attemptTimeoutAt ?? Infinity);
    const dueAt = Math.min(ends ?? Infinity, execution.deadlineAt ?? Infinity);
    const since = Math.max(dueAt, execution.since, this.loopsSince());
    if (next - since > LOOP_BOUND_MS)
      this.world.broken(
        'what is due is applied',
        `${short(execution.executionId)} is ${execution.situation}, due for ${next - dueAt} ms`,
      );
  }

  /** Since when a healthy loop has been running; undefined without one. */
  private loopsSince(): number {
    const healthy = this.world.living
      .filter(({ setup, workers, closing }) => setup.loop && !closing && workers.length > 0)
      .map((node) => this.loopWellSince(node));
    return Math.min(Infinity, ...healthy);
  }

  private loopWellSince(node: Node): number {
    return [...node.connection.inFlight].some(({ fault }) => fault !== undefined)
      ? Infinity
      : Math.max(node.startedAt, node.wellSince, node.process.blockedUntil);
  }

  private loops(next: number): void {
    const since = this.loopsSince();
    for (const partition of this.partitions) {
      const lookedAt = Math.max(since, this.lookedAt.get(partition) ?? -Infinity);
      if (Number.isFinite(lookedAt) && next - lookedAt > LOOP_BOUND_MS)
        this.world.broken(
          'the loop looks within its poll interval',
          `nothing looked at ${partition} for ${next - lookedAt} ms`,
        );
    }
  }

  /** An idle worker looks for work within its sweep interval, even without wakes. */
  private looks(node: Node, idle: readonly Idle[], next: number): void {
    if (!idle.some((each) => each.node === node)) {
      node.lookedAt = this.world.scheduler.now();
      return;
    }
    const since = Math.max(node.lookedAt, node.wellSince, node.process.blockedUntil);
    if (next - since > this.sweepBoundMs(node))
      this.world.broken(
        'an idle worker looks within its sweep interval',
        `${node.name} did not look for ${next - since} ms`,
      );
  }

  /** A handler is soon told that it has lost its work. */
  private told(call: HandlerCall, next: number): void {
    const node = this.world.nodes.find(({ name }) => name === call.process);
    const lease = this.world.facts.leases.get(call.leaseId);
    if (!call.looks || call.toldAt() !== undefined || lease === undefined || !node?.alive) return;
    const endedAt = Math.min(lease.endedAt ?? Infinity, lease.attemptTimeoutAt ?? Infinity);
    const since = Math.max(endedAt, call.startedAt, node.wellSince, node.process.blockedUntil);
    if (next - since > node.setup.leaseTtlMs / 3 + TOLD_SLACK_MS + this.claimsUnderWayMs(node))
      this.world.broken(
        'a handler is told when its work is taken away',
        `call ${call.number} runs on, untold, ${next - since} ms after ${lease.endedBy ?? 'its attempt timeout'}`,
      );
  }

  nodeOf(workerInstanceId: string): Node | undefined {
    return this.world.nodes.find(({ workers }) =>
      workers.some(({ worker }) => worker.workerInstanceId === workerInstanceId),
    );
  }
}

/** The limit of a task, if it has one. */
const quotaOf = ({ program }: World, kind: string): number | undefined =>
  program.setup.tasks.find((_, which) => taskName(which) === kind)?.quota;

const canDo = (node: Node, { laneId, kind, needs }: ExecutionFacts): boolean =>
  node.serves(laneId) && node.handles(kind) && (node.setup.gpu || needs.length === 0);

interface EndingCommand {
  readonly name: string;
  readonly args: {
    readonly executionId: string;
    readonly fence?: { readonly leaseId: string } | undefined;
    readonly leaseId?: string | undefined;
    readonly failureCategory?: string | undefined;
  };
}

const leaseOf = ({ fence, leaseId }: EndingCommand['args']): string => fence?.leaseId ?? leaseId ?? '';

/** Checks of leases: a worker that runs and reaches the server loses none, and one that has drained holds none. */
import type { Event } from '../../../src/engine/index.js';
import type { WorkerEvents } from '../../../src/index.js';
import type { ExecutionFacts, LeaseFacts } from '../facts.js';
import { CALL_TIMEOUT_MS, type Node, type NodeWorker } from '../node.js';
import { short } from '../story.js';
import type { World } from '../world.js';
import { claimsUnderWayMs, LOOK_MS } from './bounds.js';
import type { CallChecks } from './calls.js';
import type { RenewalChecks } from './renewals.js';

/** The share of a lease for which its worker may be blocked without losing it: two thirds, less the time of calls. */
const BLOCKED_SHARE = 0.6;
const FAULTY_SHARE = 0.35;
/** Work that cannot start is kept for a third of its lease, ms, and at most this long. */
const MAX_HOLD_MS = 5_000;

export class LeaseChecks {
  /** Leases that their workers gave up as lost. */
  private readonly givenUp = new Set<string>();

  constructor(
    private readonly world: World,
    private readonly calls: CallChecks,
    private readonly renewals: RenewalChecks,
  ) {}

  leaseLost(node: Node, each: NodeWorker, { executionId, reason }: WorkerEvents['leaseLost']): void {
    this.leftHand(each, executionId);
    if (reason !== 'lease_lost') return;
    const own = this.leasesOf(each, executionId);
    const lease = own.at(-1);
    // Server-side endings are judged by the log; an earlier attempt that is still running here has been lost.
    if (lease === undefined || lease.endedAt !== undefined || this.calls.endings.has(lease.leaseId)) return;
    if ((each.finished.get(executionId) ?? 0) < own.length - 1) return;
    this.givenUp.add(lease.leaseId);
    this.lostLease(node, lease, 'its worker gave it up');
  }

  /** The worker has lost or finished an attempt of the execution. */
  leftHand(each: NodeWorker, executionId: string): void {
    for (const { leaseId } of this.leasesOf(each, executionId)) this.renewals.over(leaseId);
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
      const isHeld = this.calls.received.has(lease.leaseId) && !this.givenUp.has(lease.leaseId);
      if (node?.alive && isHeld) this.lostLease(node, lease, 'it lapsed');
    }
  }

  /** Completed steps of its handler are stored before it waits. */
  private suspended({ executionId, leases }: ExecutionFacts): void {
    const call = this.world.facts.callsOf(executionId).find(({ leaseId }) => leaseId === leases.at(-1)?.leaseId);
    const lost = call?.passedFailures.find((name) => !this.world.facts.hasStep(executionId, name));
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
    for (const call of world.facts.calls) {
      const isUntold = call.endedAt === undefined && call.looks && !call.waits && call.toldAt() === undefined;
      if (isUntold && world.facts.leases.get(call.leaseId)?.workerInstanceId === worker.workerInstanceId)
        world.broken('a handler is told before its worker leaves', `call ${call.number} runs on, untold`);
    }
    if (node.wellSince > now - 15_000 || [...node.connection.inFlight].some(({ fault }) => fault !== undefined)) return;
    for (const lease of world.facts.leases.values()) {
      const own = lease.workerInstanceId === worker.workerInstanceId && this.calls.received.has(lease.leaseId);
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

  /** Claimed work starts, or is handed back for other workers. */
  waitingWork({ executionId, kind, leases, run }: ExecutionFacts, next: number): void {
    const lease = leases.at(-1);
    const receivedAt = this.calls.received.get(lease?.leaseId ?? '');
    if (lease === undefined || receivedAt === undefined || !this.renewals.keeps(lease.leaseId)) return;
    const node = this.nodeOf(lease.workerInstanceId);
    if (!node?.alive || !node.handles(kind)) return;
    if (this.world.checks.handlers.begun.has(lease.leaseId) || this.calls.endings.has(lease.leaseId)) return;
    // A long input waits to be fetched, and is fetched, and then the work waits for a slot.
    const waits = this.world.facts.runs[run]?.setup.long ? 3 : 1;
    const lateMs = next - Math.max(receivedAt, node.wellSince, node.process.blockedUntil);
    const boundMs = waits * Math.min(node.setup.leaseTtlMs / 3, MAX_HOLD_MS) + LOOK_MS;
    if (lateMs > boundMs + claimsUnderWayMs(node))
      this.world.broken(
        'claimed work starts or is handed back',
        `${node.name} has held ${short(executionId)} for ${lateMs} ms`,
      );
  }

  nodeOf(workerInstanceId: string): Node | undefined {
    return this.world.nodes.find(({ workers }) =>
      workers.some(({ worker }) => worker.workerInstanceId === workerInstanceId),
    );
  }
}

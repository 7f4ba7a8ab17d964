/** Checks of renewals: on time, soon again after a fault, never after a refusal; and of leases that none could keep. */
import type { LeaseFacts } from '../facts.js';
import type { Node } from '../node.js';
import { short } from '../story.js';
import type { World } from '../world.js';

/** Pause before a renewal that met a fault is sent again, at most, ms; a tenth of the lease if that is less. */
const MAX_RETRY_MS = 1_000;
/** Renewals leave, and leases are given up, within this time after they are due, ms. */
const SLACK_MS = 50;
/** The share of a lease after which its worker may give it up. */
const GIVEN_UP_SHARE = 0.9;

interface Kept {
  readonly node: Node;
  /** When the worker learned of the lease. */
  readonly since: number;
  /** Start of the request that was last granted the lease. */
  grantedAt: number;
  /** When the next renewal is due at the latest. */
  dueAt: number;
}

export class RenewalChecks {
  /** By lease: what workers keep. */
  private readonly kept = new Map<string, Kept>();
  private readonly refused = new Set<string>();

  constructor(private readonly world: World) {}

  /** Whether its worker has the lease in hand, as far as it knows. */
  keeps(leaseId: string): boolean {
    return this.kept.has(leaseId);
  }

  /** A claim that was sent at `requestedAt` was answered. */
  claimed(node: Node, leaseId: string, requestedAt: number): void {
    const since = this.world.scheduler.now();
    const dueAt = requestedAt + node.setup.leaseTtlMs / 3;
    this.kept.set(leaseId, { node, since, grantedAt: requestedAt, dueAt });
  }

  sent(leaseId: string): void {
    const kept = this.kept.get(leaseId);
    if (kept !== undefined) kept.dueAt = this.world.scheduler.now() + kept.node.setup.leaseTtlMs / 3;
    if (this.refused.has(leaseId)) this.world.broken('a lease that is over is not renewed', short(leaseId));
  }

  accepted(leaseId: string, requestedAt: number): void {
    const kept = this.kept.get(leaseId);
    if (kept !== undefined) kept.grantedAt = Math.max(kept.grantedAt, requestedAt);
  }

  /** A renewal met a fault. */
  failed(leaseId: string): void {
    const kept = this.kept.get(leaseId);
    if (kept === undefined) return;
    const pauseMs = Math.min(kept.node.setup.leaseTtlMs / 10, MAX_RETRY_MS);
    kept.dueAt = Math.min(kept.dueAt, this.world.scheduler.now() + pauseMs);
  }

  wasRefused(leaseId: string): void {
    this.refused.add(leaseId);
    this.over(leaseId);
  }

  /** The worker keeps the lease no longer. */
  over(leaseId: string): void {
    this.kept.delete(leaseId);
  }

  /** Checks all leases that are kept, before time advances to `next`. */
  check(next: number): void {
    for (const [leaseId, kept] of this.kept) {
      const { node, grantedAt } = kept;
      const lease = this.world.facts.leases.get(leaseId);
      // A worker that has reported the ending of an attempt gives up its lease without a word.
      const mayBeSilent =
        this.world.checks.calls.endings.has(leaseId) && next >= grantedAt + GIVEN_UP_SHARE * node.setup.leaseTtlMs;
      if (!node.alive || node.closing || lease === undefined || lease.endedAt !== undefined || mayBeSilent)
        this.over(leaseId);
      else this.checkOne(lease, kept, next);
    }
  }

  private checkOne(lease: LeaseFacts, { node, since, grantedAt, dueAt }: Kept, next: number): void {
    const name = `lease ${short(lease.leaseId)} of ${short(lease.executionId)}`;
    const ableSince = Math.max(since, node.process.blockedUntil);
    const lateMs = next - Math.max(dueAt, ableSince);
    if (lateMs > SLACK_MS) this.world.broken('a lease is renewed in time', `${name} is ${lateMs} ms late`);
    const overMs = next - Math.max(grantedAt + node.setup.leaseTtlMs, ableSince);
    if (overMs > SLACK_MS)
      this.world.broken('a worker knows when a lease is over', `${name} has been over for ${overMs} ms`);
  }
}

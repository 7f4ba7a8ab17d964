/** Held leases are renewed in time, soon again after a fault, and never after a refusal. */
import type { LeaseFacts } from '../facts.js';
import type { Node } from '../node.js';
import { short } from '../story.js';
import type { World } from '../world.js';

/** Pause before a renewal that met a fault is sent again, at most, ms; a tenth of the lease if that is less. */
const MAX_RETRY_MS = 1_000;
/** Renewals leave within this time after they are due, ms. */
const SLACK_MS = 50;

interface Kept {
  readonly node: Node;
  /** When the worker learned of the lease. */
  readonly since: number;
  /** When the next renewal is due at the latest. */
  dueAt: number;
}

export class RenewalChecks {
  /** By lease. */
  private readonly kept = new Map<string, Kept>();
  private readonly refused = new Set<string>();

  constructor(private readonly world: World) {}

  /** The answer to a claim that was sent at `requestedAt`. */
  claimed(node: Node, leaseId: string, requestedAt: number): void {
    const since = this.world.scheduler.now();
    this.kept.set(leaseId, { node, since, dueAt: requestedAt + node.setup.leaseTtlMs / 3 });
  }

  sent(leaseId: string): void {
    const kept = this.kept.get(leaseId);
    if (kept !== undefined) kept.dueAt = this.world.scheduler.now() + kept.node.setup.leaseTtlMs / 3;
    if (this.refused.has(leaseId)) this.world.broken('a lease that is over is not renewed', short(leaseId));
  }

  answered(leaseId: string, answer: 'accepted' | 'refused' | 'unknown' | 'under way'): void {
    const kept = this.kept.get(leaseId);
    if (answer === 'refused') {
      this.refused.add(leaseId);
      this.over(leaseId);
    }
    if (kept === undefined || answer !== 'unknown') return;
    const pauseMs = Math.min(kept.node.setup.leaseTtlMs / 10, MAX_RETRY_MS);
    kept.dueAt = Math.min(kept.dueAt, this.world.scheduler.now() + pauseMs);
  }

  /** The worker keeps the lease no longer. */
  over(leaseId: string): void {
    this.kept.delete(leaseId);
  }

  /** Checks all leases that are kept, before time advances to `next`. */
  check(next: number): void {
    for (const [leaseId, { node, since, dueAt }] of this.kept) {
      const lease = this.world.facts.leases.get(leaseId);
      if (!node.alive || node.closing || lease === undefined || lease.endedAt !== undefined) this.over(leaseId);
      else this.checkOne(lease, next - Math.max(dueAt, since, node.process.blockedUntil));
    }
  }

  private checkOne({ leaseId, executionId }: LeaseFacts, lateMs: number): void {
    if (lateMs > SLACK_MS)
      this.world.broken(
        'a lease is renewed in time',
        `lease ${short(leaseId)} of ${short(executionId)} is ${lateMs} ms late`,
      );
  }
}

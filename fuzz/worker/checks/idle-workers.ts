/** Checks of workers with a free slot: they find the work that they can do, and look for it even without wakes. */
import type { ExecutionFacts } from '../facts.js';
import type { Node, NodeWorker } from '../node.js';
import { short } from '../story.js';
import type { World } from '../world.js';
import { CHECK_EVERY_MS, claimsUnderWayMs, LOOK_MS, SPREAD } from './bounds.js';

/** A worker with a free slot, and the time. */
export interface Idle {
  readonly node: Node;
  readonly seen: NodeWorker['seen'];
  readonly boundMs: number;
  readonly wellSince: number;
}

/** A worker follows a wake within this time: the wake, a claim and its answer, with yields to other workers, ms. */
const WAKE_BOUND_MS = 600;

export class IdleWorkerChecks {
  constructor(private readonly world: World) {}

  /** Workers with a free slot; all others start anew. */
  idle(): Idle[] {
    const idle: Idle[] = [];
    for (const node of this.world.living) {
      for (const each of node.workers) {
        const { running, ahead, slots, state, claimed } = each.worker.stats();
        // A worker that received work meanwhile was not idle, however briefly it ran.
        if (claimed !== each.seenClaimed) each.seen.clear();
        each.seenClaimed = claimed;
        const stuck = this.unsettled(each) > running;
        if (state === 'running' && !stuck && each.drain === undefined && running + ahead < slots)
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
    return node.setup.sweepMs * SPREAD + LOOK_MS + claimsUnderWayMs(node);
  }

  /** Claimable work does not wait while a capable worker is idle. */
  work(execution: ExecutionFacts, idle: readonly Idle[], next: number): void {
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
      if (heardOf && next - since > WAKE_BOUND_MS + claimsUnderWayMs(node))
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

  /** An idle worker looks for work within its sweep interval, even without wakes. */
  sweep(node: Node, idle: readonly Idle[], next: number): void {
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
}

const canDo = (node: Node, { laneId, kind, needs }: ExecutionFacts): boolean =>
  node.serves(laneId) && node.handles(kind) && (node.setup.gpu || needs.length === 0);

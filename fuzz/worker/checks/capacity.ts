/** Checks of limits: the slots of workers, and the quotas of tasks. */
import { taskName, type Node, type NodeWorker } from '../node.js';
import type { World } from '../world.js';

/** After this time, a worker may give the slot of a handler that does not stop to other work. */
const ABANDON_MS = 30_000;

export class CapacityChecks {
  constructor(private readonly world: World) {}

  ofWorker(node: Node, { worker }: NodeWorker): void {
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
  withinQuotas(): void {
    for (const [which, { quota }] of this.world.program.setup.tasks.entries()) {
      if (quota === undefined) continue;
      const owned = this.world.facts.open.filter(
        ({ kind, situation }) => kind === taskName(which) && situation === 'active',
      );
      if (owned.length > quota) this.world.broken('a limit of a task holds', `${owned.length} of ${quota} are owned`);
    }
  }
}

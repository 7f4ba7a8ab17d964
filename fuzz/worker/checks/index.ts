/** Invariants at all times of a run. Those at its end are in finish.ts. */
import { taskName } from '../node.js';
import type { World } from '../world.js';
import { CHECK_EVERY_MS } from './bounds.js';
import { CallChecks } from './calls.js';
import { CapacityChecks } from './capacity.js';
import { DueWorkChecks } from './due-work.js';
import { HandlerChecks } from './handlers.js';
import { IdleWorkerChecks } from './idle-workers.js';
import { LeaseChecks } from './leases.js';
import { RenewalChecks } from './renewals.js';

export class Checks {
  readonly calls: CallChecks;
  readonly handlers: HandlerChecks;
  readonly leases: LeaseChecks;
  private readonly renewals: RenewalChecks;
  private readonly capacity: CapacityChecks;
  private readonly idleWorkers: IdleWorkerChecks;
  private readonly dueWork: DueWorkChecks;
  private checkedAt = -Infinity;

  constructor(private readonly world: World) {
    this.renewals = new RenewalChecks(world);
    this.calls = new CallChecks(world, this.renewals);
    this.handlers = new HandlerChecks(world, this.renewals);
    this.leases = new LeaseChecks(world, this.calls, this.renewals);
    this.capacity = new CapacityChecks(world);
    this.idleWorkers = new IdleWorkerChecks(world);
    this.dueWork = new DueWorkChecks(world, this.calls);
  }

  /** Checks at rest, before time advances. */
  beforeTimeMoves(next: number): void {
    const { world } = this;
    for (const node of world.living) for (const each of node.workers) this.capacity.ofWorker(node, each);
    // The remaining checks depend on time, so they need not run every millisecond.
    if (next - this.checkedAt < CHECK_EVERY_MS) return;
    this.checkedAt = world.scheduler.now();
    this.renewals.check(next);
    const idle = this.idleWorkers.idle();
    for (const execution of world.facts.executions.values()) {
      if (execution.situation === 'eligible') {
        // Metered work also waits for room.
        if (!isMetered(world, execution.kind)) this.idleWorkers.work(execution, idle, next);
      } else if (execution.situation !== 'ended') {
        this.dueWork.execution(execution, next);
        this.leases.waitingWork(execution, next);
      }
    }
    for (const call of world.facts.calls) if (call.endedAt === undefined) this.handlers.loss(call, next);
    this.dueWork.loop(next);
    for (const node of world.living) this.idleWorkers.sweep(node, idle, next);
    this.capacity.withinQuotas();
  }
}

/** Whether the task of these executions has a quota. */
const isMetered = ({ program }: World, kind: string): boolean =>
  program.setup.tasks.some(({ quota }, which) => quota !== undefined && taskName(which) === kind);

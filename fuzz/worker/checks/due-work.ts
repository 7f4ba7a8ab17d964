/** Checks that due work is applied while a healthy timer loop runs. */
import type { ExecutionFacts } from '../facts.js';
import type { Node } from '../node.js';
import { short } from '../story.js';
import type { World } from '../world.js';
import { LOOK_MS, SPREAD } from './bounds.js';
import type { CallChecks } from './calls.js';

/** With nothing due within a minute, the loop polls every 2 s, with backoff up to 2.5 times, plus a fifth. */
const LOOP_BOUND_MS = 2_000 * 2.5 * SPREAD + LOOK_MS;

export class DueWorkChecks {
  constructor(
    private readonly world: World,
    private readonly calls: CallChecks,
  ) {}

  /** Due work is applied while a healthy loop runs. */
  execution(execution: ExecutionFacts, next: number): void {
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
  loopsSince(): number {
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

  loop(next: number): void {
    const since = this.loopsSince();
    const appliedAt = Math.max(since, this.calls.dueAppliedAt);
    if (Number.isFinite(appliedAt) && next - appliedAt > LOOP_BOUND_MS)
      this.world.broken(
        'the loop looks within its poll interval',
        `no due work was applied for ${next - appliedAt} ms`,
      );
  }
}

/** Checks of handlers: when they are called, which steps they run, and that they are told when they lost their work. */
import type { HandlerCall, LeaseFacts } from '../facts.js';
import { taskName, type Node } from '../node.js';
import { short } from '../story.js';
import type { World } from '../world.js';
import { claimsUnderWayMs } from './bounds.js';
import type { RenewalChecks } from './renewals.js';

/**
 * A handler is told that its work was taken away by the next renewal, or by its own clock, ms beyond a third of the
 * lease.
 */
const TOLD_SLACK_MS = 3_000;
/** Time within which a timer aborts a handler after its timeout, ms. */
const TIMER_MS = 100;
/** A worker watches the partition of a handler that has run for this long, ms. */
const WATCHED_AFTER_MS = 500;
/** Time within which a handler learns of an announced cancellation: a renewal and its answer, ms. */
const ANNOUNCED_MS = 600;
/** Duration of the calls before a handler, at most, ms. */
const CONFIRMED_MS = 500;

export class HandlerChecks {
  /** Leases under which a handler was called. */
  readonly begun = new Set<string>();
  private readonly tokens = new Set<string>();
  /** Values of steps, once stored. */
  private readonly given = new Map<string, string>();

  constructor(
    private readonly world: World,
    private readonly renewals: RenewalChecks,
  ) {}

  called(call: HandlerCall): void {
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
    this.begun.add(call.leaseId);
    this.mayBegin(call);
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

  /** A worker that drains begins nothing that it is given afterwards, and the most urgent of its work comes first. */
  private mayBegin({ number, leaseId, executionId, process }: HandlerCall): void {
    const { facts, checks, nodes, scheduler } = this.world;
    const { received } = checks.calls;
    const lease = facts.leases.get(leaseId);
    const receivedAt = received.get(leaseId);
    const node = nodes.find(({ name }) => name === process);
    if (lease === undefined || receivedAt === undefined || node === undefined) return;
    const worker = node.workers.find(({ worker: each }) => each.workerInstanceId === lease.workerInstanceId);
    if (receivedAt > (worker?.drain?.at ?? Infinity))
      this.world.broken('a worker that drains begins nothing new', `call ${number} for ${short(executionId)}`);
    // Before a handler is called its lease is confirmed, and other work can come meanwhile.
    const before = scheduler.now() - CONFIRMED_MS;
    if (receivedAt > before || node.wellSince > before) return;
    const urgent = facts.open.find(({ leases, ...other }) => {
      const last = leases.at(-1);
      return (
        last?.workerInstanceId === lease.workerInstanceId &&
        (received.get(last.leaseId) ?? Infinity) <= before &&
        this.renewals.keeps(last.leaseId) &&
        !this.begun.has(last.leaseId) &&
        !facts.runs[other.run]?.setup.long &&
        this.priorityOf(other.run) > this.priorityOf(facts.executions.get(executionId)?.run)
      );
    });
    if (urgent !== undefined)
      this.world.broken(
        'the most urgent work of a worker begins first',
        `call ${number} for ${short(executionId)}, while ${short(urgent.executionId)} waits`,
      );
  }

  private priorityOf(run: number | undefined): number {
    return this.world.facts.runs[run ?? -1]?.setup.priority ?? 0;
  }

  /** An owner that has the steps of earlier owners repeats none of them. One that was overtaken cannot know. */
  stepCalled(call: HandlerCall, name: string): void {
    if (this.owns(call) && this.world.facts.hasStep(call.executionId, name))
      this.world.broken(
        'no step is run again after its value was stored',
        `call ${call.number} for ${short(call.executionId)} runs ${name}`,
      );
  }

  /** A stored value of a step is returned in every later call. */
  stepGave(call: HandlerCall, name: string, key: string, value: string): void {
    if (!this.owns(call) || !this.world.facts.hasStep(call.executionId, name)) return;
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

  /** Handlers of the same process learn of a cancellation at once. */
  cancelled(node: Node, executionId: string): void {
    for (const call of this.world.facts.callsOf(executionId))
      if (call.process === node.name && call.looks && call.endedAt === undefined && call.toldAt() === undefined)
        this.world.broken(
          'a handler is told when its work is taken away',
          `call ${call.number} runs on, untold, although its own process cancelled it`,
        );
  }

  /** A handler is soon told that it has lost its work. */
  loss(call: HandlerCall, next: number): void {
    const node = this.world.nodes.find(({ name }) => name === call.process);
    const lease = this.world.facts.leases.get(call.leaseId);
    if (!call.looks || call.toldAt() !== undefined || lease === undefined || !node?.alive) return;
    const wellSince = Math.max(call.startedAt, node.wellSince, node.process.blockedUntil);
    const endedAt = lease.endedAt ?? Infinity;
    const renewalMs = node.setup.leaseTtlMs / 3 + TOLD_SLACK_MS;
    this.toldWithin(renewalMs, call, next - Math.max(endedAt, wellSince), lease.endedBy);
    // Its worker's clock is behind the server's by the time that the answer to the claim took.
    const behindMs = (this.world.checks.calls.received.get(call.leaseId) ?? Infinity) - lease.claimedAt;
    const deadlineAt = this.world.facts.executions.get(call.executionId)?.deadlineAt ?? Infinity;
    const timeAt = Math.min(lease.attemptTimeoutAt ?? Infinity, deadlineAt) + behindMs;
    this.toldWithin(TIMER_MS, call, next - Math.max(timeAt, wellSince), 'the end of its time');
    if (!node.isBeginning(call.executionId)) this.timeoutRuns(call, lease, next - wellSince);
    // The server announces the end if a worker has asked for it, and the announcement must arrive.
    if (lease.endedBy !== 'execution_cancelled' || endedAt < Math.max(node.hearsSince, wellSince)) return;
    const heardAt = Math.max(endedAt, call.startedAt + WATCHED_AFTER_MS);
    this.toldWithin(ANNOUNCED_MS, call, next - heardAt, 'the announcement of its end');
  }

  /** The timeout of an attempt that was claimed ahead begins with its handler. */
  private timeoutRuns({ number, executionId }: HandlerCall, lease: LeaseFacts, sinceMs: number): void {
    const { facts, program } = this.world;
    const kind = facts.executions.get(executionId)?.kind;
    const hasTimeout = program.setup.tasks.some(
      ({ attemptTimeoutMs }, which) => attemptTimeoutMs !== undefined && taskName(which) === kind,
    );
    if (hasTimeout && lease.endedAt === undefined && lease.attemptTimeoutAt === undefined && sinceMs > ANNOUNCED_MS)
      this.world.broken(
        'the timeout of an attempt begins with its handler',
        `call ${number} for ${short(executionId)}`,
      );
  }

  private toldWithin(boundMs: number, call: HandlerCall, lateMs: number, what: string | undefined): void {
    const node = this.world.nodes.find(({ name }) => name === call.process);
    if (node !== undefined && lateMs > boundMs + claimsUnderWayMs(node))
      this.world.broken(
        'a handler is told when its work is taken away',
        `call ${call.number} runs on, untold, ${lateMs} ms after ${what}`,
      );
  }
}

/** One process of the deployment: an app over its own connection, its workers, and observations of them. */
import { app, backoff, type App, type Flow, type Task, type Worker, type WorkerEvents } from '../../src/index.js';
import { seededUuids } from '../../src/testing/index.js';
import { SimulatedConnection, SimulatedProcess, type ObservedCall } from '../../src/testing/simulation/index.js';
import { attemptFinished } from './checks/reasons.js';
import type { ExecutionFacts } from './facts.js';
import { Flows } from './flows.js';
import type { FlowSetup } from './flow-program.js';
import { playing } from './handlers.js';
import type { Input } from './input.js';
import type { WorkerSetup } from './program.js';
import { callText, wakeText } from './story.js';
import type { World } from './world.js';

/** A cause that can block a process. */
export interface Trouble {
  readonly kind: 'blocked' | 'fault';
  readonly from: number;
  to: number;
}

export interface NodeWorker {
  readonly worker: Worker;
  /** Counted from events, by execution. */
  readonly claimed: Map<string, number>;
  readonly finished: Map<string, number>;
  /** Work that it could do at every check while it was idle, and since when. */
  readonly seen: Map<ExecutionFacts, { readonly since: number; readonly at: number }>;
  seenClaimed: number;
  /** Whether it has reported idle since it finished something. */
  saidIdle: boolean;
  /** It claimed before listeners could be attached. */
  readonly missedEvents: boolean;
  /** Number of its attempts that ended in a way, by execution and outcome. */
  readonly outcomes: Map<string, number>;
  drain: { readonly at: number; readonly ms: number } | undefined;
  drained: boolean;
}

export const CALL_TIMEOUT_MS = 5_000;
/** Calls with backoff are repeated within this time after a fault, ms. */
const RECOVERY_MS = 12_000;

export class Node {
  readonly process: SimulatedProcess;
  readonly connection: SimulatedConnection;
  readonly app: App;
  readonly tasks: readonly Task<Input, unknown>[];
  readonly child: Task<Input, unknown>;
  readonly flow: Flow<FlowSetup, unknown>;
  readonly probe: Task<undefined, void>;
  readonly workers: NodeWorker[] = [];
  readonly troubles: Trouble[] = [];
  readonly startedAt: number;
  /** Since when every wake reaches it. */
  hearsSince: number;
  /** When it last looked for work. */
  lookedAt: number;
  probing = 0;
  /** It was asked to close: its loop may have ended. */
  closing = false;
  closed = false;
  private wellAgainAt = -Infinity;
  private gate: () => void = () => undefined;
  private opened: Promise<void>;

  constructor(
    readonly name: string,
    readonly setup: WorkerSetup,
    private readonly world: World,
    index: number,
  ) {
    const { scheduler, server, program } = world;
    const { seed, latencyMs } = program.setup;
    this.startedAt = this.lookedAt = this.hearsSince = scheduler.now();
    // Its own origin, with a fraction, as for real monotonic clocks.
    this.process = new SimulatedProcess(name, scheduler, {
      seed: seed * 31 + index,
      clockOffsetMs: -scheduler.now() + 1_234.25 * index,
    });
    this.opened = new Promise((resolve) => (this.gate = resolve));
    this.connection = new SimulatedConnection({
      ...{ scheduler, server, latencyMs, process: this.process, callTimeoutMs: CALL_TIMEOUT_MS },
      observer: {
        made: (call) => this.callMade(call),
        settled: (call) => this.callSettled(call),
        woken: (wake) => world.tell(name, () => wakeText(wake)),
        listenerThrew: (error) => world.broken('no listener of wakes throws', String(error)),
      },
    });
    this.app = app({ backend: this.connection.backend, clock: this.process, ids: seededUuids(`${seed}:${index}`) });
    this.tasks = program.setup.tasks.map((task, which) =>
      this.app.task(
        taskName(which),
        {
          ...(task.sharesLane ? { lane: SHARED_LANE } : {}),
          ...(task.needsGpu ? { needs: ['gpu'] } : {}),
          ...(task.quota === undefined ? {} : { quota: { concurrency: task.quota } }),
          retry: { failures: task.failures, crashes: task.crashes, backoff: backoff.fixed(task.backoffMs) },
          timeout: {
            ...(task.attemptTimeoutMs === undefined ? {} : { attempt: task.attemptTimeoutMs }),
            ...(task.totalMs === undefined ? {} : { total: task.totalMs }),
          },
        },
        playing(world, this),
      ),
    );
    this.child = this.app.task(CHILD, { retry: { failures: 0, crashes: 1_000 } }, playing(world, this));
    this.flow = Flows.declare(this);
    this.probe = this.app.task(`probe-${name}`, async (): Promise<void> => {
      this.probing++;
      await this.untilReleased();
      this.probing--;
    });
  }

  get alive(): boolean {
    return !this.process.dead && !this.closed;
  }

  /** Starts a worker; it runs when its promise resolves, which takes time. */
  startWorker(): void {
    const { slots, claimAhead, leaseTtlMs, sweepMs, drainMs, gpu, loop } = this.setup;
    this.world.tell(
      this.name,
      `starts a worker: ${slots} slots, ${claimAhead} ahead, lease ${leaseTtlMs} ms${gpu ? ', gpu' : ''}`,
    );
    const started = this.app.worker({
      ...{ slots, claimAhead, leaseTtl: leaseTtlMs, sweepInterval: sweepMs, drainTimeout: drainMs, engine: loop },
      capabilities: gpu ? ['gpu'] : [],
      tasks: [...this.tasks.filter((_, which) => which !== this.setup.without), this.child, this.probe],
    });
    started.then(
      (worker) => this.watch(worker),
      (error: unknown) => this.world.broken('a worker starts whatever calls do', String(error)),
    );
  }

  /** The kinds that its workers have handlers for. */
  handles(kind: string): boolean {
    return kind === CHILD || this.tasks.some(({ name }, which) => name === kind && which !== this.setup.without);
  }

  serves(laneId: string): boolean {
    return laneId === CHILD || this.tasks.some(({ lane }, which) => lane === laneId && which !== this.setup.without);
  }

  private watch(worker: Worker): void {
    const own: NodeWorker = {
      worker,
      claimed: new Map(),
      finished: new Map(),
      seen: new Map(),
      seenClaimed: 0,
      saidIdle: true,
      missedEvents: worker.stats().claimed > 0,
      outcomes: new Map(),
      drain: undefined,
      drained: false,
    };
    this.workers.push(own);
    const tell = (text: string): void => this.world.tell(this.name, text);
    worker.on('claimed', ({ executionId }) => {
      own.saidIdle = false;
      count(own.claimed, executionId);
    });
    worker.on('idle', () => (own.saidIdle = true));
    worker.on('finished', (event) => {
      count(own.finished, event.executionId);
      attemptFinished(this.world, own, event);
      this.world.checks.leases.leftHand(own, event.executionId);
      tell(`finished ${this.world.nameOf(event.executionId)}: ${event.outcome}`);
    });
    worker.on('leaseLost', (event) => {
      tell(`lease lost of ${this.world.nameOf(event.executionId)}: ${event.reason}`);
      this.world.checks.leases.leaseLost(this, own, event);
    });
    worker.on('error', ({ error }: WorkerEvents['error']) => tell(`worker error: ${String(error)}`));
  }

  drain(which: NodeWorker, ms: number): void {
    if (which.drain !== undefined) return;
    which.drain = { at: this.world.scheduler.now(), ms };
    const limitMs = this.world.scheduler.now() + ms + DRAIN_BOUND_MS;
    which.worker.drain({ timeout: ms }).then(
      () => {
        which.drained = true;
        this.world.tell(this.name, 'drained');
        this.world.checks.leases.drained(this, which, limitMs);
      },
      (error: unknown) => this.world.broken('a drain ends well', String(error)),
    );
  }

  kill(): void {
    this.process.kill();
    this.connection.kill();
  }

  block(ms: number): Promise<void> {
    const now = this.world.scheduler.now();
    const from = Math.max(now, this.process.blockedUntil);
    this.troubled({ kind: 'blocked', from, to: from + ms });
    this.world.tell(this.name, `event loop blocked for ${ms} ms`);
    return this.process.block(ms);
  }

  private troubled(trouble: Trouble): void {
    this.troubles.push(trouble);
    this.wellAgainAt = Math.max(this.wellAgainAt, trouble.to + RECOVERY_MS);
  }

  /** Hanging handlers continue. */
  release(): void {
    this.gate();
    this.opened = new Promise((resolve) => (this.gate = resolve));
  }

  /** Handlers do not hang from now on. */
  openForGood(): void {
    this.gate();
    this.opened = Promise.resolve();
  }

  untilReleased(): Promise<void> {
    return this.opened;
  }

  /** How long the process was blocked within this span, ms; a fault counts with the time of a retry. */
  troubleWithin(from: number, to: number): { blockedMs: number; faultMs: number } {
    const sums = { blockedMs: 0, faultMs: 0 };
    let faults = 0;
    const underWay = [...this.connection.inFlight].filter(({ fault }) => fault !== undefined);
    for (const trouble of [
      ...this.troubles,
      ...underWay.map(({ madeAt }): Trouble => ({ kind: 'fault', from: madeAt, to })),
    ]) {
      const overlapMs = Math.min(to, trouble.to) - Math.max(from, trouble.from);
      if (overlapMs < 0) continue;
      if (trouble.kind === 'blocked') sums.blockedMs += overlapMs;
      else sums.faultMs += overlapMs + 1_000 * 1.5 ** faults++;
    }
    return sums;
  }

  /** Since when nothing has blocked it, and all backed-off calls have been repeated. */
  get wellSince(): number {
    return this.wellAgainAt;
  }

  /** Whether a call that starts the timeout of the execution's attempt is not answered yet. */
  isBeginning(executionId: string): boolean {
    return [...this.connection.inFlight].some(({ commands }) =>
      commands.some(
        ({ name, args }) => name === 'beginAttempt' && (args as { executionId: string }).executionId === executionId,
      ),
    );
  }

  private callMade(call: ObservedCall): void {
    if (call.names.includes('claimForWorker') || call.names.includes('listQueueHeads')) this.lookedAt = call.madeAt;
    this.world.checks.calls.callMade(this, call);
  }

  private callSettled(call: ObservedCall): void {
    const { madeAt: from, settledAt: to = from, fault } = call;
    if (fault !== undefined || to - from > 100) this.troubled({ kind: 'fault', from, to });
    if (fault !== undefined || call.error !== undefined || call.commands.length > 0)
      this.world.tell(this.name, () => callText(call));
    this.world.checks.calls.callSettled(this, call);
  }
}

/** Duration of a drain beyond the time for handlers: the last calls, the last renewals, ms. */
const DRAIN_BOUND_MS = 5_000 + 5_000 + 100;

const SHARED_LANE = 'shared';
/** The task of all children and members of flows, and its lane. */
export const CHILD = 'child';
export const taskName = (which: number): string => `task-${which}`;

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

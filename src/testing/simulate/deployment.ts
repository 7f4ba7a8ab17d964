/** One run of a scenario: a store, the process of the scenario, and a process for each worker, under virtual time. */
import { LIMITS } from '../../../model/limits.js';
import type { insideOf } from '../../app/app.js';
import { hasEnded } from '../../app/flow/listed-members.js';
import { countRuns } from '../../app/operating/counts.js';
import { AppRuntime, type RuntimeOptions } from '../../app/runtime.js';
import { settingsOf, type WorkerOptions } from '../../app/workers/options.js';
import type { Backend, Command } from '../../engine/index.js';
import { explain } from '../../engine/explain.js';
import { memory } from '../../memory/index.js';
import { durationMs, type Duration } from '../../shared/duration.js';
import { InvalidDefinitionError } from '../../shared/errors.js';
import { silentLogger } from '../../shared/logger.js';
import type { Worker } from '../../worker/api.js';
import { realSetTimeout } from '../real-timers.js';
import { seededAscendingUuids } from '../seeded-ids.js';
import type { Fault } from '../simulation/faults.js';
import { SimulatedLink } from '../simulation/link.js';
import { SimulatedProcess } from '../simulation/process.js';
import { Scheduler, type Loop } from '../simulation/scheduler.js';
import { SimulatedServer } from '../simulation/server.js';
import { Story } from '../simulation/story.js';
import { DEFAULT_START, SELDOM_ASKING } from '../test-app.js';
import { faultsAt, type FaultKind, type PlacedFault } from './schedule.js';
import { Watch } from './watch.js';
import { WorkerGroup } from './worker-group.js';

export type Inside = NonNullable<ReturnType<typeof insideOf>>;

/** The code under test. */
export interface Code {
  /** Loads it for one process. */
  load(): Promise<Inside>;
  /** Whether all processes share what was loaded. */
  readonly isShared: boolean;
}

export interface DeploymentOptions {
  readonly code: Code;
  readonly seed: number;
  readonly schedule: readonly PlacedFault[];
  /** Opens the store under a clock. Default in memory. */
  readonly openStore?: ((now: () => number) => Backend) | undefined;
}

const LATENCY_MS = 1;
const CALL_TIMEOUT_MS = 5_000;
/** A process that died, or stands still, is replaced after this time, ms. */
const REPLACED_AFTER_MS = 1_000;
/** Leases for which a process stands still. */
const PAUSE_LEASES = 3;
const SLOW_MS = 4_000;
/** What has come to rest must stay so for this time, ms. */
const REST_MS = 5_000;
/** Moves of the clock within which a scenario must end, and something must happen, unless it asked for time to pass. */
const MAX_MOVES = 100_000;
const MAX_QUIET_MOVES = 1_000;
/** How long it may wait when no time can pass, in real ms. */
const IDLE_MS = 2_000;
/** Ends a stretch of time. */
const STOP = Symbol('stop');
const STUCK = Symbol('stuck');

/** Calls of a worker that no handler depends on. */
const HOUSEKEEPING: ReadonlySet<string> = new Set([
  ...['registerWorker', 'heartbeatWorker', 'markWorkerDead', 'applyDue', 'serverTime', 'listQueueHeads', 'ping'],
  ...['listMeteredHeads', 'listExecutionSummaries'],
  ...['onWake', 'onAnnouncement', 'onFrames', 'listLanes', 'readLog', 'watchEnds'],
]);

interface Place {
  readonly process: SimulatedProcess;
  readonly link: SimulatedLink;
  readonly group?: WorkerGroup | undefined;
  readonly options: WorkerOptions;
  readonly died: Promise<void>;
  die(): void;
}

export class Deployment {
  readonly scheduler = new Scheduler(DEFAULT_START);
  readonly server: SimulatedServer;
  readonly story = new Story(DEFAULT_START, true);
  /** The calls of workers so far, and the faults that they met. */
  calls = 0;
  faults = 0;
  failure: { readonly error: unknown } | undefined;
  private readonly caller: Place;
  private readonly places: Place[] = [];
  private readonly loading = new Set<Promise<unknown>>();
  /** The processes for which the scenario or a fake lets time pass. */
  private readonly passing = new Set<{ readonly loop: Loop }>();
  /** Moves of the clock since something has happened. */
  private quietMoves = 0;
  private readonly watch = new Watch({
    tell: (text, actor = this.running.name) => this.tell(actor, text),
    fail: (error) => this.fail(error),
  });
  private readonly schedule: ReadonlyMap<number, FaultKind>;
  /** Processes that are about to start. */
  private starting = 0;

  constructor(private readonly options: DeploymentOptions) {
    const { openStore, schedule } = options;
    this.schedule = faultsAt(schedule);
    const { now } = this.scheduler;
    const store =
      openStore?.(now) ?? memory({ now, partitions: { count: 1 }, retentionMs: durationMs(LIMITS.maxDurationMs) });
    this.server = new SimulatedServer({
      ...{ scheduler: this.scheduler, partitions: 1, store },
      onEvent: (event) => {
        // A handler that never ends renews its lease all the same.
        if (event.event.type !== 'lease_renewed') this.quietMoves = 0;
        this.watch.logged(event);
      },
    });
    this.caller = this.place('scenario', {});
  }

  /** Plays the scenario to its end: what it threw, or another failure, is in `failure`. */
  async play(scenario: (inside: Inside) => unknown): Promise<void> {
    const unhandled = (error: unknown): void => this.fail(new Error('a rejection is left unhandled', { cause: error }));
    const inside = await this.options.code.load();
    if (inside.isUsed)
      throw new InvalidDefinitionError(
        'simulate: the app is in use: it has connected to its backend, or an earlier testApp(app) is still open',
        'Call simulate before anything else is done with the app in this test.',
      );
    const restore = inside.tasks.keep();
    inside.replaceRuntime({
      ...this.runtimeOptions(inside, this.caller),
      startWorker: (options) => this.startWorker(options),
    });
    const all = async (): Promise<void> => {
      await scenario(inside);
      await this.settled();
    };
    process.on('unhandledRejection', unhandled);
    try {
      await this.passUntilSettled(all());
    } catch (error) {
      this.fail(error);
    } finally {
      for (const place of this.places) this.kill(place);
      restore();
      inside.replaceRuntime(undefined);
      process.off('unhandledRejection', unhandled);
    }
  }

  /** Lets time pass for the scenario. */
  advance(duration: Duration): Promise<void> {
    return this.pass(this.caller.process, durationMs(duration));
  }

  /** Lets time pass for the process that calls. */
  takes(duration: Duration): Promise<void> {
    return this.pass(this.running, durationMs(duration));
  }

  private async pass(loop: Loop, ms: number): Promise<void> {
    const passing = { loop };
    this.passing.add(passing);
    const { scheduler } = this;
    await new Promise<void>((resolve) => scheduler.at(loop, 'timer', scheduler.now() + Math.max(1, ms), resolve));
    this.passing.delete(passing);
  }

  /** Resolves when nothing is left to do. */
  async settled(): Promise<void> {
    for (;;) {
      const isAtRest = await this.isAtRest();
      const next = this.scheduler.times().find((at) => at > this.scheduler.now()) ?? Infinity;
      await this.caller.process.sleep(isAtRest ? REST_MS : Math.min(REST_MS * 1_000, next - this.scheduler.now()));
      if (isAtRest && (await this.isAtRest())) return;
    }
  }

  private async isAtRest(): Promise<boolean> {
    const now = this.scheduler.now();
    if (this.starting > 0 || this.places.some(({ process }) => !process.dead && process.blockedUntil > now))
      return false;
    const { states } = await countRuns(this.server.store, (read) => read());
    const numberOf = (...names: (keyof typeof states)[]): number =>
      names.reduce((sum, name) => sum + (states[name] ?? 0), 0);
    if (numberOf('active', 'delayed', 'rate_limited') > 0) return false;
    return numberOf('suspended') > 0 || numberOf('waiting', 'waiting_children') === 0;
  }

  private async passUntilSettled(work: Promise<void>): Promise<void> {
    let settled: { readonly error?: unknown } | undefined;
    work.then(
      () => (settled = {}),
      (error: unknown) => (settled = { error }),
    );
    const isOver = (): boolean => settled !== undefined || this.failure !== undefined;
    let [moves, idleMs] = [0, 0];
    while (!isOver()) {
      await Promise.allSettled(this.loading);
      await this.scheduler
        .advanceTo(DEFAULT_START + LIMITS.maxDurationMs, () => {
          if (isOver() || this.loading.size > 0 || this.scheduler.times().length === 0) throw STOP;
          if ([...this.passing].some(({ loop }) => !loop.dead)) return;
          if (++moves > MAX_MOVES || ++this.quietMoves > MAX_QUIET_MOVES) throw STUCK;
        })
        .catch(async (error: unknown) => {
          if (error !== STOP) throw error === STUCK ? await this.stuck() : error;
        });
      if (isOver() || this.loading.size > 0) continue;
      if (++idleMs > IDLE_MS) throw await this.stuck();
      await new Promise((resolve) => realSetTimeout(resolve, 1));
    }
    if (settled !== undefined && 'error' in settled) throw settled.error;
  }

  private async stuck(): Promise<Error> {
    const { store } = this.server;
    const open: string[] = [];
    for (const [executionId, name] of this.watch.names) {
      const info = await store.readExecutionInfo({ executionId }).catch(() => undefined);
      if (info === undefined || hasEnded(info)) continue;
      open.push(`${name}: ${(await explain(store, executionId)).sentence}`);
    }
    const minutes = Math.round((this.scheduler.now() - DEFAULT_START) / 60_000);
    return new Error(
      `after ${minutes} minutes of virtual time nothing happens any more that could end the scenario; if it waits for a time, let it pass with advance(). ${open.join(' ') || 'Every run has ended.'}`,
    );
  }

  private get running(): SimulatedProcess {
    const { running } = this.scheduler;
    return running instanceof SimulatedProcess ? running : this.caller.process;
  }

  private tell(actor: string, text: string): void {
    this.story.tell(this.scheduler.now(), actor, text);
  }

  private fail(error: unknown): void {
    this.failure ??= { error };
  }

  // Processes.

  private place(name: string, options: WorkerOptions, group?: WorkerGroup): Place {
    const { scheduler, server } = this;
    const index = this.places.length;
    const process = new SimulatedProcess(name, scheduler, {
      seed: this.options.seed * 31 + index,
      clockOffsetMs: 1_234.25 * index - DEFAULT_START,
    });
    const faultOf = (names: readonly string[], commands: readonly Command[]): Fault | undefined =>
      group && this.met(place, names, commands);
    const link = new SimulatedLink({
      ...{ scheduler, server, process, latencyMs: LATENCY_MS, callTimeoutMs: CALL_TIMEOUT_MS, faultOf },
    });
    let die: () => void = () => undefined;
    const died = new Promise<void>((resolve) => (die = resolve));
    const place: Place = { process, link, group, options, died, die };
    this.places.push(place);
    return place;
  }

  private runtimeOptions(inside: Inside, { process, link }: Place): RuntimeOptions {
    return {
      ...inside.runtimeOptions,
      ...SELDOM_ASKING,
      ...{ source: link.backend, closesBackend: true, log: silentLogger, clock: process },
      ids: seededAscendingUuids(`${this.options.seed} ${process.name}`, this.scheduler.now),
    };
  }

  private async startWorker(options: WorkerOptions): Promise<Worker> {
    const group = new WorkerGroup();
    await Promise.race([group.started, this.start(group, options).then(() => group.started)]);
    return group;
  }

  /** Starts a process with a worker. @throws what the code or the worker throws */
  private async start(group: WorkerGroup, options: WorkerOptions): Promise<void> {
    const place = this.place(`worker ${this.places.length}`, options, group);
    this.tell(place.process.name, 'starts');
    const { code } = this.options;
    const load = code.load();
    this.loading.add(load);
    const inside = await load.finally(() => this.loading.delete(load));
    this.watch.watch(inside.tasks);
    const runtimeOptions = this.runtimeOptions(inside, place);
    if (!code.isShared) inside.replaceRuntime(runtimeOptions);
    const host = code.isShared ? new AppRuntime(runtimeOptions, inside.tasks) : inside;
    const worker = await host.worker({ ...options, handleSignals: false });
    group.add({ worker, died: place.died });
  }

  private replace({ group, options }: Place): void {
    if (group === undefined) return;
    this.starting++;
    // By a loop of its own: the process may be dead.
    this.scheduler.at(this.server, 'timer', this.scheduler.now() + REPLACED_AFTER_MS, () => {
      this.starting--;
      if (group.ended) return;
      this.start(group, options).catch((error: unknown) => this.fail(error));
    });
  }

  private kill({ process, link, die }: Place): void {
    process.kill();
    link.kill();
    die();
  }

  // Faults.

  private met(place: Place, names: readonly string[], commands: readonly Command[]): Fault | undefined {
    if (place.process.dead || names.every((name) => HOUSEKEEPING.has(name))) return undefined;
    const kind = this.schedule.get(++this.calls);
    if (kind === undefined) return undefined;
    this.faults++;
    const own = commands.filter(({ name }) => !HOUSEKEEPING.has(name));
    const call = this.watch.callText(names, own);
    const tell = (text: string): void => this.tell(place.process.name, `${text} [${kind}@${this.calls}]`);
    const pauseMs = PAUSE_LEASES * settingsOf(place.options).leaseTtlMs;
    switch (kind) {
      case 'crash_before':
      case 'crash_after': {
        const isSent = kind === 'crash_after';
        tell(isSent ? `CRASHES when it has sent ${call}` : `CRASHES before it sends ${call}`);
        this.kill(place);
        this.replace(place);
        return isSent ? undefined : { kind: 'never_arrives' };
      }
      case 'pause_before':
      case 'pause_after': {
        const isSent = kind === 'pause_after';
        tell(`STANDS STILL for ${pauseMs} ms ${isSent ? 'when it has sent' : 'before it sends'} ${call}`);
        void place.process.block(pauseMs);
        this.replace(place);
        return isSent ? undefined : { kind: 'held', byMs: pauseMs };
      }
      case 'answer_lost':
        tell(`LOSES THE ANSWER to ${call}, which is carried out`);
        return { kind: 'answer_lost' };
      case 'call_failed':
        tell(`CANNOT SEND ${call}`);
        return { kind: 'not_sent' };
      case 'slow':
        tell(`waits ${SLOW_MS} ms for the answer to ${call}`);
        return { kind: 'slow', byMs: SLOW_MS / 2 };
    }
  }
}

/**
 * A world for planners: a store with queues, workers of one or more processes that claim from it, and time that only
 * moves when it is told to. Calls are under way until they are answered or fail; wakes can be lost.
 */
import { Abilities } from '../../src/claiming/abilities.js';
import { Leads } from '../../src/claiming/leads.js';
import type { LaneAnswer, PlannedClaim, WorkWake } from '../../src/claiming/plan.js';
import { Planner } from '../../src/claiming/planner.js';

export interface Work {
  readonly id: number;
  readonly laneId: string;
  readonly partition: string;
  readonly kind: string;
  readonly priority: number;
}

export interface WorkerSpec {
  /** Workers of one process share leads. */
  readonly process: number;
  readonly slots: number;
  readonly claimAhead: number;
  readonly lanes: readonly string[];
  /** Undefined: claims bring work of any kind. */
  readonly kinds: readonly string[] | undefined;
}

export interface WorldOptions {
  readonly workers: readonly WorkerSpec[];
  readonly partitions: readonly string[];
  /** Who tells kinds and priorities. */
  readonly telling: 'nobody' | 'wakes' | 'wakes and claims';
  readonly chance: () => number;
}

interface Flight {
  readonly worker: SimulatedWorker;
  readonly claim: PlannedClaim;
}

export const SWEEP_MS = 5_000;
const IDLE_STEP_MS = 20;

export class SimulatedWorker {
  /** In hand, oldest first. */
  readonly hand: Work[] = [];
  pollAt = Infinity;

  constructor(
    readonly spec: WorkerSpec,
    readonly planner: Planner,
  ) {}

  get room(): number {
    return this.spec.slots + this.spec.claimAhead;
  }

  canRun({ laneId, kind }: Work): boolean {
    return this.spec.lanes.includes(laneId) && (this.spec.kinds?.includes(kind) ?? true);
  }
}

export class World {
  now = 0;
  claims = 0;
  readonly workers: SimulatedWorker[];
  readonly flights: Flight[] = [];
  /** In the order of their starts. */
  readonly started: Work[] = [];
  done = 0;
  private readonly waiting = new Map<string, Work[]>();
  private created = 0;

  constructor(private readonly options: WorldOptions) {
    const processes = new Map<number, Leads>();
    this.workers = options.workers.map((spec) => {
      const leads = processes.get(spec.process) ?? new Leads();
      processes.set(spec.process, leads);
      const planner = new Planner({
        ...spec,
        leads,
        abilities: new Abilities([], spec.kinds),
        partitions: options.partitions,
        sweepIntervalMs: SWEEP_MS,
        chance: options.chance,
      });
      return new SimulatedWorker(spec, planner);
    });
  }

  start(): void {
    for (const worker of this.workers) {
      worker.planner.start(this.now);
      this.pump(worker);
    }
  }

  get left(): number {
    return [...this.waiting.values()].reduce((sum, queue) => sum + queue.length, 0);
  }

  waitingAt(laneId: string, partition: string): number {
    return this.queue({ laneId, partition }).length;
  }

  /** New work; the wake is told when the head of its queue is new and better, unless it is lost. */
  create(work: Omit<Work, 'id'>, lost = false): Work {
    const made = { ...work, id: this.created++ };
    const queue = this.queue(work);
    const head = queue.filter(({ kind }) => kind === work.kind)[0];
    queue.push(made);
    queue.sort((a, b) => b.priority - a.priority || a.id - b.id);
    if (!lost && (head === undefined || work.priority > head.priority)) this.wake(made);
    return made;
  }

  /** The answer to a claim arrives; the store gives what is there by then. */
  answer(index: number): void {
    const flight = this.takeFlight(index);
    if (flight === undefined) return;
    const { worker, claim } = flight;
    const answers = claim.lanes.map(({ place, count }): LaneAnswer => {
      const got = this.take(worker, place.laneId, place.partition, count);
      const last = got.at(-1);
      this.receive(worker, got);
      return {
        got: got.length,
        lastPriority: this.options.telling === 'wakes and claims' ? last?.priority : undefined,
      };
    });
    worker.planner.answered(claim, answers, this.now);
    this.pumpProcess(worker);
  }

  /** The call of a claim fails before the store saw it. */
  fail(index: number, wide: boolean): void {
    const flight = this.takeFlight(index);
    if (flight === undefined) return;
    flight.worker.planner.failed(flight.claim, wide, this.now);
    this.pumpProcess(flight.worker);
  }

  /** The work that a worker has had the longest is done; what waits in the worker starts. */
  finish(worker: SimulatedWorker): void {
    const work = worker.hand.shift();
    if (work === undefined) return;
    this.done++;
    const next = worker.hand[worker.spec.slots - 1];
    if (next !== undefined) this.started.push(next);
    worker.planner.finished(work.partition);
    this.pump(worker);
  }

  resync(): void {
    for (const worker of this.workers) {
      worker.planner.resynced(this.now);
      this.pump(worker);
    }
  }

  /** Time passes; every timer fires at its time. */
  pass(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const [next] = [...this.workers].sort((a, b) => a.pollAt - b.pollAt);
      if (next === undefined || next.pollAt > until) break;
      this.now = Math.max(this.now + 0.001, next.pollAt);
      this.pump(next);
    }
    this.now = until;
  }

  /** Answers and work take no time from now on, until nothing is under way or in hand. */
  settle(): void {
    while (this.flights.length > 0 || this.workers.some(({ hand }) => hand.length > 0)) {
      while (this.flights.length > 0) this.answer(0);
      for (const worker of this.workers) this.finish(worker);
    }
  }

  /** Time passes in which calls are answered at once and nothing else happens. */
  idle(ms: number): void {
    for (const until = this.now + ms; this.now < until; ) {
      this.pass(IDLE_STEP_MS);
      this.settle();
    }
  }

  private wake({ laneId, partition, kind, priority }: Work): void {
    const { telling } = this.options;
    const wake: WorkWake = {
      kind: 'work',
      laneId,
      partition,
      requiredCapabilities: [],
      ...(telling !== 'nobody' ? { executionKind: kind, priority } : {}),
    };
    for (const worker of this.workers) {
      worker.planner.woken(wake, this.now);
      this.pump(worker);
    }
  }

  private pumpProcess(worker: SimulatedWorker): void {
    for (const other of this.workers) if (other.spec.process === worker.spec.process) this.pump(other);
  }

  private pump(worker: SimulatedWorker): void {
    const { claims, pollAt } = worker.planner.plan(this.now);
    worker.pollAt = pollAt;
    for (const claim of claims) {
      this.claims += claim.lanes.length;
      this.flights.push({ worker, claim });
    }
    this.check(worker, claims);
  }

  /** What must always hold. */
  private check(worker: SimulatedWorker, claims: readonly PlannedClaim[]): void {
    let asked = 0;
    for (const flight of this.flights)
      if (flight.worker === worker) for (const { count } of flight.claim.lanes) asked += count;
    if (worker.hand.length + asked > worker.room)
      throw new Error(`${worker.hand.length} in hand and ${asked} asked for are more than ${worker.room}`);
    for (const { lanes } of claims) {
      for (const { place, count, leads } of lanes) {
        if (count < 1) throw new Error(`a claim of ${count}`);
        if (!worker.spec.lanes.includes(place.laneId)) throw new Error(`a claim in lane ${place.laneId}`);
        for (const { inFlight, maxInFlight } of leads)
          if (inFlight > maxInFlight) throw new Error(`${inFlight} in flight where ${maxInFlight} may be`);
      }
    }
    const { mode } = worker.planner;
    const hasRoom = worker.hand.length + asked < worker.spec.slots;
    if (hasRoom && mode === 'full') throw new Error('full with free slots');
    if (hasRoom && !(worker.pollAt <= this.now + SWEEP_MS))
      throw new Error(`plans again after ${worker.pollAt - this.now} ms`);
    if (hasRoom && !(worker.pollAt > this.now)) throw new Error('plans again at once, and so for ever');
  }

  private takeFlight(index: number): Flight | undefined {
    return this.flights.length === 0 ? undefined : this.flights.splice(index % this.flights.length, 1)[0];
  }

  private queue({ laneId, partition }: { laneId: string; partition: string }): Work[] {
    const key = `${laneId} ${partition}`;
    let queue = this.waiting.get(key);
    if (queue === undefined) this.waiting.set(key, (queue = []));
    return queue;
  }

  private take(worker: SimulatedWorker, laneId: string, partition: string, count: number): Work[] {
    const queue = this.queue({ laneId, partition });
    const taken = queue.filter((work) => worker.canRun(work)).slice(0, count);
    for (const work of taken) queue.splice(queue.indexOf(work), 1);
    return taken;
  }

  private receive(worker: SimulatedWorker, got: readonly Work[]): void {
    const { hand, spec } = worker;
    for (const work of got) {
      if (hand.length < spec.slots) {
        hand.push(work);
        this.started.push(work);
        continue;
      }
      // What waits in the worker is in order of priority.
      const before = hand.findLastIndex(({ priority }, index) => index < spec.slots || priority >= work.priority);
      hand.splice(before + 1, 0, work);
    }
  }
}

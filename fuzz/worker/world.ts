/** A deployment under virtual time, driven by a program and observed by the checks. */
import type { Wake } from '../../src/engine/index.js';
import { Scheduler, SimulatedServer, Story } from '../../src/testing/simulation/index.js';
import { partitionOfExecution } from '../../model/ids.js';
import { LIMITS } from '../../model/limits.js';
import { Callbacks } from './callbacks.js';
import { Checks } from './checks/index.js';
import { Flows } from './flows.js';
import { Facts, type ExecutionFacts, type RunFacts } from './facts.js';
import { Grants } from './grants.js';
import { Node, type NodeWorker } from './node.js';
import type { Move, Program, WorkerSetup } from './program.js';
import { faultText, short } from './story.js';
import { Waits, type SignalName } from './waits.js';

const FILLER = '.'.repeat(LIMITS.maxClaimedInputBytes);
const START_AT = 1_700_000_000_000;
/** A failed subscription is restored within this time once calls succeed, ms. */
const RESUBSCRIBE_MS = 15_000;
/** Time jumps to nearby events only, ms: later timers are backstops. */
const MAX_JUMP_MS = 60_000;
/** Maximum number of live processes. */
const MAX_LIVING = 4;

/** An invariant does not hold. */
export class Broken extends Error {
  override readonly name = 'Broken';

  constructor(
    readonly invariant: string,
    readonly detail: string,
    readonly story: string,
  ) {
    super(`${invariant}: ${detail}`);
  }
}

export class World {
  readonly scheduler = new Scheduler(START_AT);
  readonly server: SimulatedServer;
  readonly facts = new Facts();
  readonly checks: Checks;
  readonly waits = new Waits(this);
  readonly callbacks = new Callbacks(this);
  readonly flows = new Flows(this);
  readonly grants = new Grants(this);
  readonly nodes: Node[] = [];
  readonly story: Story;
  /** Handlers called from now on are short. */
  hurries = false;
  private failure: Broken | undefined;

  constructor(
    readonly program: Program,
    options: { readonly told: boolean },
  ) {
    this.story = new Story(START_AT, options.told);
    this.checks = new Checks(this);
    this.server = new SimulatedServer({
      scheduler: this.scheduler,
      partitions: program.setup.partitions,
      onEvent: (event) => {
        this.facts.logged(event);
        this.checks.leases.logged(event.event);
        this.flows.logged(event.event);
        this.grants.logged(event.event);
      },
    });
  }

  tell(actor: string, text: string | (() => string)): void {
    this.story.tell(this.scheduler.now(), actor, text);
  }

  /** An invariant does not hold; the first violation ends the run. */
  broken(invariant: string, detail: string): void {
    this.failure ??= new Broken(invariant, detail, `${this.story}\n\nBroken: ${invariant}\n        ${detail}`);
  }

  nameOf(executionId: string): string {
    return short(executionId);
  }

  get living(): Node[] {
    return this.nodes.filter(({ alive }) => alive);
  }

  /** Lets time pass. @throws Broken */
  async pass(ms: number): Promise<void> {
    const end = this.scheduler.now() + ms;
    await this.scheduler.advanceTo(end, (next) => {
      this.checks.beforeTimeMoves(next);
      if (this.failure !== undefined) throw this.failure;
    });
    if (this.failure !== undefined) throw this.failure;
  }

  start(setup: WorkerSetup): Node {
    const node = new Node(`p${this.nodes.length}`, setup, this, this.nodes.length);
    this.nodes.push(node);
    node.startWorker();
    return node;
  }

  async play(): Promise<void> {
    await this.callbacks.begin();
    for (const setup of this.program.setup.workers) this.start(setup);
    await this.pass(0);
    for (const move of this.program.moves) {
      await this.make(move);
      await this.pass(0);
    }
  }

  private async make(move: Move): Promise<void> {
    switch (move.do) {
      case 'wait':
        return this.pass(move.ms);
      case 'jump':
        return this.jump(move.to, move.offsetMs);
      case 'release':
        return this.release();
      case 'revoke':
        return this.revoke(move.run);
      case 'grant':
        return this.grants.issue(move.which, move.grant);
      case 'restart':
        return this.restart(move.process);
      default: {
        const node = pick(this.living, move.process);
        if (node !== undefined) await this.makeAt(node, move);
      }
    }
  }

  private async makeAt(
    node: Node,
    move: Exclude<Move, { do: 'wait' | 'jump' | 'release' | 'revoke' | 'grant' | 'restart' }>,
  ): Promise<void> {
    switch (move.do) {
      case 'run':
        for (let count = 0; count < move.count; count++) this.run(node, move);
        return;
      case 'cancel':
        return this.cancel(node, pick(this.facts.runs, move.run));
      case 'flow':
        for (let count = 0; count < move.count; count++) this.flows.run(node, move.flow);
        return;
      case 'cancel_flow':
        return this.flows.cancel(node, pick(this.flows.asked, move.which));
      case 'signal':
        return this.signal(node, pick(this.facts.runs, move.run), move.name ?? 'go');
      case 'deliver':
        return this.callbacks.deliver(node, move.envelope, move.again);
      case 'fault':
        this.tell('network', `${node.name}: next ${move.count} ${move.on}: ${faultText(move.fault)}`);
        return node.connection.plan.add(move);
      case 'wakes':
        this.tell('network', `${node.name}: next ${move.count} wakes: ${faultText(move.fault)}`);
        node.hearsSince = Infinity;
        return node.connection.plan.addForWakes(move.fault, move.count);
      case 'foreign_wake':
        return node.connection.inject(FOREIGN[move.what % FOREIGN.length] as Wake);
      case 'disconnect':
        this.tell('network', `${node.name}: wakes are cut off`);
        node.hearsSince = Infinity;
        return node.connection.disconnect();
      case 'reconnect':
        this.tell('network', `${node.name}: wakes arrive again`);
        return node.connection.reconnect();
      case 'heal':
        return this.heal(node);
      case 'block':
        return void node.block(Math.round(move.share * node.setup.leaseTtlMs));
      case 'kill':
        this.tell(node.name, 'is killed');
        return node.kill();
      case 'second_worker':
        return node.workers.length < 2 ? node.startWorker() : undefined;
      case 'drain':
        return this.drain(node, pick(node.workers, 0), move.ms);
    }
  }

  private drain(node: Node, worker: NodeWorker | undefined, ms: number): void {
    if (worker === undefined) return;
    this.tell(node.name, `drains, with ${ms} ms for handlers`);
    node.drain(worker, ms);
  }

  private restart(which: number): void {
    const setup = pick(this.program.setup.workers, which);
    if (setup !== undefined && this.living.length < MAX_LIVING) this.start(setup);
  }

  heal(node: Node): void {
    node.connection.plan.clear();
    node.connection.reconnect();
    node.hearsSince = this.scheduler.now() + RESUBSCRIBE_MS;
  }

  private async jump(to: number, offsetMs: number): Promise<void> {
    const now = this.scheduler.now();
    const dueAt = this.facts.open.flatMap(({ dueAt: at, deadlineAt, leases }) => [
      at,
      deadlineAt,
      leases.at(-1)?.expiresAt,
      leases.at(-1)?.attemptTimeoutAt,
    ]);
    const times = [...new Set([...this.scheduler.times(), ...dueAt])]
      .filter((at): at is number => at !== undefined && at > now && at < now + MAX_JUMP_MS)
      .sort((a, b) => a - b);
    const at = pick(times, to);
    if (at !== undefined) await this.pass(Math.max(0, at + offsetMs - now));
  }

  private run(node: Node, { task, run: setup }: Extract<Move, { do: 'run' }>): void {
    const which = task % node.tasks.length;
    const facts: RunFacts = {
      ...{ number: this.facts.runs.length, setup, task: which, process: node.name },
      ...{ created: 'pending', result: 'pending', value: undefined, executionId: undefined, cancelled: false },
    };
    this.facts.runs.push(facts);
    this.tell(node.name, `runs ${node.tasks[which]?.name} as run ${facts.number}`);
    const { delayMs, deadlineMs, priority } = setup;
    const pending = (node.tasks[which] as Node['tasks'][number]).run(
      { run: facts.number, ...(setup.long ? { filler: FILLER } : {}) },
      {
        priority,
        ...(delayMs === undefined ? {} : { delay: delayMs }),
        ...(deadlineMs === undefined ? {} : { deadline: deadlineMs }),
      },
    );
    const askedAt = this.scheduler.now();
    pending.then(
      ({ id }) => Object.assign(facts, { created: 'created', executionId: id }),
      (error: unknown) => {
        facts.created = 'refused';
        this.checks.calls.creationFailed(node, facts, askedAt, error);
      },
    );
    // A wait with a limit must not leave its timer behind.
    pending.result(facts.number % 2 === 0 ? {} : { timeout: '7d' }).then(
      (value) => Object.assign(facts, { result: 'resolved', value }),
      (error: unknown) => Object.assign(facts, { result: 'rejected', value: error }),
    );
  }

  private cancel(node: Node, run: RunFacts | undefined): void {
    if (run?.executionId === undefined) return;
    run.cancelled = true;
    this.tell(node.name, `cancels run ${run.number}`);
    const { executionId } = run;
    node.app
      .get(executionId)
      .cancel('not wanted any more')
      .then(
        (done) => done && this.checks.handlers.cancelled(node, executionId),
        () => undefined,
      );
  }

  private signal(node: Node, run: RunFacts | undefined, name: SignalName): void {
    if (run?.executionId === undefined) return;
    const { executionId } = run;
    const number = this.waits.sent.length;
    this.waits.sent.push({ name, number, executionId });
    this.tell(node.name, `signals run ${run.number}: ${name} ${number}`);
    this.waits.send(node.app.get(executionId), name, number).then(
      ({ effect }) => this.tell(node.name, `signal ${number} is ${effect}`),
      () => undefined,
    );
  }

  private async revoke(which: number): Promise<void> {
    const active = this.facts.open.filter(({ situation }) => situation === 'active');
    const execution: ExecutionFacts | undefined = pick(active, which);
    if (execution === undefined) return;
    const { executionId } = execution;
    this.tell('operator', `revokes the lease of ${short(executionId)}`);
    await this.server.store.revokeLease({ executionId }).catch(() => undefined);
    await this.server.follow(partitionOfExecution(executionId));
  }

  release(): void {
    for (const node of this.living) node.release();
  }
}

/** Irrelevant wakes: of lanes, partitions and kinds that this deployment does not have. */
const FOREIGN = [
  { kind: 'work', laneId: 'elsewhere', partition: '{fp:0}', requiredCapabilities: [] },
  { kind: 'work', laneId: 'shared', partition: '{fp:0}', requiredCapabilities: [] },
  { kind: 'work', laneId: 'task-0', partition: '{fp:3}', requiredCapabilities: ['tpu'] },
  { kind: 'work', laneId: 'task-0', partition: '{fp:77}', requiredCapabilities: [] },
  { kind: 'timer', partition: '{fp:77}', at: START_AT },
  { kind: 'timer', partition: '{fp:0}', at: START_AT },
  { kind: 'news' },
] as readonly unknown[] as readonly Wake[];

/** The nth element, modulo their number. */
function pick<T>(items: readonly T[], which: number): T | undefined {
  return items[which % Math.max(1, items.length)];
}

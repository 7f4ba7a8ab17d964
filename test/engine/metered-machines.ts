/**
 * The machines of a deployment with one partition of each family, as a backend: it answers what `explain` reads, claims
 * of metered work, and the loop of due work.
 */
import { EngineError } from '../../model/errors.js';
import { OPERATIONS, partitionOfCommand, QUERIES, queryNamed } from '../../model/machine.js';
import type { ArgsOf, Command, OperationName, OutcomeOf } from '../../model/machine.js';
import { SpecMachine } from '../../model/specification/machine.js';
import type { EntityKind, Tables } from '../../model/state.js';
import { meterSetOf, metersOf, type Meters } from '../../model/metering/meters.js';
import type { Backend } from '../../src/backend/backend.js';
import { parseCommand, parseQuery } from '../../src/backend/boundary.js';
import { admit, handBack } from '../../src/claiming/admissions.js';
import { policiesOf } from '../../src/engine/deliveries.js';
import { runDue } from '../../src/engine/index.js';
import { PARTITION, START, uuid } from '../model/dsl.js';

const COUNTS = { count: 1, budgets: 1, quotas: 1 };
const PARTITIONS = { flow: PARTITION, budget: '{b:0}', quota: '{q:0}' };
const SETTINGS = { retentionMs: 86_400_000 };
const WORKER = { workerId: 'w', workerInstanceId: 'w-1' };
const MAX_PASSES = 50;

const errorOf = ({ code, detail }: { code: EngineError['code']; detail?: EngineError['detail'] }): EngineError =>
  new EngineError(code, 'The machine refuses it.', detail === undefined ? {} : { detail });

export class MeteredMachines {
  now = START;
  readonly backend: Backend;
  private readonly machines = new Map(
    Object.values(PARTITIONS).map((partition) => [partition, new SpecMachine(SETTINGS, partition)]),
  );

  constructor() {
    this.backend = new Proxy({} as Backend, { get: (_, name: string) => this.memberNamed(name) });
  }

  /** The machine of the executions. */
  get executions(): SpecMachine {
    return this.machines.get(PARTITION) as SpecMachine;
  }

  tableOf<Kind extends EntityKind>(family: keyof typeof PARTITIONS, kind: Kind): Tables[Kind] {
    return (this.machines.get(PARTITIONS[family]) as SpecMachine).partition.state.tables[kind];
  }

  /** Carries out an operation. @throws EngineError when the machine refuses it */
  run<Name extends OperationName>(name: Name, args: ArgsOf<Name>): OutcomeOf<Name> {
    const command = parseCommand(name, args, 'memory');
    const machine = this.machines.get(partitionOfCommand(command, COUNTS)) as SpecMachine;
    const decision = machine.run(command, this.now);
    if (!decision.ok) throw errorOf(decision);
    return decision.outcome as OutcomeOf<Name>;
  }

  /** Carries out an operation that the machine may refuse; undefined when it does. */
  attempt(command: Command | undefined): unknown {
    if (command === undefined) return undefined;
    try {
      return this.run(command.name, command.args as never);
    } catch (error) {
      // Faults of the generator are no refusals.
      if (error instanceof EngineError && error.code !== 'invalid_input') return undefined;
      throw error;
    }
  }

  /** Applies and delivers what is due, until nothing is. */
  async applyDue(): Promise<void> {
    for (let pass = 0; pass < MAX_PASSES; pass++) if ((await runDue(this.backend)) === 0) return;
    throw new Error('There is always more due work.');
  }

  /** Claims the first execution of a lane with these meters, as a worker does. `n` and the number after it are free. */
  async claim(laneId: string, meters: Partial<Meters>, n: number): Promise<string> {
    const set = meterSetOf(metersOf(meters));
    const leaseId = uuid(n);
    if (set !== '') {
      const place = { laneId, partition: PARTITION, meters: set };
      const asker = { workerInstanceId: WORKER.workerInstanceId, silenceMs: 5_000 };
      if ((await admit(this.backend, place, asker, [leaseId])).count === 0) return 'not admitted';
    }
    const outcome = this.run('claimForWorker', {
      ...WORKER,
      ...{ partition: PARTITION, laneId, workerCapabilities: ['gpu'], leaseTtlMs: 4_000 },
      ...{ meters: set === '' ? undefined : set, claims: [{ leaseId, attemptId: uuid(n + 1) }] },
    });
    if (outcome.kind === 'no_work' && set !== '') await handBack(this.backend, policiesOf(set), [leaseId]);
    return outcome.kind;
  }

  private memberNamed(name: string): unknown {
    if (name === 'partitions') return COUNTS;
    if (name === 'partitionsInUse') return () => [...this.machines.keys()];
    if (name === 'serverTime') return () => Promise.resolve(this.now);
    if (name === 'listWorkers') return () => Promise.resolve({ workers: [], nextCursor: undefined });
    if (Object.hasOwn(QUERIES, name)) return async (args: object) => this.read(name as keyof typeof QUERIES, args);
    if (Object.hasOwn(OPERATIONS, name)) return async (args: never) => this.run(name as OperationName, args);
    throw new Error(`The test has no ${name}.`);
  }

  private read(name: keyof typeof QUERIES, args: object): unknown {
    const query = queryNamed(name);
    const parsed = parseQuery(name, args as never, 'memory');
    const machine = this.machines.get(query.partition(parsed as never, COUNTS)) as SpecMachine;
    const decision = query.read(machine.view, parsed as never, { now: this.now, settings: SETTINGS });
    if (!decision.ok) throw errorOf(decision as never);
    return decision.outcome;
  }
}

import { Redis as Valkey } from 'iovalkey';
import { uuidv7 } from 'uuidv7';
import { partitionKeyOf, partitionOfExecution } from '../../model/ids.js';
import { LIMITS } from '../../model/limits.js';
import type { ArgsOf, Command } from '../../model/machine.js';
import type { ClaimedExecution } from '../../model/schedule/claim.js';
import { app } from '../../src/app/app.js';
import { Placer } from '../../src/engine/placer.js';
import type { TaskContext } from '../../src/worker/handler.js';
import type { Backend, CommandResult } from '../../src/backend.js';
import { memory } from '../../src/memory/index.js';
import { valkey } from '../../src/valkey/index.js';
import { PARTITION_KEYS } from '../../lua/layout.js';
import type {
  BenchTask,
  BenchWorker,
  CallEngine,
  ClaimOptions,
  ServerAddress,
  SubjectEngine,
  Submission,
  WorkerOptions,
} from '../adapter.js';

const LANE = 'bench';
const KIND = 'job';
const PREFIX = 'ff:';

/** Partitions of the deployment under test; without it the engine's own default. */
const PARTITIONS_VARIABLE = 'BENCH_PARTITIONS';

/** A claimed execution and where it lives. */
interface HeldTask extends BenchTask {
  readonly claimed: ClaimedExecution;
}

/** Both backends behind one adapter: it uses nothing but the interface that both implement. */
class FlowFabricEngine implements SubjectEngine {
  readonly name = 'flowfabric';
  private readonly partitions: readonly string[];
  private readonly placer: Placer;
  /** Where each worker found work last. */
  private readonly lastFound: number[] = [];
  private closeSubscription: (() => void) | undefined;

  constructor(
    private readonly backend: Backend,
    private readonly address: ServerAddress | undefined,
  ) {
    this.placer = new Placer(backend.partitions);
    this.partitions = Array.from({ length: backend.partitions.count }, (_, index) => partitionKeyOf(index));
  }

  async reset(): Promise<void> {
    // The functions survive FLUSHALL, and the partitioning is settled when the backend is opened.
  }

  async close(): Promise<void> {
    this.closeSubscription?.();
    await this.backend.close();
  }

  async submit(submission: Submission): Promise<void> {
    await this.backend.createExecution(this.creationOf(submission));
  }

  async submitMany(submissions: readonly Submission[]): Promise<void> {
    const groups = new Map<string, Command[]>();
    for (const submission of submissions) {
      const args = this.creationOf(submission);
      const partition = partitionOfExecution(args.executionId);
      const command: Command = { name: 'createExecution', args };
      const group = groups.get(partition);
      if (group === undefined) groups.set(partition, [command]);
      else group.push(command);
    }
    await Promise.all(Array.from(groups.values(), async (commands) => assertAccepted(await this.backend.execute(commands))));
  }

  async connect(): Promise<void> {
    await this.backend.ping();
  }

  async claim(worker: number, { capabilities = [] }: ClaimOptions = {}): Promise<HeldTask | null> {
    const [task] = await this.claimSome(worker, 1, capabilities);
    return task ?? null;
  }

  async claimMany(worker: number, count: number): Promise<readonly HeldTask[]> {
    return this.claimSome(worker, Math.min(count, LIMITS.maxClaimCount), []);
  }

  async complete(task: BenchTask): Promise<void> {
    await this.backend.completeExecution(completionOf(task));
  }

  async completeMany(tasks: readonly BenchTask[]): Promise<void> {
    // A claim takes work of one partition, so that its completions are one batch.
    const commands = tasks.map((task): Command => ({ name: 'completeExecution', args: completionOf(task) }));
    assertAccepted(await this.backend.execute(commands));
  }

  async completeAndClaim(task: BenchTask, worker: number): Promise<HeldTask | null> {
    const args = completionOf(task);
    const partition = partitionOfExecution(args.executionId);
    const [completed, claimed] = await this.backend.execute([
      { name: 'completeExecution', args },
      { name: 'claimForWorker', args: this.claimOf(partition, worker, 1, []) },
    ]);
    assertAccepted([completed]);
    if (!claimed.ok) throw claimed.error;
    return held(claimed.outcome)[0] ?? null;
  }

  async createWorker(options: WorkerOptions): Promise<BenchWorker> {
    await this.subscribe();
    const client = app({ backend: this.backend, closeBackend: false });
    client.task(KIND, { lane: LANE }, ({ input }: TaskContext<Uint8Array>) => {
      options.onTask({ payload: input });
    });
    return {
      start: () => {
        // A failure to start shows as a drain that never ends.
        void client
          .worker({ slots: options.slots, claimAhead: options.batch ?? 0, capabilities: options.capabilities ?? [] })
          .then((worker) => {
            worker.on('finished', ({ outcome }) => {
              if (outcome === 'completed') options.onCompleted(1);
            });
          });
      },
      stop: () => client.close(),
    };
  }

  async idleWorkers(count: number): Promise<{ stop(): Promise<void> }> {
    const client = app({ backend: this.backend, closeBackend: false });
    client.task(KIND, { lane: LANE }, () => undefined);
    await client.worker({ slots: count });
    return { stop: () => client.close() };
  }

  async trimLog(): Promise<void> {
    if (this.address === undefined) return;
    // A connection for this alone: those of the engine are counted.
    const client = new Valkey({ host: this.address.host, port: this.address.port });
    try {
      await Promise.all(this.partitions.map((partition) => client.xtrim(`${PREFIX}${partition}:${PARTITION_KEYS.log}`, 'MAXLEN', 0)));
    } finally {
      client.disconnect();
    }
  }

  private creationOf({ payload, requires }: Submission): ArgsOf<'createExecution'> {
    return {
      executionId: this.placer.executionId({ uuid: uuidv7(), namespace: 'bench', laneId: LANE, inputBytes: payload.bytes.byteLength }),
      namespace: 'bench',
      laneId: LANE,
      executionKind: KIND,
      creatorIdentity: 'bench',
      inputPayload: payload.bytes,
      ...(requires === undefined ? {} : { policy: { routingRequirements: { requiredCapabilities: [...requires] } } }),
    };
  }

  /** Looks at the partitions in turn, beginning where this worker found work last. */
  private async claimSome(worker: number, count: number, capabilities: readonly string[]): Promise<readonly HeldTask[]> {
    const from = this.lastFound[worker] ?? worker;
    for (let step = 0; step < this.partitions.length; step += 1) {
      const index = (from + step) % this.partitions.length;
      const args = this.claimOf(this.partitions[index] ?? '', worker, count, capabilities);
      const tasks = held(await this.backend.claimForWorker(args));
      if (tasks.length > 0) {
        this.lastFound[worker] = index;
        return tasks;
      }
    }
    return [];
  }

  private claimOf(partition: string, worker: number, count: number, capabilities: readonly string[]): ArgsOf<'claimForWorker'> {
    return {
      partition,
      laneId: LANE,
      workerId: 'bench',
      workerInstanceId: `bench-${worker}`,
      workerCapabilities: [...capabilities],
      claims: Array.from({ length: count }, () => ({ leaseId: uuidv7(), attemptId: uuidv7() })),
    };
  }

  /** Opens the connection on which wakes arrive, once, outside every clock. */
  private async subscribe(): Promise<void> {
    this.closeSubscription ??= await this.backend.onWake([LANE], () => undefined);
  }
}

function completionOf(task: BenchTask): ArgsOf<'completeExecution'> {
  const { executionId, leaseId, leaseEpoch, attemptId, attemptIndex } = (task as HeldTask).claimed;
  return { executionId, fence: { leaseId, leaseEpoch, attemptId }, attemptIndex };
}

function held(outcome: Awaited<ReturnType<Backend['claimForWorker']>>): HeldTask[] {
  return outcome.kind === 'no_work' ? [] : outcome.executions.map((claimed) => ({ payload: claimed.inputPayload, claimed }));
}

function assertAccepted(results: readonly CommandResult[]): void {
  for (const result of results) if (!result.ok) throw result.error;
}

/** This engine on a server. `BENCH_PARTITIONS` sets the number of partitions. */
export async function createFlowFabricEngine(address: ServerAddress): Promise<SubjectEngine> {
  const wanted = process.env[PARTITIONS_VARIABLE];
  const partitions = wanted === undefined ? {} : { partitions: { count: Number(wanted) } };
  return new FlowFabricEngine(await valkey({ url: address.url, prefix: PREFIX, ...partitions }), address);
}

/** This engine in this process's memory. */
export async function createMemoryEngine(): Promise<CallEngine> {
  return new FlowFabricEngine(memory(), undefined);
}

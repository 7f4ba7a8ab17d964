import { Redis as Valkey } from 'iovalkey';
import { partitionKeyOf, partitionOfExecution } from '../../model/ids.js';
import { LIMITS } from '../../model/limits.js';
import type { ArgsOf, Command } from '../../model/machine.js';
import type { ClaimedExecution } from '../../model/schedule/claim.js';
import { app } from '../../src/app/app.js';
import { newId, Placer, WorkFinder, type ClaimAnywhere } from '../../src/engine/index.js';
import type { TaskContext } from '../../src/worker/handler.js';
import type { Backend, CommandResult } from '../../src/backend.js';
import { memory } from '../../src/memory/index.js';
import { valkey } from '../../src/valkey/index.js';
import { KEYS } from '../../lua/layout.js';
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

/** How long a claim waits for work, in milliseconds. */
const CLAIM_WAIT_MS = 50;

/** A claimed execution and where it lives. */
interface HeldTask extends BenchTask {
  readonly claimed: ClaimedExecution;
}

/** Both backends behind one adapter: it uses nothing but the interface that both implement. */
class FlowFabricEngine implements SubjectEngine {
  readonly name = 'flowfabric';
  private readonly partitions: readonly string[];
  private readonly placer: Placer;
  /** Shared by all loops of this process: what one finds out, the others know. */
  private finder: WorkFinder | undefined;

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
    this.finder?.close();
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
    await Promise.all(
      Array.from(groups.values(), async (commands) => assertAccepted(await this.backend.execute(commands))),
    );
  }

  async connect(): Promise<void> {
    await this.open();
  }

  async claim(_worker: number, { capabilities = [] }: ClaimOptions = {}): Promise<HeldTask | null> {
    const [task] = heldOf(
      await (this.finder ?? (await this.open())).claim(claimOf(1, capabilities), { waitMs: CLAIM_WAIT_MS }),
    );
    return task ?? null;
  }

  async claimMany(_worker: number, count: number): Promise<readonly HeldTask[]> {
    return heldOf(await (this.finder ?? (await this.open())).claim(claimOf(Math.min(count, LIMITS.maxClaimCount))));
  }

  async complete(task: BenchTask): Promise<void> {
    await this.backend.completeExecution(completionOf(task));
  }

  async completeMany(tasks: readonly BenchTask[]): Promise<void> {
    // A claim takes work of one partition, so that its completions are one batch.
    const commands = tasks.map((task): Command => ({ name: 'completeExecution', args: completionOf(task) }));
    assertAccepted(await this.backend.execute(commands));
  }

  async completeAndClaim(task: BenchTask): Promise<HeldTask | null> {
    const finder = this.finder ?? (await this.open());
    const args = completionOf(task);
    // Sent in one turn to one partition, the two are one call.
    const [, executions] = await Promise.all([
      this.backend.completeExecution(args),
      finder.claim(claimOf(1), { near: partitionOfExecution(args.executionId) }),
    ]);
    return heldOf(executions)[0] ?? null;
  }

  async createWorker(options: WorkerOptions): Promise<BenchWorker> {
    // Opens the connection on which wakes arrive, outside every clock.
    await this.open();
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
      await Promise.all(
        this.partitions.map((partition) => client.xtrim(`${PREFIX}${partition}:${KEYS.log}`, 'MAXLEN', 0)),
      );
    } finally {
      client.disconnect();
    }
  }

  private creationOf({ payload, requires }: Submission): ArgsOf<'createExecution'> {
    return {
      executionId: this.placer.executionId({ namespace: 'bench', laneId: LANE, inputBytes: payload.bytes.byteLength }),
      namespace: 'bench',
      laneId: LANE,
      executionKind: KIND,
      creatorIdentity: 'bench',
      inputPayload: payload.bytes,
      ...(requires === undefined ? {} : { policy: { routingRequirements: { requiredCapabilities: [...requires] } } }),
    };
  }

  /** Opens the connection on which wakes arrive, once. */
  private async open(): Promise<WorkFinder> {
    return (this.finder ??= await WorkFinder.start(this.backend, { laneId: LANE }));
  }
}

function claimOf(count: number, capabilities: readonly string[] = []): ClaimAnywhere {
  return {
    workerId: 'bench',
    // The loops of a process are slots of one worker.
    workerInstanceId: 'bench',
    workerCapabilities: [...capabilities],
    claims: Array.from({ length: count }, () => ({ leaseId: newId(), attemptId: newId() })),
  };
}

function completionOf(task: BenchTask): ArgsOf<'completeExecution'> {
  const { executionId, leaseId, leaseEpoch, attemptId, attemptIndex } = (task as HeldTask).claimed;
  return { executionId, fence: { leaseId, leaseEpoch, attemptId }, attemptIndex };
}

function heldOf(executions: readonly ClaimedExecution[]): HeldTask[] {
  return executions.map((claimed) => ({ payload: claimed.inputPayload, claimed }));
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

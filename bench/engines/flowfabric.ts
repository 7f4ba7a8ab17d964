import { partitionOfExecution } from '../../model/ids.js';
import { LIMITS } from '../../model/limits.js';
import type { ArgsOf, Command } from '../../model/machine.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import type { App } from '../../src/app/api.js';
import { app } from '../../src/app/app.js';
import type { Task } from '../../src/app/tasks/task.js';
import type { Backend } from '../../src/backend/backend.js';
import { newId, Placer, WorkFinder, type ClaimAnywhere } from '../../src/engine/index.js';
import { valkey } from '../../src/valkey/index.js';
import type { TaskContext } from '../../src/worker/handler/handler.js';
import type { BenchTask, BenchWorker, ServerAddress, SubjectEngine, Submission, WorkerOptions } from '../adapter.js';
import { countingClaims } from './counting-claims.js';

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

/** This project's engine, by its worker and by the calls that its worker makes. */
class FlowfabricEngine implements SubjectEngine {
  readonly name = 'flowfabric';
  private readonly placer: Placer;
  /** Shared by all loops of this process: what one finds out, the others know. */
  private finder: Promise<WorkFinder> | undefined;
  /** An app that submits and waits, and serves nothing. */
  private client: App | undefined;
  private waited: Task<Uint8Array, unknown> | undefined;

  constructor(private readonly backend: Backend) {
    this.placer = new Placer(backend.partitions);
  }

  async reset(): Promise<void> {
    // The functions survive FLUSHALL, and the partitioning is settled when the backend is opened.
  }

  async close(): Promise<void> {
    await this.client?.close();
    (await this.finder)?.close();
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
    await Promise.all(Array.from(groups.values(), (commands) => this.carryOut(commands)));
  }

  async submitAndWait({ payload }: Submission): Promise<void> {
    this.client ??= app({ backend: this.backend, closeBackend: false });
    this.waited ??= this.client.task(KIND, { lane: LANE }, (_context: TaskContext<Uint8Array>) => undefined);
    await this.waited.run(payload.bytes).result();
  }

  async claim(count: number): Promise<readonly HeldTask[]> {
    const finder = await this.opened();
    return heldOf(await finder.claim(claimOf(Math.min(count, LIMITS.maxClaimCount)), { waitMs: CLAIM_WAIT_MS }));
  }

  async complete(tasks: readonly BenchTask[]): Promise<void> {
    await this.carryOut(tasks.map((task): Command => ({ name: 'completeExecution', args: completionOf(task) })));
  }

  async completeAndClaim(task: BenchTask): Promise<HeldTask | null> {
    const finder = await this.opened();
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
    await this.opened();
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
              if (outcome === 'completed') options.onCompleted();
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

  async idleLanes(count: number): Promise<{ claims(): number; stop(): Promise<void> }> {
    const { backend, claims } = countingClaims(this.backend);
    const client = app({ backend, closeBackend: false });
    for (let lane = 0; lane < count; lane += 1)
      client.task(`${KIND}-${lane}`, { lane: `${LANE}-${lane}` }, () => undefined);
    await client.worker();
    return { claims, stop: () => client.close() };
  }

  private async carryOut(commands: readonly Command[]): Promise<void> {
    for (const result of await this.backend.execute(commands)) if (!result.ok) throw result.error;
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
  private opened(): Promise<WorkFinder> {
    return (this.finder ??= WorkFinder.start(this.backend, { laneId: LANE }));
  }
}

function claimOf(count: number): ClaimAnywhere {
  return {
    workerId: 'bench',
    // The loops of a process are slots of one worker.
    workerInstanceId: 'bench',
    workerCapabilities: [],
    claims: Array.from({ length: count }, () => ({ leaseId: newId(), attemptId: newId() })),
  };
}

function completionOf(task: BenchTask): ArgsOf<'completeExecution'> {
  const { executionId, leaseId, leaseEpoch, attemptId, attemptIndex } = (task as HeldTask).claimed;
  return { executionId, fence: { leaseId, leaseEpoch, attemptId }, attemptIndex };
}

function heldOf(executions: readonly ClaimedExecution[]): HeldTask[] {
  return executions.map((claimed) => ({ payload: claimed.inputPayload ?? '', claimed }));
}

/** This engine on a server; its library of functions is loaded when this resolves. */
export async function openFlowfabric(address: ServerAddress): Promise<SubjectEngine> {
  const wanted = process.env[PARTITIONS_VARIABLE];
  const partitions = wanted === undefined ? {} : { partitions: { count: Number(wanted) } };
  return new FlowfabricEngine(await valkey({ url: address.url, prefix: PREFIX, ...partitions }));
}

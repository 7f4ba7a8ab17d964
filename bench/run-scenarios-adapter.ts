/**
 * This engine behind the small adapter interface by which any engine can be run through scenarios S1, S2 and S5 beside
 * another: `submit`, `claim`, `complete`, their fused and batched forms; `suspend`, `pending` and `signal`. The id of a task
 * travels as the kind of its execution, which is the cheapest text that a claim brings back.
 */
import { randomBytes } from 'node:crypto';
import { partitionKeyOf, partitionOfExecution } from '../model/ids.js';
import type { Command } from '../model/machine.js';
import type { ClaimedExecution } from '../model/schedule/claimed.js';
import type { Backend } from '../src/backend/backend.js';
import { newId, Placer, WorkFinder, type ClaimAnywhere } from '../src/engine/index.js';
import { valkey } from '../src/valkey/index.js';
import { Valkey } from 'iovalkey';

interface Task {
  readonly id: string;
  readonly payload: Uint8Array;
  readonly claimed: ClaimedExecution;
}

const LANE = 'bench';
const PREFIX = 'ff:';
const SIGNAL = 'go';
/** How long suspended work waits for its signal, in milliseconds. */
const WAIT_MS = 60_000;
/** How long a claim waits for work, in milliseconds. */
const CLAIM_WAIT_MS = 50;

const completion = ({
  claimed: { executionId, leaseId, leaseEpoch, attemptId },
}: Task): Extract<Command, { name: 'completeExecution' }> => ({
  name: 'completeExecution',
  args: { executionId, fence: { leaseId, leaseEpoch, attemptId } },
});

/** Suspended work that goes on by a signal with a token, which takes a key in each partition. */
function waitsOn(backend: Backend) {
  /** The waitpoints of the executions that were suspended last, by the ids of their tasks. */
  const waiting = new Map<string, { readonly executionId: string; readonly waitpointId: string }>();
  const newSecret = randomBytes(32);
  const installKeys = (): Promise<unknown> =>
    Promise.all(
      Array.from({ length: backend.partitions.count }, (_, index) =>
        backend.rotateWaitpointHmacSecret({ partition: partitionKeyOf(index), newKid: 'bench', newSecret }),
      ),
    );
  const suspend = async (task: Task): Promise<void> => {
    const { executionId } = task.claimed;
    const waitpointId = newId();
    waiting.set(task.id, { executionId, waitpointId });
    await backend.suspendExecution({
      ...completion(task).args,
      suspensionId: newId(),
      waitpoints: [{ waitpointId, waitpointKey: SIGNAL }],
      resumeCondition: { type: 'single', waitpointKey: SIGNAL, matcher: { type: 'wildcard' } },
      timeoutAt: Date.now() + WAIT_MS,
    });
  };
  const pending = async (id: string) => {
    const place = waiting.get(id);
    const token = place && (await backend.readWaitpointToken(place));
    return { waitpoint: place?.waitpointId, token: token?.reveal() };
  };
  const signal = async (id: string, waitpointId: string, waitpointToken: string): Promise<void> => {
    const { executionId = '' } = waiting.get(id) ?? {};
    waiting.delete(id);
    await backend.deliverSignal({
      ...{ executionId, waitpointId, waitpointToken, signalId: newId(), signalName: SIGNAL },
    });
  };
  return { installKeys, legs: { suspend, pending, signal } };
}

export default async function open({ port }: { port: number }): Promise<object> {
  const backend = await valkey({
    url: `valkey://127.0.0.1:${port}`,
    prefix: PREFIX,
    ...(process.env['BENCH_PARTITIONS'] === undefined
      ? {}
      : { partitions: { count: Number(process.env['BENCH_PARTITIONS']) } }),
  });
  const placer = new Placer(backend.partitions);
  const waits = waitsOn(backend);
  const admin = new Valkey({ host: '127.0.0.1', port });
  /** Shared by all workers of this process: what one finds out, the others know. */
  const finder = await WorkFinder.start(backend, { laneId: LANE });

  const creation = ({
    id,
    payload = 'x',
    requires,
  }: {
    id: string;
    payload?: string | Uint8Array;
    requires?: readonly number[];
  }): Extract<Command, { name: 'createExecution' }> => {
    const inputPayload = typeof payload === 'string' ? Buffer.from(payload) : payload;
    return {
      name: 'createExecution',
      args: {
        executionId: placer.executionId({ namespace: 'bench', laneId: LANE, inputBytes: inputPayload.byteLength }),
        namespace: 'bench',
        laneId: LANE,
        executionKind: id,
        creatorIdentity: 'bench',
        inputPayload,
        ...(requires === undefined
          ? {}
          : {
              policy: { routingRequirements: { requiredCapabilities: requires.map((capability) => `c${capability}`) } },
            }),
      },
    };
  };
  const claimOf = (worker: string, count: number, capabilities: readonly number[] = []): ClaimAnywhere => ({
    workerId: 'bench',
    workerInstanceId: worker,
    workerCapabilities: capabilities.map((capability) => `c${capability}`),
    claims: Array.from({ length: count }, () => ({ leaseId: newId(), attemptId: newId() })),
  });
  const tasksOf = (executions: readonly ClaimedExecution[]): Task[] =>
    executions.map((claimed) => ({
      id: claimed.executionKind,
      payload: claimed.inputPayload ?? Buffer.alloc(0),
      claimed,
    }));

  return {
    name: 'flowfabric',
    submit: async (submission: Parameters<typeof creation>[0]) => backend.createExecution(creation(submission).args),
    submitMany: async (submissions: readonly Parameters<typeof creation>[0][]) => {
      const groups = new Map<string, Command[]>();
      for (const command of submissions.map(creation)) {
        const partition = partitionOfExecution(command.args.executionId);
        groups.set(partition, [...(groups.get(partition) ?? []), command]);
      }
      await Promise.all([...groups.values()].map((commands) => backend.execute(commands)));
    },
    claim: async (worker: string, { caps }: { caps?: readonly number[] } = {}) =>
      tasksOf(await finder.claim(claimOf(worker, 1, caps), { waitMs: CLAIM_WAIT_MS }))[0] ?? null,
    complete: async (task: Task) => backend.completeExecution(completion(task).args),
    completeAndClaim: async (task: Task, worker: string) => {
      // Sent in one turn to one partition, the two are one call.
      const [, executions] = await Promise.all([
        backend.completeExecution(completion(task).args),
        finder.claim(claimOf(worker, 1), { near: partitionOfExecution(task.claimed.executionId) }),
      ]);
      return tasksOf(executions)[0] ?? null;
    },
    claimMany: async (worker: string, count: number) => tasksOf(await finder.claim(claimOf(worker, count))),
    completeMany: async (tasks: readonly Task[]) => {
      for (const result of await backend.execute(tasks.map(completion))) if (!result.ok) throw result.error;
    },
    ...waits.legs,
    reset: async () => {
      // The functions survive, and the partitioning was settled when the backend was opened.
      await admin.flushall();
      await waits.installKeys();
    },
    close: async () => {
      finder.close();
      admin.disconnect();
      await backend.close();
    },
  };
}

/**
 * This engine behind the small adapter interface by which any engine can be run through scenarios S1 and S5 beside
 * another: `submit`, `claim`, `complete`, their fused and batched forms. The id of a task travels as the kind of its
 * execution, which is the cheapest text that a claim brings back.
 */
import { uuidv7 } from 'uuidv7';
import { partitionKeyOf, partitionOfExecution } from '../model/ids.js';
import type { Command } from '../model/machine.js';
import type { ClaimedExecution } from '../model/schedule/claim.js';
import { Placer } from '../src/engine/placer.js';
import { deploymentKey } from '../src/valkey/keys.js';
import { valkey } from '../src/valkey/index.js';
import { Valkey } from 'iovalkey';

interface Task {
  readonly id: string;
  readonly payload: Uint8Array;
  readonly claimed: ClaimedExecution;
}

const LANE = 'bench';
const PREFIX = 'ff:';

export default async function open({ port }: { port: number }): Promise<object> {
  const backend = await valkey({ url: `valkey://127.0.0.1:${port}`, prefix: PREFIX, ...(process.env['BENCH_PARTITIONS'] === undefined ? {} : { partitions: { count: Number(process.env['BENCH_PARTITIONS']) } }) });
  const placer = new Placer(backend.partitions);
  const admin = new Valkey({ host: '127.0.0.1', port });
  const partitions = Array.from({ length: backend.partitions.count }, (_, index) => partitionKeyOf(index));
  /** Where each worker may find work: everywhere at first, then where a wake said so. */
  const hints = new Map<string, Set<string>>();
  const hintsOf = (worker: string): Set<string> => {
    let known = hints.get(worker);
    if (known === undefined) {
      // Workers begin at different partitions.
      const from = hints.size % partitions.length;
      hints.set(worker, (known = new Set([...partitions.slice(from), ...partitions.slice(0, from)])));
    }
    return known;
  };
  await backend.onWake([LANE], (wake) => {
    if (wake.kind === 'work') for (const known of hints.values()) known.add(wake.partition);
  });

  const creation = ({ id, payload = 'x', requires }: { id: string; payload?: string | Uint8Array; requires?: readonly number[] }): Extract<Command, { name: 'createExecution' }> => {
    const inputPayload = typeof payload === 'string' ? Buffer.from(payload) : payload;
    return {
      name: 'createExecution',
      args: {
        executionId: placer.executionId({ uuid: uuidv7(), namespace: 'bench', laneId: LANE, inputBytes: inputPayload.byteLength }),
        namespace: 'bench', laneId: LANE, executionKind: id, creatorIdentity: 'bench', inputPayload,
        ...(requires === undefined ? {} : { policy: { routingRequirements: { requiredCapabilities: requires.map((capability) => `c${capability}`) } } }),
      },
    };
  };
  const claim = (partition: string, worker: string, count: number, capabilities: readonly number[] = []): Extract<Command, { name: 'claimForWorker' }> => ({
    name: 'claimForWorker',
    args: {
      partition, laneId: LANE, workerId: 'bench', workerInstanceId: worker, workerCapabilities: capabilities.map((capability) => `c${capability}`),
      claims: Array.from({ length: count }, () => ({ leaseId: uuidv7(), attemptId: uuidv7() })),
    },
  });
  const completion = ({ claimed: { executionId, leaseId, leaseEpoch, attemptId } }: Task): Extract<Command, { name: 'completeExecution' }> => ({
    name: 'completeExecution',
    args: { executionId, fence: { leaseId, leaseEpoch, attemptId } },
  });
  const tasksOf = (executions: readonly ClaimedExecution[]): Task[] => executions.map((claimed) => ({ id: claimed.executionKind, payload: claimed.inputPayload, claimed }));

  const claimSome = async (worker: string, count: number, capabilities?: readonly number[]): Promise<Task[]> => {
    const known = hintsOf(worker);
    for (const partition of known) {
      const outcome = await backend.claimForWorker(claim(partition, worker, count, capabilities).args);
      if (outcome.kind === 'claimed') return tasksOf(outcome.executions);
      known.delete(partition);
    }
    return [];
  };

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
    claim: async (worker: string, { caps }: { caps?: readonly number[] } = {}) => (await claimSome(worker, 1, caps))[0] ?? null,
    complete: async (task: Task) => backend.completeExecution(completion(task).args),
    completeAndClaim: async (task: Task, worker: string) => {
      const partition = partitionOfExecution(task.claimed.executionId);
      const [completed, next] = await backend.execute([completion(task), claim(partition, worker, 1)]);
      if (!completed.ok) throw completed.error;
      if (!next.ok) throw next.error;
      if (next.outcome.kind === 'claimed') return tasksOf(next.outcome.executions)[0] ?? null;
      hintsOf(worker).delete(partition);
      return (await claimSome(worker, 1))[0] ?? null;
    },
    claimMany: (worker: string, count: number) => claimSome(worker, count),
    completeMany: async (tasks: readonly Task[]) => {
      for (const result of await backend.execute(tasks.map(completion))) if (!result.ok) throw result.error;
    },
    reset: async () => {
      await admin.flushall();
      // The partitioning stays as it was settled.
      await admin.set(deploymentKey(PREFIX), JSON.stringify(backend.partitions));
      hints.clear();
    },
    close: async () => {
      admin.disconnect();
      await backend.close();
    },
  };
}

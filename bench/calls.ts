/** Lifecycles through `backend.execute`, so many commands of a kind in a call, as batches of the product's worker are. */
import { executionIdOf, partitionKeyOf } from '../model/ids.js';
import type { ArgsOf } from '../model/machine.js';
import type { ClaimedExecution } from '../model/schedule/claimed.js';
import type { Backend } from '../src/backend/backend.js';
import { newId } from '../src/engine/index.js';

const PARTITION = 0;
const LANE = 'bench';
const KIND = 'job';

/** Creates so many executions in one call; answers their ids. @throws the refusal of one */
export async function createMany(
  backend: Backend,
  size: number,
  more: Partial<ArgsOf<'createExecution'>>,
): Promise<string[]> {
  const commands = Array.from({ length: size }, () => ({
    name: 'createExecution' as const,
    args: {
      executionId: executionIdOf(PARTITION, newId()),
      namespace: 'bench',
      laneId: LANE,
      executionKind: KIND,
      creatorIdentity: 'bench',
      ...more,
    },
  }));
  for (const result of await backend.execute(commands)) if (!result.ok) throw result.error;
  return commands.map(({ args }) => args.executionId);
}

/** Completes the held executions in one call. @throws the refusal of one */
export async function complete(backend: Backend, held: readonly ClaimedExecution[]): Promise<void> {
  for (const result of await backend.execute(completionsOf(held))) if (!result.ok) throw result.error;
}

const completionsOf = (held: readonly ClaimedExecution[]) =>
  held.map(({ executionId, leaseId, leaseEpoch, attemptId, attemptIndex }) => ({
    name: 'completeExecution' as const,
    args: { executionId, fence: { leaseId, leaseEpoch, attemptId }, attemptIndex },
  }));

/** Completes the held executions and claims as many as before, in one call. */
export async function completeAndClaim(
  backend: Backend,
  held: readonly ClaimedExecution[],
  size: number,
): Promise<readonly ClaimedExecution[]> {
  const claim: ArgsOf<'claimForWorker'> = {
    partition: partitionKeyOf(PARTITION),
    laneId: LANE,
    workerId: 'bench',
    workerInstanceId: 'bench',
    // As the product's worker does (ruling 27).
    kinds: [KIND],
    claims: Array.from({ length: size }, () => ({ leaseId: newId(), attemptId: newId() })),
  };
  const results = await backend.execute([...completionsOf(held), { name: 'claimForWorker' as const, args: claim }]);
  for (const result of results) {
    if (!result.ok) throw result.error;
    if (result.outcome.kind === 'claimed' && result.outcome.executions.length === size)
      return result.outcome.executions;
  }
  throw new Error(`A claim of ${size} did not get as many.`);
}

import { executionIdOf, partitionKeyOf } from '../../model/ids.js';
import type { Command } from '../../model/machine.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import type { Backend } from '../../src/backend/backend.js';
import { newId } from '../../src/engine/index.js';
import { valkey } from '../../src/valkey/index.js';
import { asideRows, groups } from '../names.js';
import type { Row } from '../rows.js';
import { alternate, scaled, withServer, type Scenario } from '../scenario.js';
import type { BenchServer } from '../server.js';

const EXECUTIONS = 20_000;

/** Executions that one call claims, and completes of the one before. */
const CALL = 16;

/** Creations, grants and the like in one call outside the time that counts. */
const FILL_CALL = 500;

/** One in ten executions is kept out of the way of claims. */
const ASIDE_ONE_IN = 10;
const OF_TEN = ASIDE_ONE_IN - 1;

const PARTITION = 0;
const LANE = 'bench';
const KIND = 'job';

/** What granted, held and blocked work costs the claims that do not get it. */
export const asideScenario: Scenario = {
  name: 'aside',
  title: 'claims of a lane of which a tenth is granted, held or blocked',
  run: (context) =>
    withServer({ appendonly: false }, async (server) => {
      const count = Math.ceil(scaled(context, EXECUTIONS) / OF_TEN) * OF_TEN;
      // One round that does not count pays for compiling.
      await drain(server, count, true);
      const contestants = [
        { name: asideRows.none, measure: () => drain(server, count, false) },
        { name: asideRows.tenth, measure: () => drain(server, count, true) },
      ];
      return (await alternate(contestants, context.runs)).map(
        ({ name, results }): Row => ({ group: groups.aside, name, unit: 'claims/s', values: results }),
      );
    }),
};

/** Claims and completes the same number of executions, whatever is aside; claims per second. */
async function drain(server: BenchServer, count: number, isAside: boolean): Promise<number> {
  // A prefix of its own is an empty deployment.
  const backend = await valkey({ url: server.address.url, prefix: `${newId()}:`, partitions: { count: 1 } });
  try {
    const aside = isAside ? count / OF_TEN : 0;
    await fill(backend, count + aside, (index) => isAside && index % ASIDE_ONE_IN === OF_TEN);
    const start = performance.now();
    let [claimed, held] = [0, await completeAndClaim(backend, [])];
    while (held.length > 0) {
      claimed += held.length;
      held = await completeAndClaim(backend, held);
    }
    const seconds = (performance.now() - start) / 1_000;
    if (claimed !== count) throw new Error(`${claimed} were claimed, not ${count}.`);
    return claimed / seconds;
  } finally {
    await backend.close();
  }
}

async function fill(backend: Backend, total: number, isAside: (index: number) => boolean): Promise<void> {
  for (let from = 0; from < total; from += FILL_CALL) {
    const ids = Array.from({ length: Math.min(FILL_CALL, total - from) }, () => executionIdOf(PARTITION, newId()));
    await run(backend, ids.map(creation));
    const aside = ids.filter((_, index) => isAside(from + index)).map(keepAside);
    if (aside.length > 0) await run(backend, aside);
  }
}

async function run(backend: Backend, commands: readonly Command[]): Promise<void> {
  for (const result of await backend.execute(commands)) if (!result.ok) throw result.error;
}

const creation = (executionId: string): Command => ({
  name: 'createExecution',
  args: { executionId, namespace: 'bench', laneId: LANE, executionKind: KIND, creatorIdentity: 'bench' },
});

/** Grants, holds and blocks by turns. */
function keepAside(executionId: string, index: number): Command {
  if (index % 3 === 0) return { name: 'holdExecution', args: { executionId } };
  if (index % 3 === 1) return { name: 'blockRoute', args: { executionId } };
  const worker = { workerId: 'another', workerInstanceId: 'another-1' };
  return { name: 'issueClaimGrant', args: { executionId, grantId: newId(), ...worker, grantTtlMs: 60_000 } };
}

/** Completes the held executions and claims more, in one call. */
async function completeAndClaim(
  backend: Backend,
  held: readonly ClaimedExecution[],
): Promise<readonly ClaimedExecution[]> {
  const results = await backend.execute([
    ...held.map(({ executionId, leaseId, leaseEpoch, attemptId }) => ({
      name: 'completeExecution' as const,
      args: { executionId, fence: { leaseId, leaseEpoch, attemptId } },
    })),
    {
      name: 'claimForWorker' as const,
      args: {
        partition: partitionKeyOf(PARTITION),
        laneId: LANE,
        workerId: 'bench',
        workerInstanceId: 'bench-1',
        kinds: [KIND],
        claims: Array.from({ length: CALL }, () => ({ leaseId: newId(), attemptId: newId() })),
      },
    },
  ]);
  for (const result of results) if (!result.ok) throw result.error;
  const last = results.at(-1);
  return last?.ok && last.outcome.kind === 'claimed' ? last.outcome.executions : [];
}

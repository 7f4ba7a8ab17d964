/** Writers that keep a partition busy, each doing the whole life of executions, and tell what they met. */
import { randomUUID } from 'node:crypto';
import { EngineError } from '../../model/errors.js';
import { executionIdOf, partitionKeyOf } from '../../model/ids.js';
import type { Backend } from '../../src/backend.js';
import { recorded, type Entry } from '../../fuzz/chaos/recording.js';

export interface Writers {
  /** What every writer wrote down, by its name. */
  readonly records: ReadonlyMap<string, readonly Entry[]>;
  /** Errors that say neither that the call was refused nor that it can be repeated. */
  readonly defects: readonly unknown[];
  /** Calls that failed and can be repeated. */
  readonly interrupted: number;
  /** Ends the writers after their current execution. */
  stop(): Promise<void>;
}

export function startWriters(backend: Backend, partition: number, count: number): Writers {
  const records = new Map<string, Entry[]>();
  const defects: unknown[] = [];
  let interrupted = 0;
  let stopping = false;

  /** Makes a call; a call that fails and can be repeated is left as it is: its outcome is unknown. */
  const tried = async <Value>(call: Promise<Value>): Promise<Value | undefined> => {
    try {
      return await call;
    } catch (error) {
      if (error instanceof EngineError && error.retryable) interrupted++;
      // A refusal is an answer: another writer was faster, or a lease lapsed meanwhile.
      else if (!(error instanceof EngineError) || !['contention', 'state', 'not_found'].includes(error.family)) defects.push(error);
      return undefined;
    }
  };

  const life = async (engine: Backend, name: string): Promise<void> => {
    await tried(
      engine.createExecution({
        executionId: executionIdOf(partition, randomUUID()), namespace: 'moving', laneId: 'lane', executionKind: 'work', creatorIdentity: name,
        inputPayload: Buffer.from(name), tags: { 'made.by': name }, policy: { maxReclaimCount: 50 }, idempotencyKey: randomUUID(),
      }),
    );
    const claim = await tried(
      engine.claimForWorker({
        partition: partitionKeyOf(partition), laneId: 'lane', workerId: 'writers', workerInstanceId: name, workerCapabilities: [], leaseTtlMs: 20_000,
        claims: [{ leaseId: randomUUID(), attemptId: randomUUID() }],
      }),
    );
    if (claim?.kind !== 'claimed') return;
    for (const { executionId, leaseId, leaseEpoch, attemptId } of claim.executions) {
      const fence = { leaseId, leaseEpoch, attemptId };
      await tried(engine.renewLease({ executionId, fence, leaseTtlMs: 20_000 }));
      await tried(engine.updateProgress({ executionId, ...fence, progressPct: 50, progressMessage: 'half' }));
      await tried(engine.completeExecution({ executionId, fence, resultPayload: Buffer.from(`done by ${name}`) }));
    }
  };

  const loop = async (name: string): Promise<void> => {
    const entries: Entry[] = [];
    records.set(name, entries);
    const engine = recorded(backend, (entry) => entries.push(entry));
    while (!stopping) await life(engine, name);
  };

  const loops = Array.from({ length: count }, (_, index) => loop(`writer-${index}`));
  return {
    records,
    defects,
    get interrupted() {
      return interrupted;
    },
    async stop() {
      stopping = true;
      await Promise.all(loops);
    },
  };
}

/** Writers that keep a partition busy, each doing the whole life of executions, and tell what they met. */
import { randomUUID } from 'node:crypto';
import { EngineError } from '../../model/errors.js';
import { executionIdOf, partitionKeyOf } from '../../model/ids.js';
import type { FullFence } from '../../model/lease/fence.js';
import type { Backend } from '../../src/backend/backend.js';
import { recorded, type Entry } from '../../fuzz/chaos/recording.js';

/** Executions that each writer creates before it begins. */
const STOCK = 80;

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
      else if (!(error instanceof EngineError) || !['contention', 'state', 'not_found'].includes(error.family))
        defects.push(error);
      return undefined;
    }
  };

  const create = (engine: Backend, name: string): Promise<unknown> =>
    tried(
      engine.createExecution({
        executionId: executionIdOf(partition, randomUUID()),
        namespace: 'moving',
        laneId: 'lane',
        executionKind: 'work',
        creatorIdentity: name,
        inputPayload: Buffer.from(name),
        tags: { 'made.by': name },
        policy: { maxReclaimCount: 50 },
        idempotencyKey: randomUUID(),
      }),
    );

  /** Ways in which the work on an execution goes. Most touch keys that only the state names: its queue, its timers. */
  const endings: ((engine: Backend, executionId: string, fence: FullFence) => Promise<unknown>)[] = [
    (engine, executionId, fence) =>
      tried(engine.completeExecution({ executionId, fence, resultPayload: Buffer.from('done') })),
    (engine, executionId, fence) => tried(engine.completeExecution({ executionId, fence })),
    (engine, executionId, fence) => tried(engine.releaseLease({ executionId, fence })),
    (engine, executionId, fence) =>
      tried(engine.failExecution({ executionId, fence, failureReason: 'broken', failureClass: 'permanent' })),
    (engine, executionId, fence) => tried(engine.cancelExecution({ executionId, ...fence, reason: 'given up' })),
    async (engine, executionId, fence) => {
      await tried(engine.delayExecution({ executionId, fence, delayUntil: 1 }));
      await tried(engine.promoteDelayed({ executionId }));
    },
    async (engine, executionId) => {
      await tried(engine.revokeLease({ executionId, reason: 'by hand' }));
    },
  ];
  let turn = 0;

  const life = async (engine: Backend, name: string): Promise<void> => {
    if (turn++ % 2 === 0) await create(engine, name);
    const claim = await tried(
      engine.claimForWorker({
        partition: partitionKeyOf(partition),
        laneId: 'lane',
        workerId: 'writers',
        workerInstanceId: name,
        workerCapabilities: [],
        leaseTtlMs: 20_000,
        claims: Array.from({ length: 3 }, () => ({ leaseId: randomUUID(), attemptId: randomUUID() })),
      }),
    );
    if (claim?.kind !== 'claimed') return;
    for (const { executionId, leaseId, leaseEpoch, attemptId } of claim.executions) {
      const fence = { leaseId, leaseEpoch, attemptId };
      if (turn++ % 3 === 0) await tried(engine.renewLease({ executionId, fence, leaseTtlMs: 20_000 }));
      if (turn++ % 3 === 0)
        await tried(engine.updateProgress({ executionId, ...fence, progressPct: 50, progressMessage: 'half' }));
      await endings[turn++ % endings.length]?.(engine, executionId, fence);
    }
  };

  const loop = async (name: string): Promise<void> => {
    const entries: Entry[] = [];
    records.set(name, entries);
    const engine = recorded(backend, (entry) => entries.push(entry));
    // Work in stock, so that queues are there to be moved and claims find something at every time.
    for (let count = 0; count < STOCK; count++) await create(engine, name);
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

/**
 * A process of a chaos run: a worker, the engine loop, an operator, or a durable reader. It records every call before
 * it makes it.
 */
import { openSync, writeSync } from 'node:fs';
import { partitionKeyOf } from '../../model/ids.js';
import type { Backend } from '../../src/backend/backend.js';
import { startTimerLoop } from '../../src/engine/timer-loop.js';
import { valkey } from '../../src/valkey/index.js';
import { EngineError } from '../../model/errors.js';
import { operate } from './operator.js';
import { follow } from './reader.js';
import { lineOf, recorded, type Entry } from './recording.js';
import { chaosApp, meteredTask } from './work.js';

export interface ChildConfig {
  readonly role: 'worker' | 'engine' | 'operator' | 'reader';
  readonly name: string;
  readonly url: string;
  readonly prefix: string;
  readonly partitions: number;
  readonly callTimeoutMs: number;
  readonly logMaxEntries: number;
  readonly leaseTtlMs: number;
  readonly slots: number;
  readonly claimAhead: number;
  /** Whether the worker also runs the metered task. */
  readonly metered?: boolean;
  /** The file of the record. */
  readonly file: string;
  /** Executions per second that the operator cancels or whose lease it revokes. */
  readonly operationsPerSecond: number;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Opens the backend, retrying until the server is reachable. */
async function opened({ url, prefix, partitions, callTimeoutMs, logMaxEntries }: ChildConfig): Promise<Backend> {
  for (;;) {
    try {
      return await valkey({ url, prefix, partitions: { count: partitions }, callTimeoutMs, logMaxEntries });
    } catch (error) {
      if (!(error instanceof EngineError) || !error.retryable) throw error;
      await pause(100);
    }
  }
}

async function main(config: ChildConfig): Promise<void> {
  // Without its parent process the run is over.
  process.on('disconnect', () => process.exit(0));
  const file = openSync(config.file, 'a');
  const write = (entry: Entry): void => void writeSync(file, lineOf(entry));
  const plain = await opened(config);
  // A reader writes only its position, which the audit has from the log.
  if (config.role === 'reader') {
    process.send?.('ready');
    return follow(plain, write);
  }
  const backend = recorded(plain, write);
  process.send?.('ready');
  if (config.role === 'engine') {
    await startTimerLoop(backend, { pollIntervalMs: 500 });
  } else if (config.role === 'worker') {
    const { app } = chaosApp(backend, (what) => write({ entry: 'ran', ...what }));
    if (config.metered === true) meteredTask(app);
    await app.worker({
      slots: config.slots,
      claimAhead: config.claimAhead,
      leaseTtlMs: config.leaseTtlMs,
      engine: false,
      workerId: config.name,
    });
  } else {
    const partitions = Array.from({ length: config.partitions }, (_, index) => partitionKeyOf(index));
    await operate(backend, partitions, config.operationsPerSecond);
  }
}

await main(JSON.parse(process.env['CHAOS_CHILD'] ?? '{}') as ChildConfig);

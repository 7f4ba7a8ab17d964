/**
 * A process of a chaos run: a worker, the engine loop, an operator, or a durable reader. It records every call before
 * it makes it.
 */
import { openSync, writeSync } from 'node:fs';
import { partitionKeyOf } from '../../model/ids.js';
import { startTimerLoop } from '../../src/engine/timer-loop.js';
import { valkey } from '../../src/valkey/index.js';
import { PULSE_MS } from './judge-waste.js';
import { operate } from './operator.js';
import { patiently } from './patiently.js';
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

async function main(config: ChildConfig): Promise<void> {
  // Without its parent process the run is over.
  process.on('disconnect', () => process.exit(0));
  const file = openSync(config.file, 'a');
  const write = (entry: Entry): void => void writeSync(file, lineOf(entry));
  if (config.role === 'worker') setInterval(() => write({ entry: 'pulse', at: Date.now() }), PULSE_MS);
  const { url, prefix, partitions: count, callTimeoutMs, logMaxEntries } = config;
  const plain = await patiently(() => valkey({ url, prefix, partitions: { count }, callTimeoutMs, logMaxEntries }));
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

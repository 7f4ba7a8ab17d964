/**
 * The one process of a chaos run on an embedded store: it submits, works, applies what is due, interferes as an operator
 * and reads the log. It opens the store when it is told to, so that its successor is loaded when it is killed.
 */
import { openSync, writeSync } from 'node:fs';
import { partitionKeyOf } from '../../../model/ids.js';
import { embedded, type EmbeddedOptions } from '../../../src/embedded/backend.js';
import { startTimerLoop } from '../../../src/engine/timer-loop.js';
import { PULSE_MS } from '../judge-waste.js';
import { operate } from '../operator.js';
import { seededRandom } from '../random.js';
import { follow } from '../reader.js';
import { lineOf, recorded, type Entry } from '../recording.js';
import { Submitter } from '../submitter.js';
import { chaosApp } from '../work.js';

export interface LifeConfig {
  /** The name of the process and of its worker. */
  readonly name: string;
  readonly store: EmbeddedOptions;
  readonly seed: number;
  readonly executions: number;
  /** When work began to be submitted, ms since the epoch, and how long it is. */
  readonly startedAt: number;
  readonly durationMs: number;
  readonly leaseTtlMs: number;
  /** Handlers at once. */
  readonly slots: number;
  /** The file of the record. */
  readonly file: string;
}

/** What a life says to the process that started it. */
export type Said =
  | { readonly said: 'loaded' }
  | { readonly said: 'opened' }
  /** It submitted everything, and waited; these jobs have not ended. */
  | { readonly said: 'settled'; readonly unended: readonly string[] };

const OPERATIONS_PER_SECOND = 10;

const say = (what: Said): void => void process.send?.(what);

async function live(config: LifeConfig): Promise<void> {
  const { name, seed, executions, startedAt, durationMs, leaseTtlMs, slots } = config;
  const file = openSync(config.file, 'a');
  const write = (entry: Entry): void => void writeSync(file, lineOf(entry));
  const plain = await embedded(config.store);
  const backend = recorded(plain, write);
  setInterval(() => write({ entry: 'pulse', at: Date.now() }), PULSE_MS);
  say({ said: 'opened' });
  const partitions = Array.from({ length: plain.partitions.count }, (_, index) => partitionKeyOf(index));
  void follow(plain, write);
  void operate(backend, partitions, OPERATIONS_PER_SECOND);
  await startTimerLoop(backend, { pollIntervalMs: 500 });
  const { app } = chaosApp(backend, (what) => write({ entry: 'ran', ...what }));
  await app.worker({ slots, claimAhead: 4, leaseTtlMs, engine: false, workerId: name });
  const submitter = new Submitter(backend, executions, seededRandom(seed));
  await submitter.submit(durationMs, startedAt - Date.now());
  say({ said: 'settled', unended: await submitter.settled() });
}

// Without its parent process the run is over.
process.on('disconnect', () => process.exit(0));
process.once('message', (config) => void live(config as LifeConfig));
say({ said: 'loaded' });

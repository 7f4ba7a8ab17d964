/**
 * A process of a run of meters that can be killed at any moment: holders of one budget, or a worker with metered runs.
 */
import { randomUUID } from 'node:crypto';
import { openSync, writeSync } from 'node:fs';
import { EngineError } from '../../model/errors.js';
import type { Backend } from '../../src/backend/backend.js';
import { valkey } from '../../src/valkey/index.js';
import { seededRandom } from '../chaos/random.js';
import type { MeterRecord } from './records.js';
import { LEASE_TTL, meteredApp } from './work.js';

export interface MetersChild {
  readonly role: 'holders' | 'worker';
  readonly url: string;
  readonly prefix: string;
  readonly budgetId: string;
  readonly seed: number;
  /** Number of holders in the process; each reserves and settles independently. */
  readonly holders: number;
  readonly file: string;
}

/** The shortest lifetime of a reservation, ms. */
const TTL_MS = 1_000;
const MOST = 40;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Repeatedly reserves, and then settles, releases, renews, or lets the reservation lapse. */
async function hold(backend: Backend, budgetId: string, random: () => number, write: (record: MeterRecord) => void) {
  for (;;) {
    const reservationId = randomUUID();
    const amount = 1 + Math.floor(random() * MOST);
    try {
      const { kind } = await backend.reserveBudget({
        ...{ budgetId, reservationId, amounts: { tokens: amount }, ttlMs: TTL_MS },
      });
      if (kind !== 'reserved') {
        await pause(50 * random());
        continue;
      }
      const choice = random();
      await pause((choice < 0.1 ? 2 * TTL_MS : 40) * random());
      if (choice > 0.9) await backend.renewReservation({ budgetId, reservationId, ttlMs: TTL_MS });
      if (choice < 0.15) await backend.releaseReservation({ budgetId, reservationId });
      // Some settlements exceed the reservation, some are late, some never happen.
      if (choice > 0.25 || choice < 0.05) {
        const used = Math.floor(random() * 1.3 * amount);
        write({ entry: 'settles', reservationId, used });
        await backend.settleReservation({ budgetId, reservationId, usage: { tokens: used } });
        write({ entry: 'settled', reservationId });
      }
    } catch (error) {
      // It lapsed before its renewal, or no answer came; the audit finds out which.
      if (!(error instanceof EngineError)) throw error;
    }
  }
}

async function main({ role, url, prefix, budgetId, seed, holders, file }: MetersChild): Promise<void> {
  process.on('disconnect', () => process.exit(0));
  const fd = openSync(file, 'a');
  const write = (record: MeterRecord): void => void writeSync(fd, `${JSON.stringify(record)}\n`);
  const backend = await valkey({ url, prefix });
  process.send?.('ready');
  if (role === 'worker') {
    await meteredApp(backend, write).app.worker({ slots: 8, leaseTtl: LEASE_TTL });
    return;
  }
  const all = Array.from({ length: holders }, (_, index) => seededRandom(seed + index));
  await Promise.all(all.map((random) => hold(backend, budgetId, random, write)));
}

await main(JSON.parse(process.env['METERS_CHILD'] ?? '{}') as MetersChild);

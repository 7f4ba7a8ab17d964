/** The chaos run within `npm test`: small, with one of each fault. `CHAOS_SEED` chooses another one. */
import { expect, it } from 'vitest';
import { runChaos } from './scenario.js';
import { summaryOf } from './summary.js';

const SEED = Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

it(`explains every answer and ends every execution, whatever is killed (CHAOS_SEED=${SEED})`, async () => {
  const result = await runChaos({
    seed: SEED,
    executions: 600,
    durationMs: 14_000,
    workers: 4,
    partitions: 2,
    fsync: 'everysec',
    restarts: 1,
    powerCuts: 1,
    freezes: 0,
    failover: true,
    faultEveryMs: 1_500,
  });
  console.log(`chaos: CHAOS_SEED=${SEED}\n${summaryOf(result)}`);
  expect(result.violations).toEqual([]);
  expect(result.audit.events.length).toBeGreaterThan(1_000);
  expect(result.readings.seen).toBeGreaterThan(result.audit.events.length / 2);
  expect(result.trimmed.readings.seen).toBeGreaterThan(200);
  expect(result.trimmed.left).toBeLessThan(result.trimmed.written / 2);
}, 180_000);

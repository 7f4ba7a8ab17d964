/** The chaos run within `npm test`: small, with one of each fault. `CHAOS_SEED` chooses another one. */
import { expect, it } from 'vitest';
import { isOfReader } from '../../src/subscribing/filters.js';
import { runChaos } from './scenario.js';
import { summaryOf } from './summary.js';

const EXECUTIONS = 500;
const SEED = Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

it(`explains every answer and ends every execution, whatever is killed (CHAOS_SEED=${SEED})`, async () => {
  const result = await runChaos({
    seed: SEED,
    executions: EXECUTIONS,
    durationMs: 8_000,
    workers: 4,
    partitions: 2,
    fsync: 'everysec',
    restarts: 1,
    powerCuts: 1,
    freezes: 0,
    failover: true,
    faultEveryMs: 1_000,
  });
  console.log(`chaos: CHAOS_SEED=${SEED}\n${summaryOf(result)}`);
  expect(result.violations).toEqual([]);
  // All of this follows from what the run has done, however slow the machine is.
  const given = result.audit.events.filter(({ event }) => !isOfReader(event.type));
  expect(given.length).toBeGreaterThanOrEqual(2 * EXECUTIONS);
  expect(result.readings.seen).toBeGreaterThanOrEqual(given.length);
  expect(result.trimmed.left).toBeLessThan(result.trimmed.written);
}, 400_000);

/** The chaos run on an embedded store within `npm test`. `CHAOS_SEED` chooses another one. */
import { expect, it } from 'vitest';
import { isOfReader } from '../../../src/subscribing/filters.js';
import { runEmbeddedChaos } from './scenario.js';

const EXECUTIONS = 240;
const SEED = Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

it(`keeps what it answered, however often its process is killed (CHAOS_SEED=${SEED})`, async () => {
  const result = await runEmbeddedChaos({
    seed: SEED,
    executions: EXECUTIONS,
    durationMs: 4_000,
    fsync: 'everysec',
    lifeMs: 400,
  });
  const { audit, kills, freezes, read, violations } = result;
  console.log(
    `embedded chaos: CHAOS_SEED=${SEED}, ${kills} kills, ${freezes} freezes, ${audit.events.length} events, ${audit.ranUnanswered} of ${audit.neverAnswered} calls without an answer ran`,
  );
  expect(violations).toEqual([]);
  expect(kills).toBeGreaterThan(1);
  const given = audit.events.filter(({ event }) => !isOfReader(event.type));
  expect(given.length).toBeGreaterThanOrEqual(2 * EXECUTIONS);
  expect(read).toBeGreaterThanOrEqual(given.length);
}, 400_000);

/**
 * The two ways to run a recipe agree after every event of any run: through immer, where the state before stays as it
 * was, and in place, as the memory backend does. What the log folds to is the state that answered.
 */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { evolve } from '../model/evolve-pure.js';
import { evolveInPlace } from '../model/evolve.js';
import { emptyState, type PartitionState } from '../model/state.js';
import { seededUuids, testEngine } from '../src/testing/index.js';
import { run } from './actions.js';
import { START_AT } from './arena.js';
import { runDifferential, wholeLog } from './differential.js';
import { fuzzEnvironment } from './environment.js';

const { seed } = fuzzEnvironment(0);
const engine = await testEngine({ startAt: START_AT });
afterAll(() => engine.close());

/** Makes every entity and every table entry immutable, so that a recipe that changes its input throws. */
function freeze(state: PartitionState): PartitionState {
  for (const execution of state.executions.values()) Object.freeze(execution);
  for (const entry of state.idempotency.values()) Object.freeze(entry);
  return state;
}

const copyOf = (state: PartitionState): PartitionState => structuredClone(state);

test(`in place and through immer (FUZZ_SEED=${seed})`, async () => {
  await fc.assert(
    fc.asyncProperty(run(80), async (actions) => {
      await engine.clear();
      await runDifferential(
        actions,
        [{ name: 'memory', engine }],
        { checkpointEvery: 1_000 },
        START_AT,
        seededUuids('run'),
      );
      const inPlace = emptyState();
      let pure = emptyState();
      for (const { event } of await wholeLog(engine, '{fp:0}')) {
        const before = copyOf(pure);
        const next = evolve(freeze(pure), event);
        expect(isDeepStrictEqual(pure, before), `${event.type} leaves the state before as it was`).toBe(true);
        evolveInPlace(inPlace, event);
        expect(isDeepStrictEqual(inPlace, next), `${event.type} in place and through immer`).toBe(true);
        // Immer freezes what it made; go on with a copy, so that the next event shows what it changes.
        pure = copyOf(next);
      }
    }),
    { seed, numRuns: 60 },
  );
});

/**
 * Recipes give the same result through immer, where the previous state stays as it was, and in place, as in the memory
 * backend. The folded log is the state that answered. Runs are walks through the explorer's small worlds, so that all
 * operations and all kinds of callers take part.
 */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Event } from '../model/events.js';
import { fold } from '../model/evolve.js';
import { operationNamed } from '../model/machine.js';
import { evolve } from '../model/specification/evolve.js';
import { emptyState, type PartitionState } from '../model/state.js';
import { step } from './explore/explore.js';
import { movesOf } from './explore/moves.js';
import { rootNode } from './explore/node.js';
import { SCENARIOS, type Scenario } from './explore/scenarios.js';
import { fuzzEnvironment } from './environment.js';

const { seed } = fuzzEnvironment(0);

/** Maximum number of moves in a walk. */
const LENGTH = 60;

/** The next move of a walk: moves that change something are as likely as the many that do not. */
function eventsOf(scenario: Scenario, choices: readonly number[]): { events: Event[]; state: PartitionState } {
  let node = rootNode();
  for (const choice of choices) {
    const moves = [...movesOf(node, scenario)].map((move) => step(node, move, operationNamed).to);
    const effective = moves.filter(({ state, now }) => state !== node.state || now !== node.now);
    const eligible = choice % 2 === 0 && effective.length > 0 ? effective : moves;
    node = eligible[choice % eligible.length] ?? node;
  }
  return { events: node.log.map(({ event }) => event), state: node.state };
}

/** Makes every entity immutable, so that a recipe that changes its input throws. */
function freeze(state: PartitionState): PartitionState {
  for (const table of Object.values(state.tables)) {
    for (const entity of (table as ReadonlyMap<string, object>).values()) Object.freeze(entity);
  }
  return state;
}

const copyOf = (state: PartitionState): PartitionState => structuredClone(state);

test(`events have the same effect in place and through immer (FUZZ_SEED=${seed})`, () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...SCENARIOS),
      fc.array(fc.nat(10_000), { minLength: 10, maxLength: LENGTH, size: 'max' }),
      (scenario, choices) => {
        const { events, state } = eventsOf(scenario, choices);
        const inPlace = emptyState();
        let pure = emptyState();
        for (const event of events) {
          const before = copyOf(pure);
          const next = evolve(freeze(pure), event);
          expect(isDeepStrictEqual(pure, before), `${event.type} leaves the state before as it was`).toBe(true);
          fold(inPlace, event);
          expect(isDeepStrictEqual(inPlace, next), `${event.type} in place and through immer`).toBe(true);
          // Continue with a copy, because immer freezes its results.
          pure = copyOf(next);
        }
        expect(isDeepStrictEqual(inPlace, state), 'the log folds to the state that answered').toBe(true);
      },
    ),
    { seed, numRuns: 60 },
  );
});

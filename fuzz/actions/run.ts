/** A run about anything: its actions, scenes and batches, and their weights. */
import fc from 'fast-check';
import { bulkCreation, bulkEnd, crowdOfReaders, mixedBatch, watchedBatch } from './batches.js';
import { corner } from './corners.js';
import { crowd } from './crowds.js';
import { seldom } from './choices.js';
import { drawn, simple, type Action } from './index.js';
import {
  crowdOfWaitpoints,
  groupsOfChildren,
  inTurn,
  late,
  prepared,
  spending,
  stepping,
  twice,
  waitingWork,
  writing,
} from './scenes.js';

const create = drawn('create');

/** One action of a run. */
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 48, arbitrary: simple },
  { weight: 2, arbitrary: mixedBatch },
  { weight: 2, arbitrary: bulkCreation },
  { weight: 2, arbitrary: bulkEnd },
  { weight: 1, arbitrary: crowdOfReaders },
  { weight: 2, arbitrary: watchedBatch },
);

/** An action, sometimes followed at once by the same call, as after a lost reply. */
const once: fc.Arbitrary<readonly Action[]> = fc.oneof(
  { weight: 8, arbitrary: action.map((it) => [it]) },
  { weight: 1, arbitrary: simple.map((it): Action[] => [it, { do: 'repeat', back: 0 }]) },
  { weight: 1, arbitrary: late },
  { weight: 1, arbitrary: twice },
  { weight: 1, arbitrary: inTurn },
  { weight: 1, arbitrary: waitingWork },
  {
    weight: 2,
    arbitrary: fc.oneof({ weight: 60, arbitrary: prepared }, { weight: 1, arbitrary: crowdOfWaitpoints }),
  },
  { weight: 1, arbitrary: writing },
  { weight: 2, arbitrary: spending },
  { weight: 1, arbitrary: stepping },
  { weight: 2, arbitrary: groupsOfChildren },
  { weight: 4, arbitrary: crowd },
  { weight: 4, arbitrary: corner },
);

/** In every third run, names that are easily taken for each other; in two of three, ids in another order. */
const naming: fc.Arbitrary<Action[]> = fc
  .tuple(seldom(fc.nat(1_000_000), 3), fc.option(fc.nat(1_000_000), { freq: 3 }))
  .map(([names, ids]): Action[] => [
    ...(names === null ? [] : [{ do: 'names' as const, seed: names }]),
    ...(ids === null ? [] : [{ do: 'ids' as const, seed: ids }]),
  ]);

/** A run: usually some work first, then anything. `maxLength` bounds the second part. */
export const run = (maxLength: number): fc.Arbitrary<Action[]> =>
  fc
    .tuple(naming, fc.array<Action>(create, { maxLength: 3 }), fc.array(once, { minLength: 1, maxLength, size: 'max' }))
    .map(([names, work, rest]) => [...names, ...work, ...rest.flat()]);

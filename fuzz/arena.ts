/** Where runs take place: the backends that are compared, opened once and cleared for every run. */
import { randomUUID } from 'node:crypto';
import { seededUuids, testEngine } from '../src/testing/index.js';
import { LANES } from './actions/choices.js';
import type { Action } from './actions/index.js';
import type { Subject } from './comparison.js';
import { INDEXED_TAGS, runDifferential } from './differential.js';
import type { Step } from './divergence.js';
import { collidingLanes } from './names.js';
import { earsAtServer, earsInProcess } from './wakes/ears.js';

/** The time at which every run begins, ms since the epoch. Policies in `actions/policies.ts` name times after it. */
export const START_AT = 1_700_000_000_000;

/** The configuration of the backends. */
export const DEPLOYMENT = { startAt: START_AT, indexedTags: INDEXED_TAGS };

export interface Arena {
  /** One run on empty backends. @throws Divergence */
  run(actions: readonly Action[]): Promise<Step[]>;
  close(): Promise<void>;
}

/**
 * Actions between two comparisons of the whole state, which cost as much as the other checks of a dozen actions. Most runs
 * are shorter, and compared at their ends; what a step has spoiled is found by shrinking the run to it.
 */
const CHECKPOINT_EVERY = 60;

/** The lanes that can have work in runs. */
const LANES_WITH_WORK = [...LANES, ...collidingLanes()];

/** The memory backend, the embedded one on a disk in memory, and a server, side by side. */
export async function openArena(url: string): Promise<Arena> {
  const prefix = `arena-${randomUUID().slice(0, 8)}:`;
  const memory = await testEngine({ ...DEPLOYMENT });
  const embedded = await testEngine({ ...DEPLOYMENT, backend: 'embedded' });
  const valkey = await testEngine({ ...DEPLOYMENT, prefix, backend: { url } });
  const subjects = [
    { name: 'memory', engine: memory, ears: await earsInProcess(memory, LANES_WITH_WORK) },
    { name: 'embedded', engine: embedded, ears: await earsInProcess(embedded, LANES_WITH_WORK), restarts: true },
    { name: 'valkey', engine: valkey, ears: await earsAtServer(url, prefix) },
  ] as const satisfies readonly Subject[];
  // The first use of a family is recorded before it is used, because runs send a command and a read of the log
  // together.
  for (const { engine } of subjects) await engine.backend.createBudget({ budgetId: engine.uuid() });
  return {
    async run(actions) {
      await Promise.all(
        subjects.map(async ({ engine, ears }) => {
          await engine.clear();
          await ears.renew();
        }),
      );
      return runDifferential(actions, subjects, { checkpointEvery: CHECKPOINT_EVERY }, START_AT, seededUuids('run'));
    },
    async close() {
      for (const { ears } of subjects) ears.close();
      await Promise.all(subjects.map(({ engine }) => engine.close()));
    },
  };
}

/** Where runs take place: the backends that are compared, opened once and cleared for every run. */
import { seededUuids, testEngine } from '../src/testing/index.js';
import type { Action } from './actions/index.js';
import type { Subject } from './comparison.js';
import { INDEXED_TAGS, runDifferential } from './differential.js';
import type { Step } from './divergence.js';

/** The time at which every run begins, ms since the epoch. Policies in `actions/policies.ts` name times after it. */
export const START_AT = 1_700_000_000_000;

/** The configuration of the backends. */
export const DEPLOYMENT = { startAt: START_AT, indexedTags: INDEXED_TAGS };

export interface Arena {
  /** One run on empty backends. @throws Divergence */
  run(actions: readonly Action[]): Promise<Step[]>;
  close(): Promise<void>;
}

/** Steps between two comparisons of the whole state: few enough to name the guilty step, many enough to be fast. */
const CHECKPOINT_EVERY = 12;

/** The memory backend, the embedded one on a disk in memory, and a server, side by side. */
export async function openArena(url: string): Promise<Arena> {
  const subjects: Subject[] = [
    { name: 'memory', engine: await testEngine({ ...DEPLOYMENT }) },
    { name: 'embedded', engine: await testEngine({ ...DEPLOYMENT, backend: 'embedded' }), restarts: true },
    { name: 'valkey', engine: await testEngine({ ...DEPLOYMENT, backend: { url } }) },
  ];
  // The first use of a family is recorded before it is used, because runs send a command and a read of the log
  // together.
  for (const { engine } of subjects) await engine.backend.createBudget({ budgetId: engine.uuid() });
  return {
    async run(actions) {
      await Promise.all(subjects.map(({ engine }) => engine.clear()));
      return runDifferential(actions, subjects, { checkpointEvery: CHECKPOINT_EVERY }, START_AT, seededUuids('run'));
    },
    async close() {
      await Promise.all(subjects.map(({ engine }) => engine.close()));
    },
  };
}

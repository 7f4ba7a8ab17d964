/**
 * A process that has its state in files dies at any byte of any write, or the machine loses its power: what is found
 * afterwards is what there was after some turn, and no turn that was answered is missing.
 */
import { describe, expect, test } from 'vitest';
import { abandon } from '../../src/embedded/backend.js';
import { SimulatedDisk, seededRandom } from '../../src/testing/simulation/index.js';
import { openStore, scriptOf, type Opened, type Script } from './script.js';

type Options = NonNullable<Parameters<typeof openStore>[2]>;

interface Died {
  /** Turns that were answered. */
  readonly answered: number;
  /** Turns that were begun. */
  readonly begun: number;
}

/** Runs a script until the disk stops, or to its end. */
async function runUntilStop(disk: SimulatedDisk, script: Script, options: Options): Promise<Died> {
  let answered = 0;
  let begun = 0;
  let store: Opened | undefined;
  try {
    store = openStore(disk, script, options);
    for (const turn of script.turns) {
      begun += 1;
      if (!(await Promise.race([store.turn(turn), disk.stopped.then(() => false)]))) break;
      answered += 1;
      // A snapshot that is being made has its turns too.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  } catch {
    // It stopped while it was opened.
  }
  disk.halt();
  if (store !== undefined) abandon(store.backend);
  return { answered, begun };
}

/** What a new process finds: after how many turns the state is the stored one. */
function found(disk: SimulatedDisk, script: Script, options: Options, between: Died): number {
  const last = script.turns[between.begun - 1];
  const store = openStore(disk, script, options, last?.at);
  const state = store.state();
  disk.halt();
  abandon(store.backend);
  for (let turns = between.begun; turns >= 0; turns--) if (script.states[turns] === state) return turns;
  throw new Error(`what was found was never there; ${between.answered} turns were answered, ${between.begun} begun`);
}

describe('a loss of power', () => {
  test.each(['always', 'everysec', 'never'] as const)('with fsync %s', { timeout: 240_000 }, async (fsync) => {
    const random = seededRandom(23);
    const scripts = await Promise.all([1, 2, 3].map((seed) => scriptOf(seed, 40, 2)));
    for (let round = 0; round < 150; round++) {
      const options: Options = { fsync, snapshotEveryBytes: round % 2 === 0 ? 1_500 : 1_000_000 };
      const script = scripts[round % scripts.length] as Script;
      const disk = new SimulatedDisk();
      disk.stopAt = Math.floor(random() * 80_000);
      const died = await runUntilStop(disk, script, options);
      const turns = found(disk.afterPowerLoss(random), script, options, died);
      if (fsync === 'always') expect(turns).toBeGreaterThanOrEqual(died.answered);
    }
  });
});

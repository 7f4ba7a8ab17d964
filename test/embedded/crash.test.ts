/**
 * A process that has its state in files dies at any byte of any write, or the machine loses its power: what is found
 * afterwards is what there was after some turn, and no turn that was answered is missing.
 */
import { describe, expect, test } from 'vitest';
import { abandon } from '../../src/embedded/backend.js';
import { SimulatedDisk, seededRandom } from '../../src/testing/simulation/index.js';
import { openStore, scriptOf, type Opened, type Script } from './script.js';

/** `npm run prove -- embedded` does it a thousand times, and stops at every byte. */
const KILLS = Number(process.env['EMBEDDED_KILLS'] ?? 60);
const TIMEOUT_MS = 240_000 * Math.max(1, KILLS / 100);
/** Every byte in the long form; in the short one every so many, another place in every file. */
const STRIDE = KILLS >= 1_000 ? 1 : 23;

type Options = NonNullable<Parameters<typeof openStore>[2]>;

interface Died {
  /** Turns that were answered. */
  readonly answered: number;
  /** Turns that were begun. */
  readonly begun: number;
}

/** Runs a script until the disk stops, or to its end. */
async function runUntilStop(disk: SimulatedDisk, script: Script, options: Options, from = 0): Promise<Died> {
  let answered = from;
  let begun = from;
  let store: Opened | undefined;
  try {
    store = openStore(disk, script, options);
    for (const turn of script.turns.slice(from)) {
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

/** Every byte at which a run of the script can stop; of long runs of zeros, which are room taken ahead, a few. */
async function stops(script: Script, options: Options): Promise<number[]> {
  const disk = new SimulatedDisk();
  const zeros: [from: number, to: number][] = [];
  const write = disk.write.bind(disk);
  disk.write = (file, from, length, position) => {
    if (length > 512 && from.subarray(0, length).every((byte) => byte === 0))
      zeros.push([disk.done, disk.done + length]);
    write(file, from, length, position);
  };
  await runUntilStop(disk, script, options);
  const all = Array.from({ length: disk.done + 1 }, (_, at) => at);
  const inZeros = (at: number): boolean => zeros.some(([from, to]) => at > from + 2 && at < to - 2 && at % 9_973 !== 0);
  return all.filter((at) => !inZeros(at));
}

describe.each([
  ['without a snapshot', { snapshotEveryBytes: 1_000_000 }],
  ['with snapshots', { snapshotEveryBytes: 600 }],
] as const)('killed at every byte, %s', (_, options) => {
  test('what was answered is stored, and no batch is stored in part', { timeout: TIMEOUT_MS }, async () => {
    const script = await scriptOf(3, 4, 2);
    const places = await stops(script, options);
    expect(places.length).toBeGreaterThan(3_000);
    for (let place = 0; place < places.length; place += STRIDE) {
      const stopAt = places[place] as number;
      const disk = new SimulatedDisk();
      disk.stopAt = stopAt;
      const died = await runUntilStop(disk, script, options);
      expect(found(disk.afterKill(), script, options, died), `stopped at ${stopAt}`).toBeGreaterThanOrEqual(
        died.answered,
      );
    }
  });
});

test(`killed ${KILLS} times in a long run, and started again each time`, { timeout: TIMEOUT_MS }, async () => {
  const script = await scriptOf(7, Math.ceil(KILLS * 2.2), 2);
  const random = seededRandom(11);
  const options = { snapshotEveryBytes: 20_000 };
  let disk = new SimulatedDisk();
  let turns = 0;
  let kills = 0;
  while (turns < script.turns.length && kills < KILLS) {
    // Some while room is taken ahead, most soon afterwards.
    const isEarly = random() < 0.3;
    disk.stopAt = disk.done + Math.floor(isEarly ? random() * 17_000 : 16_400 + random() ** 2 * 4_000);
    const died = await runUntilStop(disk, script, options, turns);
    disk = disk.afterKill();
    turns = found(disk, script, options, died);
    expect(turns).toBeGreaterThanOrEqual(died.answered);
    disk = disk.afterKill();
    kills += 1;
  }
  expect(kills).toBeGreaterThan(KILLS * 0.7);
});

/** The points of a run just before each change that is no write: a sync, a name, the end of a file. */
async function changes(script: Script, options: Options): Promise<number[]> {
  const disk = new SimulatedDisk();
  const places: number[] = [];
  for (const name of ['sync', 'syncFolder', 'rename', 'truncate', 'remove'] as const) {
    const change = disk[name].bind(disk) as (...args: never[]) => void;
    disk[name] = (...args: never[]) => {
      places.push(disk.done);
      change(...args);
    };
  }
  await runUntilStop(disk, script, options);
  return places;
}

describe('a loss of power', () => {
  test.each(['always', 'everysec', 'never'] as const)(
    'before any sync, rename or truncation, with fsync %s',
    { timeout: 120_000 },
    async (fsync) => {
      const options: Options = { fsync, snapshotEveryBytes: 16_000 };
      const script = await scriptOf(1, 40, 2);
      const random = seededRandom(29);
      for (const stopAt of await changes(script, options)) {
        const disk = new SimulatedDisk();
        disk.stopAt = stopAt;
        const died = await runUntilStop(disk, script, options);
        for (let loss = 0; loss < 40; loss++) {
          const turns = found(disk.afterPowerLoss(random), script, options, died);
          if (fsync === 'always') expect(turns).toBeGreaterThanOrEqual(died.answered);
        }
      }
    },
  );

  test.each(['always', 'everysec', 'never'] as const)('with fsync %s', { timeout: 240_000 }, async (fsync) => {
    const random = seededRandom(23);
    const scripts = await Promise.all([1, 2, 3].map((seed) => scriptOf(seed, 40, 2)));
    for (let round = 0; round < 150; round++) {
      const options: Options = { fsync, snapshotEveryBytes: round % 2 === 0 ? 1_500 : 1_000_000 };
      const script = scripts[round % scripts.length] as Script;
      const disk = new SimulatedDisk();
      disk.stopAt = Math.floor(random() * 80_000);
      const first = await runUntilStop(disk, script, options);
      // In every third round a process is killed before, and another one goes on from what it left.
      const isSecond = round % 3 === 2;
      const next = isSecond ? disk.afterKill() : disk;
      next.stopAt = Math.floor(random() * 40_000);
      const died = isSecond
        ? await runUntilStop(next, script, options, found(disk.afterKill(), script, options, first))
        : first;
      const turns = found(next.afterPowerLoss(random), script, options, died);
      if (fsync === 'always') expect(turns).toBeGreaterThanOrEqual(died.answered);
    }
  });
});

test('a loss of power after one process was killed and another one continued', async () => {
  const options: Options = { fsync: 'never', snapshotEveryBytes: 1_000_000 };
  const script = await scriptOf(2, 12, 2);
  const disk = new SimulatedDisk();
  const half = { ...script, turns: script.turns.slice(0, 6) };
  await runUntilStop(disk, half, options);
  const next = disk.afterKill();
  const died = await runUntilStop(next, script, options, 6);
  expect(died.answered).toBe(12);
  for (let seed = 0; seed < 200; seed++) {
    // All that the first process wrote is on the medium since the second one opened it.
    expect(found(next.afterPowerLoss(seededRandom(seed)), script, options, died)).toBeGreaterThanOrEqual(6);
  }
});

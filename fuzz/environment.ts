/** What the environment says about fuzzing: `FUZZ_SEED`, `FUZZ_PATH`, `FUZZ_RUNS`, `FUZZ_SECONDS`, `FUZZ_SHRINK_SECONDS`, `CI`. */

export interface FuzzEnvironment {
  readonly seed: number;
  readonly path: string | undefined;
  readonly runs: number;
  readonly timeMs: number;
  readonly keepFailures: boolean;
  /** Longest time for shrinking a failure of the worker machine, ms; 0 also suppresses its story. */
  readonly shrinkMs: number;
}

const DEFAULT_SHRINK_SECONDS = 30;

const numberOf = (name: string): number | undefined => {
  const text = process.env[name];
  if (text === undefined || text === '') return undefined;
  const value = Number(text);
  if (!Number.isFinite(value)) throw new Error(`${name}="${text}" is not a number.`);
  return value;
};

/** A new seed: an integer short enough to type. */
const randomSeed = (): number => Math.floor(Math.random() * 2 ** 31);

/** The settings of a campaign; `defaultSeconds` bounds it when neither runs nor seconds are given. */
export function fuzzEnvironment(defaultSeconds: number): FuzzEnvironment {
  const runs = numberOf('FUZZ_RUNS');
  const seconds = numberOf('FUZZ_SECONDS') ?? (runs === undefined ? defaultSeconds : Number.POSITIVE_INFINITY);
  return {
    seed: numberOf('FUZZ_SEED') ?? randomSeed(),
    path: process.env['FUZZ_PATH'] || undefined,
    runs: runs ?? Number.POSITIVE_INFINITY,
    timeMs: seconds * 1_000,
    keepFailures: !process.env['CI'],
    shrinkMs: (numberOf('FUZZ_SHRINK_SECONDS') ?? DEFAULT_SHRINK_SECONDS) * 1_000,
  };
}

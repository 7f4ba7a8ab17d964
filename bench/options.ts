import { parseArgs } from 'node:util';

/** Runs per figure when nothing is said. */
const DEFAULT_RUNS = 5;
const QUICK_RUNS = 1;
const QUICK_SCALE = 0.1;

/** What the command line and the environment ask for. */
export interface Options {
  /** Names of scenarios; empty means all. */
  readonly scenarios: readonly string[];
  readonly runs: number;
  readonly scale: number;
  readonly quick: boolean;
  /** Lists the scenarios and their goals, and measures nothing. */
  readonly list: boolean;
  readonly jsonFile: string | undefined;
  readonly markdownFile: string | undefined;
}

/**
 * Reads the options: `--runs` wins over BENCH_RUNS, which wins over the default.
 *
 * @throws Error with a sentence for the user when an option is unknown or a number makes no sense.
 */
export function readOptions(args: readonly string[], environment: NodeJS.ProcessEnv): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      runs: { type: 'string' },
      json: { type: 'string' },
      markdown: { type: 'string' },
      quick: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const quick = values.quick;
  const runsText = values.runs ?? environment['BENCH_RUNS'] ?? String(quick ? QUICK_RUNS : DEFAULT_RUNS);
  const runs = Number(runsText);
  if (!Number.isInteger(runs) || runs < 1 || runs > 100) {
    throw new Error(`The number of runs must be a whole number from 1 to 100, not ${runsText}.`);
  }
  return {
    scenarios: positionals,
    runs,
    quick,
    scale: quick ? QUICK_SCALE : 1,
    list: values.list || values.help,
    jsonFile: values.json,
    markdownFile: values.markdown,
  };
}

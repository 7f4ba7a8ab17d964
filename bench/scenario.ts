import type { Engine } from './adapter.js';
import { openEngine, type EngineName } from './engines/index.js';
import type { Row } from './rows.js';
import { BenchServer } from './server.js';

/** What a scenario is given. */
export interface ScenarioContext {
  /** Measurements per contestant. */
  readonly runs: number;
  /** Factor on every size and duration: 1, or less in the quick form. */
  readonly scale: number;
  /** Whether only what matters most is measured: fewer contestants, less beside the figures that are judged. */
  readonly quick: boolean;
  /** Says one sentence to the person who waits. */
  note(sentence: string): void;
}

/** One question that the benchmark answers. */
export interface Scenario {
  /** The word on the command line. */
  readonly name: string;
  /** What it measures, in a few words. */
  readonly title: string;
  /** Left out of the quick form unless it is named. */
  readonly notQuick?: true;
  run(context: ScenarioContext): Promise<readonly Row[]>;
}

/** Fewest items that a figure is made of. */
const LEAST_ITEMS = 50;

/** `full` items, or as many as the quick form takes. */
export function scaled(context: ScenarioContext, full: number): number {
  return Math.max(LEAST_ITEMS, Math.round(full * context.scale));
}

/** Runs `action` with a private server of its own, and stops it whatever happens. */
export async function withServer<Result>(
  options: { readonly appendonly: boolean },
  action: (server: BenchServer) => Promise<Result>,
): Promise<Result> {
  const server = await BenchServer.start(options);
  try {
    return await action(server);
  } finally {
    await server.stop();
  }
}

/** Opens one engine in this process, hands it over and closes it whatever happens. */
export async function withEngine<Name extends EngineName, Result>(
  name: Name,
  server: BenchServer,
  action: (engine: Awaited<ReturnType<typeof openEngine<Name>>>) => Promise<Result>,
): Promise<Result> {
  const engine: Engine = await openEngine(name, server.address);
  try {
    return await action(engine as Awaited<ReturnType<typeof openEngine<Name>>>);
  } finally {
    await engine.close();
  }
}

/** One system in one form. */
interface Contestant<Result> {
  readonly name: string;
  measure(): Promise<Result>;
}

/**
 * Measures contestants in alternation: A B C, A B C, ... Whatever drifts on the machine drifts for all of them, so
 * ratios within a run mean more than any absolute number.
 *
 * @returns for each contestant the results in run order.
 */
export async function alternate<Result>(
  contestants: readonly Contestant<Result>[],
  runs: number,
): Promise<{ readonly name: string; readonly results: readonly Result[] }[]> {
  const entries = contestants.map((contestant) => ({ contestant, results: [] as Result[] }));
  for (let run = 0; run < runs; run += 1) {
    for (const { contestant, results } of entries) results.push(await contestant.measure());
  }
  return entries.map(({ contestant, results }) => ({ name: contestant.name, results }));
}

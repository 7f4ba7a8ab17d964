/**
 * A campaign: many runs within a budget, a few at a time, until the budget is used up or a difference is found. A
 * difference is shrunk, told as a story, and comes with the one command that repeats it.
 */
import fc from 'fast-check';
import { flowRun } from './actions/flow-run.js';
import type { Action } from './actions/index.js';
import { run } from './actions/run.js';
import { openArena, START_AT, type Arena } from './arena.js';
import { corpus, keep, type CorpusEntry } from './corpus.js';
import { Coverage } from './coverage.js';
import { Divergence } from './divergence.js';
import { shrink } from './shrink.js';
import { storyOf } from './story.js';

export interface Budget {
  /** Wall time, ms, without the time for shrinking. */
  readonly timeMs: number;
  /** Runs at most. */
  readonly runs: number;
}

/** The subject of runs: anything, or flows with many members. The corpus is replayed only with `anything`. */
export type Subject = 'anything' | 'flows';

export interface CampaignOptions extends Budget {
  readonly url: string;
  /** Default anything. */
  readonly about?: Subject;
  readonly seed: number;
  /** Path of a counterexample below the seed, as printed by a failure: repeats only that run. */
  readonly path?: string;
  /** Whether a new counterexample is written into the corpus. */
  readonly keepFailures: boolean;
}

export interface Failure {
  readonly seed: number;
  readonly path: string;
  readonly actions: readonly Action[];
  /** The whole report for a person. */
  readonly report: string;
}

export interface CampaignResult {
  readonly runs: number;
  readonly steps: number;
  readonly elapsedMs: number;
  readonly replayed: number;
  readonly coverage: Coverage;
  readonly failure: Failure | undefined;
}

/** Runs under way at a time: while one waits for the server, the others compute. */
const LANES = 3;
/** Runs per seed: few enough to keep a budget, many enough that starting costs nothing. */
const RUNS_PER_SEED: Readonly<Record<Subject, number>> = { anything: 25, flows: 3 };
/** Longest time for shrinking, ms. */
const SHRINK_LIMIT_MS = 60_000;

/** Many short runs, for breadth and quick shrinking; some long ones, because deep states take many steps. */
export const anyRun: fc.Arbitrary<Action[]> = fc.oneof(
  { weight: 10, arbitrary: run(12) },
  { weight: 6, arbitrary: run(60) },
  { weight: 1, arbitrary: run(200) },
  { weight: 1, arbitrary: flowRun },
);

const RUNS: Readonly<Record<Subject, fc.Arbitrary<Action[]>>> = { anything: anyRun, flows: flowRun };

class Campaign {
  private readonly about: Subject;
  private readonly coverage = new Coverage();
  private readonly startedAt = performance.now();
  private runs = 0;
  private replayed = 0;
  private steps = 0;
  private nextSeed: number;
  private failure: Failure | undefined;
  /** The lane with the difference; the others stop, so that shrinking has the machine. */
  private failing: Arena | undefined;

  constructor(private readonly options: CampaignOptions) {
    this.nextSeed = options.seed;
    this.about = options.about ?? 'anything';
  }

  async go(): Promise<CampaignResult> {
    const { url, path } = this.options;
    const replays = path === undefined && this.about === 'anything';
    const entries = replays ? corpus() : [];
    const lanes = path === undefined ? LANES : 1;
    const arenas = await Promise.all(Array.from({ length: lanes }, () => openArena(url)));
    try {
      const left = entries.values();
      await Promise.all(arenas.map((arena) => this.replay(left, arena)));
      if (this.failure === undefined) await Promise.all(arenas.map((arena) => this.lane(arena)));
    } finally {
      await Promise.all(arenas.map((arena) => arena.close()));
    }
    return {
      runs: this.runs,
      steps: this.steps,
      elapsedMs: performance.now() - this.startedAt,
      replayed: entries.length,
      coverage: this.coverage,
      failure: this.failure,
    };
  }

  /** Replays entries that no other lane has begun. */
  private async replay(left: Iterable<CorpusEntry>, arena: Arena): Promise<void> {
    for (const { name, why, actions } of left) {
      // Every other time with other ids than those with which it was found.
      const ids = this.replayed++ % 2 === this.options.seed % 2 ? undefined : this.options.seed;
      try {
        await this.once(arena, ids === undefined ? actions : [{ do: 'ids', seed: ids }, ...actions]);
      } catch (error) {
        this.failing = arena;
        this.failure = {
          seed: this.options.seed,
          path: '',
          actions,
          report: `fuzz/corpus/${name}.json is back (${why})${ids === undefined ? '' : `, with ids of seed ${ids}`}.\n\n${tell(error)}`,
        };
        return;
      }
    }
  }

  private async lane(arena: Arena): Promise<void> {
    const { path, timeMs, runs } = this.options;
    const over = (): boolean =>
      this.failing !== undefined || this.runs >= runs || performance.now() - this.startedAt >= timeMs;
    if (path !== undefined) return this.check(arena, this.options.seed, path);
    while (!over()) await this.check(arena, this.nextSeed++, undefined);
  }

  private async check(arena: Arena, seed: number, path: string | undefined): Promise<void> {
    const details = await fc.check(
      fc.asyncProperty(RUNS[this.about], (actions) => this.once(arena, actions)),
      { seed, path, numRuns: path === undefined ? RUNS_PER_SEED[this.about] : 1, endOnFailure: true },
    );
    if (!details.failed || details.counterexample === null) return;
    const shrunk = await shrink(
      details.counterexample[0],
      details.errorInstance,
      (actions) => arena.run(actions),
      SHRINK_LIMIT_MS,
    );
    const kept = this.options.keepFailures ? keep(titleOf(shrunk.error), shrunk.actions) : undefined;
    const foundPath = details.counterexamplePath ?? '';
    this.failure = {
      seed,
      path: foundPath,
      actions: shrunk.actions,
      report: reportOf(shrunk.error, seed, foundPath, kept, this.about),
    };
  }

  private async once(arena: Arena, actions: readonly Action[]): Promise<void> {
    if (this.failing !== undefined) return;
    const steps = await arena.run(actions).catch((error: unknown) => {
      this.failing ??= arena;
      if (this.failing === arena) throw error;
      return [];
    });
    this.runs += 1;
    this.steps += steps.length;
    for (const step of steps) this.coverage.note(step);
  }
}

/** Runs a campaign. A difference is a result and not an exception. */
export function campaign(options: CampaignOptions): Promise<CampaignResult> {
  return new Campaign(options).go();
}

const titleOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const tell = (error: unknown): string =>
  error instanceof Divergence
    ? storyOf(error, START_AT)
    : error instanceof Error
      ? (error.stack ?? error.message)
      : String(error);

function reportOf(error: unknown, seed: number, path: string, kept: string | undefined, about: Subject): string {
  const option = about === 'flows' ? ' -- --flows' : '';
  return [
    titleOf(error),
    '',
    tell(error),
    '',
    `Again: FUZZ_SEED=${seed} FUZZ_PATH=${path} npm run fuzz${option}`,
    ...(kept === undefined ? [] : [`Kept as ${kept}; it is replayed first from now on.`]),
  ].join('\n');
}

/** One line of figures. */
export function summaryOf({ runs, steps, elapsedMs, replayed }: CampaignResult): string {
  const seconds = elapsedMs / 1_000;
  return `${runs} runs (${replayed} from the corpus), ${steps} steps, ${seconds.toFixed(1)} s, ${Math.round(steps / seconds)} steps/s`;
}

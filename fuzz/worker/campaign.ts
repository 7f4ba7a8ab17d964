/**
 * A campaign of the worker machine: the corpus first, then new programs until the budget is used up or an invariant
 * breaks. A failure is shrunk, told as a story, and comes with the one command that repeats it.
 */
import fc from 'fast-check';
import { corpus, keep } from './corpus.js';
import { play, type Played } from './machine.js';
import { program as anyProgram, type Program } from './program.js';
import { shrink } from './shrink.js';
import { Broken } from './world.js';
import { keysOf } from '../../model/core/tables.js';

export interface CampaignOptions {
  /** Wall time, ms, without the time for shrinking. */
  readonly timeMs: number;
  /** Programs at most. */
  readonly runs: number;
  readonly seed: number;
  /** Plays only this program of the seed, as printed by a failure. */
  readonly path?: string | undefined;
  /** Whether a new failure is written into the corpus. */
  readonly keepFailures: boolean;
  /** Longest time for shrinking, ms; with 0 a failure is reported unshrunk, without its story. */
  readonly shrinkMs: number;
}

export interface CampaignResult {
  readonly programs: number;
  readonly replayed: number;
  readonly elapsedMs: number;
  readonly total: Played;
  readonly failure: Failure | undefined;
}

export interface Failure {
  readonly invariant: string;
  readonly program: Program;
  /** The whole report for a person. */
  readonly report: string;
}

/** Programs per seed: few enough to keep a budget. */
const PER_SEED = 20;

/** Plays programs. A broken invariant is a result, not an exception. */
export async function campaign(options: CampaignOptions): Promise<CampaignResult> {
  const startedAt = performance.now();
  const total = { virtualMs: 0, runs: 0, handlerCalls: 0, claims: 0 };
  let programs = 0;
  let failure: Failure | undefined;
  const entries = options.path === undefined ? corpus() : [];
  for (const { name, why, program } of entries) {
    const error = await brokenBy(program);
    if (error === undefined) continue;
    const { story } = options.shrinkMs > 0 ? await told(program, error) : error;
    const report = `fuzz/worker/corpus/${name}.json is back (${why}).\n\n${error.message}\n\n${story}`;
    failure = { invariant: error.invariant, program, report };
    break;
  }
  for (let seed = options.seed; failure === undefined; seed++) {
    const chosen = options.path === undefined ? undefined : Number(options.path);
    for (const [place, program] of fc.sample(anyProgram, { seed, numRuns: PER_SEED }).entries()) {
      if (performance.now() - startedAt >= options.timeMs || programs >= options.runs) break;
      if (chosen !== undefined && place !== chosen) continue;
      programs++;
      const error = await brokenBy(program, (played) => add(total, played));
      if (error === undefined) continue;
      failure = await failureOf(program, error, `FUZZ_SEED=${seed} FUZZ_PATH=${place}`, options);
      break;
    }
    if (chosen !== undefined || performance.now() - startedAt >= options.timeMs || programs >= options.runs) break;
  }
  return { programs, replayed: entries.length, elapsedMs: performance.now() - startedAt, total, failure };
}

async function brokenBy(program: Program, onPlayed?: (played: Played) => void): Promise<Broken | undefined> {
  try {
    const played = await play(program, false);
    onPlayed?.(played);
    return undefined;
  } catch (error) {
    if (error instanceof Broken) return error;
    throw error;
  }
}

/** Plays a program again and records its story. */
async function told(program: Program, error: Broken): Promise<Broken> {
  try {
    await play(program, true);
  } catch (again) {
    if (again instanceof Broken) return again;
  }
  return new Broken(
    error.invariant,
    error.detail,
    `${error.detail}\n(It did not break again with its story written down: something depends on real time.)`,
  );
}

async function failureOf(
  program: Program,
  error: Broken,
  again: string,
  { shrinkMs, keepFailures }: CampaignOptions,
): Promise<Failure> {
  if (shrinkMs === 0) return { invariant: error.invariant, program, report: `${error.message}\n\nAgain: ${again}` };
  const shrunk = await shrink(program, error, (candidate) => play(candidate, false), shrinkMs);
  const { story, invariant, message } = await told(shrunk.program, shrunk.error);
  const kept = keepFailures ? [`Kept as ${keep(message, shrunk.program)}; it is played first from now on.`] : [];
  const report = [
    message,
    '',
    story,
    '',
    JSON.stringify(shrunk.program),
    '',
    `Again: ${again} npm run fuzz:worker`,
    ...kept,
  ].join('\n');
  return { invariant, program: shrunk.program, report };
}

function add(total: { -readonly [Key in keyof Played]: number }, played: Played): void {
  for (const key of keysOf(total)) total[key] += played[key];
}

/** One line of figures. */
export function summaryOf({ programs, replayed, elapsedMs, total }: CampaignResult): string {
  const perMinute = Math.round((programs / elapsedMs) * 60_000);
  const hours = (total.virtualMs / 3_600_000).toFixed(1);
  return `${programs} programs (${replayed} before them from the corpus), ${perMinute} a minute; ${hours} h of virtual time, ${total.runs} runs, ${total.claims} claims, ${total.handlerCalls} handler calls`;
}

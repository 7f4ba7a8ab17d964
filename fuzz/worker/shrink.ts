/**
 * Shortens a failing program: removes moves, then workers and tasks, then simplifies the rest, while the same invariant
 * still breaks. Programs refer to things by choice, so any remaining program still has a meaning.
 */
import { simplerFlows } from './flow-program.js';
import type { Move, Program, RunSetup, Step, TaskSetup, WorkerSetup } from './program.js';
import { Broken } from './world.js';

export interface Shrunk {
  readonly program: Program;
  readonly error: Broken;
}

/** The simplest program found within the time limit, ms, that breaks the same invariant. */
export async function shrink(
  failing: Program,
  error: Broken,
  attempt: (program: Program) => Promise<unknown>,
  timeLimitMs: number,
): Promise<Shrunk> {
  const deadline = performance.now() + timeLimitMs;
  let best: Shrunk = { program: failing, error };
  const fails = async (program: Program): Promise<boolean> => {
    try {
      await attempt(program);
      return false;
    } catch (next) {
      if (!(next instanceof Broken) || next.invariant !== error.invariant) return false;
      best = { program, error: next };
      return true;
    }
  };
  for (let simpler = true; simpler; ) {
    simpler = false;
    for (const candidates of [withoutMoves, withSimplerSetup, withSimplerMoves]) {
      for (let found = true; found; ) {
        found = false;
        for (const candidate of candidates(best.program)) {
          if (performance.now() > deadline) return best;
          if (!(await fails(candidate))) continue;
          found = simpler = true;
          break;
        }
      }
    }
  }
  return best;
}

function* withoutMoves({ setup, moves }: Program): Generator<Program> {
  for (let size = Math.ceil(moves.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2))
    for (let from = 0; from < moves.length; from += size) yield { setup, moves: moves.toSpliced(from, size) };
}

const PLAIN_TASK: TaskSetup = {
  sharesLane: false,
  needsGpu: false,
  failures: 0,
  crashes: 1_000,
  attemptTimeoutMs: undefined,
  totalMs: undefined,
  backoffMs: 1,
};
const PLAIN_WORKER: WorkerSetup = {
  slots: 1,
  claimAhead: 0,
  leaseTtlMs: 30_000,
  sweepMs: 5_000,
  drainMs: 0,
  gpu: false,
  without: undefined,
  loop: true,
};
const PLAIN_STEP: Step = { takesMs: 0, end: 'return', heeds: false, stretches: 0, stretchShare: 0.1, progress: 'none' };
const PLAIN_RUN: RunSetup = { script: [], delayMs: undefined, deadlineMs: undefined, priority: 0 };

function* withSimplerSetup({ setup, moves }: Program): Generator<Program> {
  const { tasks, workers } = setup;
  for (let at = 0; workers.length > 1 && at < workers.length; at++)
    yield { setup: { ...setup, workers: workers.toSpliced(at, 1) }, moves };
  for (let at = 0; tasks.length > 1 && at < tasks.length; at++)
    yield { setup: { ...setup, tasks: tasks.toSpliced(at, 1) }, moves };
  for (const plainer of plainerThan(setup, { seed: 0, partitions: 1, latencyMs: 1 })) yield { setup: plainer, moves };
  for (const [at, task] of tasks.entries())
    for (const plainer of plainerThan(task, PLAIN_TASK))
      yield { setup: { ...setup, tasks: tasks.with(at, plainer) }, moves };
  for (const [at, worker] of workers.entries())
    for (const plainer of plainerThan(worker, PLAIN_WORKER))
      yield { setup: { ...setup, workers: workers.with(at, plainer) }, moves };
}

function* withSimplerMoves({ setup, moves }: Program): Generator<Program> {
  for (const [at, move] of moves.entries())
    for (const simpler of simplerMoves(move)) yield { setup, moves: moves.with(at, simpler) };
}

function* simplerMoves(move: Move): Generator<Move> {
  if ('count' in move && move.count > 1) {
    yield { ...move, count: 1 };
    yield { ...move, count: move.count - 1 };
  }
  if ('process' in move && move.process > 0) yield { ...move, process: 0 };
  if (move.do === 'wait' && move.ms > 1) yield { ...move, ms: Math.floor(move.ms / 2) };
  if (move.do === 'flow') for (const flow of simplerFlows(move.flow)) yield { ...move, flow };
  if (move.do !== 'run') return;
  const { run } = move;
  if (move.task > 0) yield { ...move, task: 0 };
  for (const plainer of plainerThan(run, { ...PLAIN_RUN, script: run.script })) yield { ...move, run: plainer };
  for (let at = run.script.length - 1; at >= 0; at--)
    yield { ...move, run: { ...run, script: run.script.toSpliced(at, 1) } };
  for (const [at, step] of run.script.entries())
    for (const plainer of plainerThan(step, PLAIN_STEP))
      yield { ...move, run: { ...run, script: run.script.with(at, plainer) } };
}

/** The same with one member simplified as far as possible; for a number, also halfway. */
function* plainerThan<T extends object>(value: T, plain: Partial<T>): Generator<T> {
  for (const key of Object.keys(plain) as (keyof T)[]) {
    const [from, to] = [value[key], plain[key]];
    if (from === to) continue;
    yield { ...value, [key]: to };
  }
}

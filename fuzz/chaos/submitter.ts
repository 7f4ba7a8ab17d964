/**
 * The client that creates the executions of a run and waits for their ends. It keeps an id for each, and creates those
 * again that the server does not know: after a server lost its tail, a user has to do no more than this.
 */
import type { Backend } from '../../src/backend/backend.js';
import { EngineError } from '../../model/errors.js';
import { RunNotFoundError, RunStateError } from '../../src/index.js';
import { settled } from './settled.js';
import { jobOf, chaosApp, GO, type Job } from './work.js';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Executions per call. */
const BATCH = 20;
/** States read in parallel. */
const PARALLEL_READS = 100;
export class Submitter {
  /** Executions that were acknowledged and later unknown to the server. */
  recreated = 0;
  private readonly runs = new Map<number, string>();
  private readonly jobs: Job[];
  private readonly task;
  private readonly app;

  constructor(
    private readonly backend: Backend,
    count: number,
    random: () => number,
  ) {
    ({ task: this.task, app: this.app } = chaosApp(backend));
    this.jobs = Array.from({ length: count }, (_, index) => jobOf(index, random()));
  }

  /**
   * Creates all executions, spread over the time. A process that takes over names how long ago its predecessor began,
   * as a negative number, and creates at once what was to be created by now.
   */
  async submit(overMs: number, beganMs = 0): Promise<void> {
    const startedAt = performance.now() + beganMs;
    for (let from = 0; from < this.jobs.length; from += BATCH) {
      const due = startedAt + (overMs * from) / this.jobs.length;
      await pause(Math.max(0, due - performance.now()));
      // Signals of the previous batch arrive while their jobs run or wait; some of the next batch arrive before their
      // jobs.
      await this.create(this.jobs.slice(from, from + BATCH));
      await this.signal(this.jobs.slice(Math.max(0, from - BATCH), from + BATCH / 2));
    }
  }

  /** Waits until every execution has ended; returns those that never will. */
  async settled(): Promise<string[]> {
    // Every execution is checked once more at the end, because one that had ended may have returned with a lost tail.
    const pending = await settled([...this.runs.keys()], (indexes) => this.unended(indexes));
    return pending.map((index) => `${JSON.stringify(this.jobs[index])} as ${this.runs.get(index)}`);
  }

  private async unended(indexes: readonly number[]): Promise<number[]> {
    const unended: number[] = [];
    for (let from = 0; from < indexes.length; from += PARALLEL_READS) {
      const page = indexes.slice(from, from + PARALLEL_READS);
      const ended = await Promise.all(page.map((index) => this.hasEnded(index)));
      unended.push(...page.filter((_, position) => ended[position] === false));
    }
    return unended;
  }

  private async hasEnded(index: number): Promise<boolean> {
    let info: Awaited<ReturnType<typeof this.backend.readExecutionInfo>>;
    try {
      info = await this.backend.readExecutionInfo({ executionId: this.runs.get(index) as string });
    } catch (error) {
      if (!(error instanceof EngineError) || !error.retryable) throw error;
      return false;
    }
    if (info !== undefined) {
      const ended = info.stateVector.lifecyclePhase === 'terminal';
      // The signal may have been in a lost tail; its key makes sure that it counts once.
      if (!ended) await this.signal([this.jobs[index] as Job]);
      return ended;
    }
    this.recreated++;
    await this.create([this.jobs[index] as Job]);
    return false;
  }

  /** Sends the waiting jobs their signals. Repeating it sends the same signals. */
  private async signal(jobs: readonly Job[]): Promise<void> {
    for (const { index } of jobs.filter(({ plan }) => plan === 'wait')) {
      try {
        await this.app.get(this.runs.get(index) as string).signal(GO, index, { idempotencyKey: 'the one' });
      } catch (error) {
        // The run is unknown or has ended, or the call got no answer; the waiting loop creates it again if it was lost.
        const isExpected = error instanceof RunStateError || error instanceof RunNotFoundError;
        if (!isExpected && !(error instanceof EngineError && error.retryable)) throw error;
      }
    }
  }

  /** Creates executions under their own ids, with retries. */
  private async create(jobs: readonly Job[]): Promise<void> {
    for (;;) {
      try {
        const runs = await this.task.runMany(jobs, ({ index }) => ({
          id: `job-${index}`,
          ...(index % 10 === 3 ? { delay: 100 } : {}),
        }));
        runs.forEach(({ id }, position) => this.runs.set((jobs[position] as Job).index, id));
        return;
      } catch (error) {
        if (!(error instanceof EngineError) || !error.retryable) throw error;
        await pause(50);
      }
    }
  }
}

/** The work of a chaos run: one task whose input says what its attempts do. */
import { z } from 'zod';
import {
  app,
  backoff,
  delay,
  NonRetryableError,
  RetryableError,
  type App,
  type Task,
  type TaskContext,
} from '../../src/index.js';
import type { Backend } from '../../src/backend/backend.js';

/** The behaviour of an execution. */
const job = z.object({
  index: z.number(),
  plan: z.enum(['succeed', 'fail_once', 'fail_always', 'refuse', 'park', 'linger', 'report', 'sleep', 'wait']),
  /** Duration of an attempt, ms. */
  workMs: z.number(),
});
export type Job = z.infer<typeof job>;

const LANE = 'chaos';
const NAMESPACE = 'chaos';

/** A started step, recorded by its process before it has any effect. */
export interface Ran {
  readonly executionId: string;
  readonly step: string;
  /** The owner that ran it. */
  readonly leaseEpoch: number;
  /** Ms since the epoch, on the clock of the machine. */
  readonly at: number;
}

/** The name of the signal that a job waits for; its payload is the job's index. */
export const GO = 'go';
const NAP_MS = 60;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The first try of work that fails or delays once. The fence counts owners; the first one is 1. */
async function perform(context: TaskContext<Job>, ran: (what: Ran) => void): Promise<unknown> {
  const { input, fence, progress, signal, executionId } = context;
  const first = fence.leaseEpoch === 1;
  const run = (step: string): Promise<string> =>
    context.step(step, () => {
      ran({ executionId, step, leaseEpoch: fence.leaseEpoch, at: Date.now() });
      return `${step} by ${fence.token}`;
    });
  await pause(input.workMs);
  signal.throwIfAborted();
  switch (input.plan) {
    case 'fail_once':
      if (first) throw new RetryableError('the first try fails');
      break;
    case 'fail_always':
      throw new RetryableError('every try fails');
    case 'refuse':
      throw new NonRetryableError('no try can help');
    case 'park':
      if (first) return delay(50);
      break;
    case 'report':
      await progress(50, 'half');
      break;
    case 'sleep':
      return { index: input.index, steps: [await run('before'), await context.sleep(NAP_MS), await run('after')] };
    case 'wait':
      return {
        index: input.index,
        steps: [await run('before'), await context.waitFor<number>(GO), await run('after')],
      };
    case 'succeed':
    case 'linger':
      break;
  }
  return { index: input.index, by: fence.token };
}

const RETRY = { failures: 2, crashes: 1_000, backoff: backoff.exponential('20ms', { max: '200ms' }) };

/** The app of a process of the run, with its one task. `ran` is called for every started step. */
export function chaosApp(
  backend: Backend,
  ran: (what: Ran) => void = () => undefined,
): { app: App; task: Task<Job, unknown> } {
  const chaos = app({ backend, namespace: NAMESPACE, creatorIdentity: 'chaos' });
  const options = { input: job, lane: LANE, retry: RETRY };
  return { app: chaos, task: chaos.task('job', options, (context) => perform(context, ran)) };
}

/** Runs of the metered task at once. */
const METERED_CAP = 3;
/** Never used up. */
const BUDGET_LIMIT = 1_000_000;

/** A task of the app that reserves and settles a token of a budget, a few runs at once. */
export function meteredTask(chaos: App): { task: Task<Job, unknown>; budgetId: string } {
  const budget = chaos.budget('tokens', { limits: { tokens: { hard: BUDGET_LIMIT } } });
  const options = { input: job, lane: LANE, retry: RETRY, quota: { concurrency: METERED_CAP } };
  const task = chaos.task('metered', options, async ({ input, budget: of }: TaskContext<Job>) => {
    const held = await of(budget).reserve({ tokens: 2 });
    await pause(input.workMs);
    await held.settle({ tokens: 1 });
    return input.index;
  });
  return { task, budgetId: budget.id };
}

/** The behaviour of the n-th execution; `random` is from 0 to 1. */
export function jobOf(index: number, random: number): Job {
  const plans = ['fail_once', 'fail_always', 'refuse', 'park', 'linger', 'report', 'sleep', 'wait'] as const;
  // Two thirds succeed at once.
  const plan = random < 2 / 3 ? 'succeed' : (plans[index % plans.length] as Job['plan']);
  // The longest outlives its first lease, which has to be renewed.
  return { index, plan, workMs: plan === 'linger' ? 1_500 : 1 + (index % 7) };
}

import { Queue, Worker } from 'groupmq';
import { Redis as Ioredis } from 'ioredis';
import type { BenchWorker, Engine, ServerAddress, Submission, WorkerOptions } from '../adapter.js';

/**
 * Groups that jobs are spread over, in turn. Jobs of a group run one after the other; a worker completes a job and
 * takes the next of its group in one call, so that a few groups for each slot are faster than a group for each job.
 */
const GROUPS = 64;

/** Jobs in one call of the queue that collects submissions, and how long it waits for them, in milliseconds. */
const COLLECTED = { size: 100, maxWaitMs: 1 };

interface JobData {
  readonly payload: string;
}

/** groupmq with its defaults: completed jobs are not kept. */
class GroupmqEngine implements Engine {
  readonly name = 'groupmq';
  private readonly single: Queue<JobData>;
  private readonly collecting: Queue<JobData>;
  private submitted = 0;

  constructor(private readonly address: ServerAddress) {
    this.single = this.open();
    this.collecting = this.open(COLLECTED);
  }

  async reset(): Promise<void> {
    await Promise.all([this.single.redis.ping(), this.collecting.redis.ping()]);
  }

  async close(): Promise<void> {
    await Promise.all([this.single.close(), this.collecting.close()]);
  }

  async submit(submission: Submission): Promise<void> {
    await this.single.add(this.jobOf(submission));
  }

  async submitMany(submissions: readonly Submission[]): Promise<void> {
    await Promise.all(submissions.map((submission) => this.collecting.add(this.jobOf(submission))));
  }

  async createWorker(options: WorkerOptions): Promise<BenchWorker> {
    const queue = this.open();
    await queue.redis.ping();
    let worker: Worker<JobData> | undefined;
    return {
      start: () => {
        // It claims from the moment it is made.
        worker = new Worker<JobData>({
          queue,
          concurrency: options.slots,
          handler: async ({ data }) => {
            options.onTask({ payload: data.payload });
          },
        });
        worker.on('completed', () => {
          options.onCompleted();
        });
      },
      stop: async () => {
        await worker?.close();
        await queue.close();
      },
    };
  }

  private open(autoBatch?: { size: number; maxWaitMs: number }): Queue<JobData> {
    const redis = new Ioredis({ host: this.address.host, port: this.address.port, maxRetriesPerRequest: null });
    return new Queue<JobData>({ redis, namespace: 'bench', ...(autoBatch === undefined ? {} : { autoBatch }) });
  }

  private jobOf({ payload }: Submission): { groupId: string; data: JobData } {
    this.submitted += 1;
    return { groupId: String(this.submitted % GROUPS), data: { payload: payload.text } };
  }
}

export async function openGroupmq(address: ServerAddress): Promise<Engine> {
  const engine = new GroupmqEngine(address);
  await engine.reset();
  return engine;
}

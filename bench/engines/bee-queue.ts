import BeeQueue from 'bee-queue';
import type { BenchWorker, Engine, ServerAddress, Submission, WorkerOptions } from '../adapter.js';

const QUEUE_NAME = 'bench';

/** How long a closing queue may take, in milliseconds. */
const CLOSE_LIMIT_MS = 5_000;

interface JobData {
  readonly payload: string;
}

/**
 * bee-queue with its defaults (jobs kept, events sent), but for what its documentation advises for a process that
 * only submits: no worker, no events, no table of jobs. Waiting for a result needs the events, so it has a queue of
 * its own.
 */
class BeeQueueEngine implements Engine {
  readonly name = 'bee-queue';
  private readonly redis: { readonly host: string; readonly port: number };
  private readonly producer: BeeQueue<JobData>;
  private listening: BeeQueue<JobData> | undefined;

  constructor({ host, port }: ServerAddress) {
    this.redis = { host, port };
    this.producer = this.open({ isWorker: false, getEvents: false, storeJobs: false });
  }

  async reset(): Promise<void> {
    await this.producer.ready();
  }

  async close(): Promise<void> {
    await this.listening?.close(CLOSE_LIMIT_MS);
    await this.producer.close(CLOSE_LIMIT_MS);
  }

  async submit({ payload }: Submission): Promise<void> {
    await this.producer.createJob({ payload: payload.text }).save();
  }

  async submitMany(submissions: readonly Submission[]): Promise<void> {
    const jobs = submissions.map(({ payload }) => this.producer.createJob({ payload: payload.text }));
    for (const error of (await this.producer.saveAll(jobs)).values()) throw error;
  }

  async submitAndWait({ payload }: Submission): Promise<void> {
    if (this.listening === undefined) {
      this.listening = this.open({ isWorker: false });
      await this.listening.ready();
    }
    const job = this.listening.createJob({ payload: payload.text });
    await new Promise<void>((resolve, reject) => {
      job.on('succeeded', () => resolve());
      job.on('failed', reject);
      job.save().catch(reject);
    });
  }

  async createWorker(options: WorkerOptions): Promise<BenchWorker> {
    const worker = this.open({ getEvents: false });
    await worker.ready();
    worker.on('succeeded', () => {
      options.onCompleted();
    });
    return {
      start: () => {
        worker.process(options.slots, async ({ data }) => {
          options.onTask({ payload: data.payload });
        });
      },
      stop: () => worker.close(CLOSE_LIMIT_MS),
    };
  }

  private open(settings: BeeQueue.QueueSettings): BeeQueue<JobData> {
    return new BeeQueue<JobData>(QUEUE_NAME, { ...settings, redis: this.redis });
  }
}

export async function openBeeQueue(address: ServerAddress): Promise<Engine> {
  const engine = new BeeQueueEngine(address);
  await engine.reset();
  return engine;
}

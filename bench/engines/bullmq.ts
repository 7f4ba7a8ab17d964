import { Queue, RedisConnection, Worker, createIORedisClient } from 'bullmq';
import { Redis as Valkey } from 'iovalkey';
import type { BenchWorker, IdleEngine, ServerAddress, Submission, WorkerEngine, WorkerOptions } from '../adapter.js';

const QUEUE_NAME = 'bench';

/** What a job carries. */
interface JobData {
  readonly payload: string;
}

/**
 * BullMQ as its documentation recommends it: one Worker with a concurrency, `addBulk` for many
 * jobs, completed jobs kept (its default). Its connections are made by the same client as those of
 * the other systems here, so that engines are compared and not clients.
 */
export class BullmqEngine implements WorkerEngine, IdleEngine {
  readonly name = 'BullMQ';

  private constructor(
    private readonly connection: { readonly host: string; readonly port: number },
    private queue: Queue<JobData>,
  ) {}

  static async connect(address: ServerAddress): Promise<BullmqEngine> {
    RedisConnection.clientFactory = ({ host, port, connectionName }) =>
      createIORedisClient(
        // Workers wait in blocking commands without end: a limit of retries would break them.
        new Valkey({ host, port, connectionName, maxRetriesPerRequest: null }),
      );
    const connection = { host: address.host, port: address.port };
    return new BullmqEngine(connection, await openQueue(connection));
  }

  async reset(): Promise<void> {
    // The queue's metadata key went with FLUSHALL; a new Queue writes it again.
    await this.queue.close();
    this.queue = await openQueue(this.connection);
  }

  async close(): Promise<void> {
    await this.queue.close();
  }

  async submit(submission: Submission): Promise<void> {
    await this.queue.add('job', { payload: submission.payload.text });
  }

  async submitMany(submissions: readonly Submission[]): Promise<void> {
    await this.queue.addBulk(submissions.map(({ payload }) => ({ name: 'job', data: { payload: payload.text } })));
  }

  async createWorker(options: WorkerOptions): Promise<BenchWorker> {
    const worker = this.openWorker(options.slots, (payload) => {
      options.onTask({ payload });
    });
    worker.on('completed', () => {
      options.onCompleted(1);
    });
    await worker.waitUntilReady();
    return {
      start: () => {
        // A failure of the loop itself is also an error event, which fails the process.
        void worker.run();
      },
      stop: () => worker.close(),
    };
  }

  async idleWorkers(count: number): Promise<{ stop(): Promise<void> }> {
    const workers = Array.from({ length: count }, () => this.openWorker(1, () => undefined));
    await Promise.all(workers.map((worker) => worker.waitUntilReady()));
    for (const worker of workers) void worker.run();
    return {
      stop: async () => {
        // Forced: waiting out the blocking pops of a hundred workers would measure nothing.
        await Promise.all(workers.map((worker) => worker.close(true)));
      },
    };
  }

  private openWorker(concurrency: number, onPayload: (payload: string) => void): Worker<JobData> {
    return new Worker<JobData>(
      QUEUE_NAME,
      async (job) => {
        onPayload(job.data.payload);
      },
      { connection: this.connection, concurrency, autorun: false },
    );
  }
}

async function openQueue(connection: { host: string; port: number }): Promise<Queue<JobData>> {
  const queue = new Queue<JobData>(QUEUE_NAME, { connection });
  await queue.waitUntilReady();
  return queue;
}

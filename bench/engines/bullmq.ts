import { createIORedisClient, Queue, QueueEvents, RedisConnection, Worker } from 'bullmq';
import { Redis as Ioredis } from 'ioredis';
import { Redis as Iovalkey } from 'iovalkey';
import type { BenchWorker, IdleEngine, ServerAddress, Submission, WorkerOptions } from '../adapter.js';

const QUEUE_NAME = 'bench';

/** The client library that makes BullMQ's connections. */
type BullmqClient = 'iovalkey' | 'ioredis';

/** What a job carries. */
interface JobData {
  readonly payload: string;
}

/**
 * BullMQ as its documentation recommends it: one Worker with a concurrency, `addBulk` for many
 * jobs, completed jobs kept (its default).
 */
class BullmqEngine implements IdleEngine {
  readonly name = 'BullMQ';
  private readonly connection: { readonly host: string; readonly port: number };
  private queue: Queue<JobData> | undefined;
  private events: QueueEvents | undefined;

  constructor({ host, port }: ServerAddress) {
    this.connection = { host, port };
  }

  async reset(): Promise<void> {
    // The queue's metadata key went with FLUSHALL; a new Queue writes it again.
    await this.close();
    this.queue = new Queue<JobData>(QUEUE_NAME, { connection: this.connection });
    await this.queue.waitUntilReady();
  }

  async close(): Promise<void> {
    await this.events?.close();
    await this.queue?.close();
    this.events = undefined;
    this.queue = undefined;
  }

  async submit(submission: Submission): Promise<void> {
    await this.opened().add('job', { payload: submission.payload.text });
  }

  async submitMany(submissions: readonly Submission[]): Promise<void> {
    await this.opened().addBulk(submissions.map(({ payload }) => ({ name: 'job', data: { payload: payload.text } })));
  }

  async submitAndWait(submission: Submission): Promise<void> {
    if (this.events === undefined) {
      this.events = new QueueEvents(QUEUE_NAME, { connection: this.connection });
      await this.events.waitUntilReady();
    }
    const job = await this.opened().add('job', { payload: submission.payload.text });
    await job.waitUntilFinished(this.events);
  }

  async createWorker(options: WorkerOptions): Promise<BenchWorker> {
    const worker = this.openWorker(options.slots, (payload) => {
      options.onTask({ payload });
    });
    worker.on('completed', () => {
      options.onCompleted();
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

  private opened(): Queue<JobData> {
    if (this.queue === undefined) throw new Error('The queue is closed: call reset first.');
    return this.queue;
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

/** BullMQ over one of its client libraries. The choice holds for the whole process: BullMQ keeps it in a static field. */
export async function openBullmq(address: ServerAddress, client: BullmqClient): Promise<IdleEngine> {
  // Workers wait in blocking commands without end: a limit of retries would break them.
  const maxRetriesPerRequest = null;
  RedisConnection.clientFactory = ({ host, port, connectionName }) =>
    client === 'iovalkey'
      ? createIORedisClient(new Iovalkey({ host, port, connectionName, maxRetriesPerRequest }))
      : createIORedisClient(new Ioredis({ host, port, connectionName, maxRetriesPerRequest }));
  const engine = new BullmqEngine(address);
  await engine.reset();
  return engine;
}

import { Redis as Valkey } from 'iovalkey';
import type {
  BenchTask,
  BenchWorker,
  CallEngine,
  ServerAddress,
  Submission,
  WorkerEngine,
  WorkerOptions,
} from '../adapter.js';

const QUEUE_KEY = 'bench:queue';
const COMPLETED_KEY = 'bench:completed';

/** Longest wait of one blocking pop, in seconds: how long a stopping worker may take. */
const POP_TIMEOUT_SECONDS = 1;

/** A task of the list: the element is all there is. */
interface ListTask extends BenchTask {
  readonly payload: Buffer;
}

/**
 * The floor: a queue as one would write it by hand. RPUSH to submit, BLMPOP to take, INCR to count
 * what is done, a connection per worker. A crash between the two loses the work: no leases, no
 * identity, no history. Nothing that keeps a promise can be expected to be cheaper.
 */
export class ListEngine implements CallEngine, WorkerEngine {
  readonly name = 'hand-rolled list';
  private readonly producer: Valkey;
  private readonly workers: Valkey[] = [];

  private constructor(private readonly address: ServerAddress) {
    this.producer = this.open();
  }

  static async connect(address: ServerAddress): Promise<ListEngine> {
    const engine = new ListEngine(address);
    await engine.producer.ping();
    return engine;
  }

  async reset(): Promise<void> {
    // A list needs no set-up after FLUSHALL.
  }

  async close(): Promise<void> {
    this.producer.disconnect();
    for (const connection of this.workers) connection.disconnect();
  }

  async submit(submission: Submission): Promise<void> {
    await this.producer.rpush(QUEUE_KEY, submission.payload.bytes);
  }

  async submitMany(submissions: readonly Submission[]): Promise<void> {
    await this.producer.rpush(QUEUE_KEY, ...submissions.map(({ payload }) => payload.bytes));
  }

  async connect(workers: number): Promise<void> {
    while (this.workers.length < workers) this.workers.push(this.open());
    await Promise.all(this.workers.map((connection) => connection.ping()));
  }

  async claim(worker: number): Promise<ListTask | null> {
    return pop(this.connectionOf(worker));
  }

  async complete(_task: BenchTask, worker: number): Promise<void> {
    await this.connectionOf(worker).incr(COMPLETED_KEY);
  }

  async createWorker(options: WorkerOptions): Promise<BenchWorker> {
    const connections = Array.from({ length: options.slots }, () => this.open());
    await Promise.all(connections.map((connection) => connection.ping()));
    let stopping = false;
    let loops: Promise<unknown> = Promise.resolve();
    const serve = async (connection: Valkey): Promise<void> => {
      while (!stopping) {
        const task = await pop(connection);
        if (task === null) continue;
        options.onTask(task);
        await connection.incr(COMPLETED_KEY);
        options.onCompleted(1);
      }
    };
    return {
      start: () => {
        loops = Promise.all(connections.map(serve));
        // A failure is thrown by stop; until then it must not end the process.
        loops.catch(() => undefined);
      },
      stop: async () => {
        stopping = true;
        await loops;
        for (const connection of connections) connection.disconnect();
      },
    };
  }

  private open(): Valkey {
    return new Valkey({ host: this.address.host, port: this.address.port });
  }

  private connectionOf(worker: number): Valkey {
    const connection = this.workers[worker];
    if (connection === undefined) throw new Error(`Worker ${worker} has no connection: call connect first.`);
    return connection;
  }
}

async function pop(connection: Valkey): Promise<ListTask | null> {
  const reply = await connection.blmpopBuffer(POP_TIMEOUT_SECONDS, 1, QUEUE_KEY, 'LEFT', 'COUNT', 1);
  const element = reply?.[1]?.[0];
  return element === undefined ? null : { payload: element };
}

import { Redis as Valkey } from 'iovalkey';
import type { BenchTask, BenchWorker, Engine, ServerAddress, Submission, WorkerOptions } from '../adapter.js';

const QUEUE_KEY = 'bench:queue';
const COMPLETED_KEY = 'bench:completed';

/** Longest wait of one blocking pop, in seconds: how long a stopping worker may take. */
const POP_TIMEOUT_SECONDS = 1;

/**
 * The lower bound: a hand-written queue. RPUSH submits, BLMPOP takes, INCR counts completed jobs, and each worker has a
 * connection. It has no leases, ids or history, and a crash between BLMPOP and INCR loses the job. An engine with
 * guarantees cannot be expected to cost less.
 */
class ListEngine implements Engine {
  readonly name = 'hand-rolled list';
  private readonly producer: Valkey;

  constructor(private readonly address: ServerAddress) {
    this.producer = this.open();
  }

  async reset(): Promise<void> {
    // A list needs no set-up after FLUSHALL.
  }

  async close(): Promise<void> {
    this.producer.disconnect();
  }

  async submit(submission: Submission): Promise<void> {
    await this.producer.rpush(QUEUE_KEY, submission.payload.bytes);
  }

  async submitMany(submissions: readonly Submission[]): Promise<void> {
    await this.producer.rpush(QUEUE_KEY, ...submissions.map(({ payload }) => payload.bytes));
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
        options.onCompleted();
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
}

export function openList(address: ServerAddress): Engine {
  return new ListEngine(address);
}

async function pop(connection: Valkey): Promise<BenchTask | null> {
  const reply = await connection.blmpopBuffer(POP_TIMEOUT_SECONDS, 1, QUEUE_KEY, 'LEFT', 'COUNT', 1);
  const element = reply?.[1]?.[0];
  return element === undefined ? null : { payload: element };
}

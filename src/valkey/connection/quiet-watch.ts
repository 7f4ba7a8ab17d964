/**
 * Notices that a connection is dead although nobody said so: calls wait for an answer, and nothing is received. Its
 * calls were given up by then; with the connection ends what of them is still in its buffers, so that it does not run
 * later. The client library connects anew.
 */
import type { Valkey } from 'iovalkey';

/** What the client library has and its types lack. */
interface CommandQueue {
  readonly commandQueue: { readonly length: number };
}

export class QuietWatch {
  private stream: Valkey['stream'] | undefined;
  private bytesRead = 0;
  private quietTicks = 0;

  constructor(
    private readonly node: Valkey,
    private readonly maxQuietTicks: number,
  ) {}

  tick(): void {
    // There is none before the first connection.
    const stream = this.node.stream as Valkey['stream'] | undefined;
    const isQuiet =
      stream !== undefined && stream === this.stream && stream.bytesRead === this.bytesRead && this.unanswered > 0;
    this.stream = stream;
    this.bytesRead = stream?.bytesRead ?? 0;
    this.quietTicks = isQuiet ? this.quietTicks + 1 : 0;
    if (stream === undefined || this.quietTicks < this.maxQuietTicks) return;
    this.quietTicks = 0;
    const { bytesRead } = this;
    // What came while the event loop stood still is read first.
    setImmediate(() => {
      if (stream.bytesRead === bytesRead)
        stream.destroy(new Error('Nothing was received although calls waited for an answer'));
    });
  }

  /** Calls that were sent and have no answer. */
  private get unanswered(): number {
    return (this.node as unknown as CommandQueue).commandQueue.length;
  }
}

/**
 * Detects a dead connection that was not closed: calls wait for an answer, and nothing is received. The calls have been
 * given up by then. Breaking the connection also drops their bytes that are still in its buffers, so that they do not
 * run later. The client library reconnects.
 */
import type { Valkey } from 'iovalkey';

/** Members that the types of the client library lack. */
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
    // Undefined before the first connection.
    const stream = this.node.stream as Valkey['stream'] | undefined;
    const isQuiet =
      stream !== undefined && stream === this.stream && stream.bytesRead === this.bytesRead && this.unanswered > 0;
    this.stream = stream;
    this.bytesRead = stream?.bytesRead ?? 0;
    this.quietTicks = isQuiet ? this.quietTicks + 1 : 0;
    if (stream === undefined || this.quietTicks < this.maxQuietTicks) return;
    this.quietTicks = 0;
    const { bytesRead } = this;
    // Data that arrived while the event loop was blocked is read first.
    setImmediate(() => {
      if (stream.bytesRead === bytesRead)
        stream.destroy(new Error('Nothing was received although calls waited for an answer'));
    });
  }

  /** Number of sent calls without an answer. */
  private get unanswered(): number {
    return (this.node as unknown as CommandQueue).commandQueue.length;
  }
}

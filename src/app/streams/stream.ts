/** The stream of a run, as an iterator and as web streams. */
import { onAbort } from '../../shared/abort-listeners.js';
import type { RunFrame } from './frames.js';

/**
 * The frames of a run, in order: `for await (const frame of run.stream())`. Each iteration starts where the options
 * say, and ends when the run has ended and every frame was delivered. Lost connections are re-established; no frame
 * that is kept is skipped or repeated. To continue later or in another process: `run.stream({ from: frame.cursor })`.
 */
export interface RunStream extends AsyncIterable<RunFrame> {
  /** Only the text of the text frames. */
  text(): AsyncIterableIterator<string>;
  /** The frames as a web stream. */
  toReadableStream(): ReadableStream<RunFrame>;
  /** The text of the text frames in UTF-8: `new Response(run.stream().toTextStream())`. */
  toTextStream(): ReadableStream<Uint8Array>;
  /**
   * The frames as server-sent events, for `EventSource`: the id of an event is the cursor of its frame, so a browser
   * that reconnects sends it as `Last-Event-ID`; pass that as `from`. The event is the frame's `kind`, its data JSON;
   * bytes are base64.
   */
  toEventStream(): ReadableStream<Uint8Array>;
}

/** Reads from the beginning; ends with the reason of the signal when that aborts. */
export type OpenFrames = (signal: AbortSignal) => AsyncGenerator<RunFrame, void, undefined>;

const UTF8 = new TextEncoder();
/** Why an iteration ends that its reader has left. */
const LEFT = Symbol('left');

export class FramesOfRun implements RunStream {
  /** @param signals whichever aborts ends every iteration with its reason */
  constructor(
    private readonly open: OpenFrames,
    private readonly signals: () => readonly (AbortSignal | undefined)[],
  ) {}

  [Symbol.asyncIterator](): AsyncIterableIterator<RunFrame> {
    return new Iteration(this.open, this.signals());
  }

  async *text(): AsyncGenerator<string, void, undefined> {
    for await (const frame of this) if (frame.kind === 'text') yield frame.text;
  }

  toReadableStream(): ReadableStream<RunFrame> {
    return this.streamOf((frame) => frame);
  }

  toTextStream(): ReadableStream<Uint8Array> {
    return this.streamOf((frame) => (frame.kind === 'text' ? UTF8.encode(frame.text) : undefined));
  }

  toEventStream(): ReadableStream<Uint8Array> {
    return this.streamOf((frame) => UTF8.encode(eventOf(frame)));
  }

  private streamOf<Chunk>(chunkOf: (frame: RunFrame) => Chunk | undefined): ReadableStream<Chunk> {
    const frames = this[Symbol.asyncIterator]();
    return new ReadableStream<Chunk>({
      async pull(controller) {
        for (;;) {
          const { done, value } = await frames.next();
          if (done === true) return controller.close();
          const chunk = chunkOf(value as RunFrame);
          if (chunk !== undefined) return controller.enqueue(chunk);
        }
      },
      async cancel() {
        await frames.return?.();
      },
    });
  }
}

/** One iteration. A reader that leaves does not have to wait for the frame that it waited for. */
class Iteration implements AsyncIterableIterator<RunFrame> {
  private readonly controller = new AbortController();
  private readonly frames: AsyncGenerator<RunFrame, void, undefined>;
  private readonly undo: readonly (() => void)[];

  constructor(open: OpenFrames, signals: readonly (AbortSignal | undefined)[]) {
    const undo: (() => void)[] = [];
    for (const signal of signals) {
      if (signal === undefined) continue;
      if (signal.aborted) this.controller.abort(signal.reason);
      else undo.push(onAbort(signal, () => this.controller.abort(signal.reason)));
    }
    this.undo = undo;
    this.frames = open(this.controller.signal);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<RunFrame, void>> {
    try {
      const result = await this.frames.next();
      if (result.done === true) this.over();
      return result;
    } catch (error) {
      this.over();
      if (error === LEFT) return { done: true, value: undefined };
      throw error;
    }
  }

  async return(): Promise<IteratorResult<RunFrame, void>> {
    this.over();
    this.controller.abort(LEFT);
    await this.frames.return().catch(() => undefined);
    return { done: true, value: undefined };
  }

  private over(): void {
    for (const each of this.undo) each();
  }
}

function eventOf(frame: RunFrame): string {
  const { kind, cursor, ...facts } = frame;
  const data = kind === 'bytes' ? { ...facts, bytes: Buffer.from(frame.bytes).toString('base64') } : facts;
  return `id: ${cursor}\nevent: ${kind}\ndata: ${JSON.stringify(data)}\n\n`;
}

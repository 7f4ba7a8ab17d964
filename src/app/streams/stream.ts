/** The stream of a run, as an iterator and as web streams. */
import type { PublicState } from '../../../model/execution/situation.js';
import { Iteration, type Open } from '../iteration.js';
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
   * bytes are base64. The last event is `end` with the `state` of the run: close the `EventSource` there, which would
   * reconnect otherwise. An iteration that a signal or `app.close()` ends has none.
   */
  toEventStream(): ReadableStream<Uint8Array>;
}

const UTF8 = new TextEncoder();

export class FramesOfRun implements RunStream {
  /** @param signals whichever aborts ends every iteration with its reason */
  constructor(
    private readonly open: Open<RunFrame>,
    private readonly signals: () => readonly (AbortSignal | undefined)[],
    private readonly state: () => Promise<PublicState>,
  ) {}

  [Symbol.asyncIterator](): AsyncIterableIterator<RunFrame> {
    return new Iteration(this.open, this.signals());
  }

  text(): AsyncIterableIterator<string> {
    return new Iteration((signal) => textOf(this.open(signal)), this.signals());
  }

  toReadableStream(): ReadableStream<RunFrame> {
    return this.streamOf((frame) => frame);
  }

  toTextStream(): ReadableStream<Uint8Array> {
    return this.streamOf((frame) => (frame.kind === 'text' ? UTF8.encode(frame.text) : undefined));
  }

  toEventStream(): ReadableStream<Uint8Array> {
    const end = async () => UTF8.encode(`event: end\ndata: ${JSON.stringify({ state: await this.state() })}\n\n`);
    return this.streamOf((frame) => UTF8.encode(eventOf(frame)), end);
  }

  /** @param lastOf a last chunk, behind all frames */
  private streamOf<Chunk>(
    chunkOf: (frame: RunFrame) => Chunk | undefined,
    lastOf?: () => Promise<Chunk>,
  ): ReadableStream<Chunk> {
    const frames = this[Symbol.asyncIterator]();
    return new ReadableStream<Chunk>({
      async pull(controller) {
        for (;;) {
          const { done, value } = await frames.next();
          if (done === true) {
            if (lastOf !== undefined) controller.enqueue(await lastOf());
            return controller.close();
          }
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

async function* textOf(frames: AsyncIterable<RunFrame>): AsyncGenerator<string, void, undefined> {
  for await (const frame of frames) if (frame.kind === 'text') yield frame.text;
}

function eventOf(frame: RunFrame): string {
  const { kind, cursor, ...facts } = frame;
  const data = kind === 'bytes' ? { ...facts, bytes: Buffer.from(frame.bytes).toString('base64') } : facts;
  return `id: ${cursor}\nevent: ${kind}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** Stored bytes of streams: an append in the journal, and the whole contents in a snapshot. */
import { EngineError } from '../../model/errors.js';
import { FRAME_MODES, type Append, type Frame, type StreamContents } from '../../model/stream/contents.js';

/** Slots of streams, besides those of executions. */
export const APPEND_SLOT = 'append';
export const STREAM_SLOT = 'stream';

/** Encodes all facts as JSON, with its length in front, then the payloads. */
function written(facts: object, payloads: readonly Uint8Array[]): Uint8Array {
  const head = Buffer.from(JSON.stringify(facts));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(head.length);
  return Buffer.concat([length, head, ...payloads]);
}

/** @throws EngineError `corruption` */
function read(bytes: Uint8Array): { facts: unknown; payloads: Buffer } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    const length = buffer.readUInt32BE(0);
    // A copy, so that frames, which stay in memory, do not retain the read buffer.
    return {
      facts: JSON.parse(buffer.toString('utf8', 4, 4 + length)),
      payloads: Buffer.from(buffer.subarray(4 + length)),
    };
  } catch (cause) {
    throw new EngineError('corruption', 'The stored contents of a stream are unreadable.', { cause });
  }
}

type Labels = Omit<Frame, 'payload'> & { readonly length: number };

const labelsOf = ({ payload, ...labels }: Frame): Labels => ({ ...labels, length: payload.byteLength });

/** Encodes an append. */
export function writeAppend({ frame, ...rest }: Append): Uint8Array {
  return written({ ...rest, frame: labelsOf(frame) }, [frame.payload]);
}

/** @throws EngineError `corruption` */
export function readAppend(bytes: Uint8Array): Append {
  const { facts, payloads } = read(bytes);
  const { frame, ...rest } = facts as Omit<Append, 'frame'> & { readonly frame: Labels };
  const { length: _, ...labels } = frame;
  return { ...rest, frame: { ...labels, payload: payloads } };
}

/** Encodes the contents of a stream. */
export function writeContents({ frames, ...rest }: StreamContents): Uint8Array {
  const all = FRAME_MODES.flatMap((mode) => frames[mode]);
  return written(
    { ...rest, frames: all.map(labelsOf) },
    all.map(({ payload }) => payload),
  );
}

/** @throws EngineError `corruption` */
export function readContents(bytes: Uint8Array): StreamContents {
  const { facts, payloads } = read(bytes);
  const { frames: listed, ...rest } = facts as Omit<StreamContents, 'frames'> & { readonly frames: readonly Labels[] };
  const frames: StreamContents['frames'] = { durable: [], summary: [], best_effort: [] };
  let at = 0;
  for (const { length, ...labels } of listed) {
    frames[labels.mode].push({ ...labels, payload: payloads.subarray(at, at + length) });
    at += length;
  }
  return { ...rest, frames };
}

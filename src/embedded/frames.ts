/**
 * Files consist of frames. A frame is written in one piece, and read completely or not at all.
 *
 *     u32 checksum (of the rest of the frame, starting from the salt of the file)
 *     u32 length of the body
 *     u32 number: 1, 2, 3, ... in its file
 *     u32 bytes of the file that were certainly on the medium when this frame was written, at most 2^32 - 1
 *     u8  type
 *     body: u32 length of the text, the text in UTF-8, bytes
 *
 * Numbers are little-endian. A file begins with a preamble of 16 bytes: eight fixed bytes, the version of the format
 * (u32) and a random salt (u32), which prevents the bytes of a payload from being taken for a frame.
 */
import { present } from '../../model/core/present.js';
import { EngineError } from '../../model/errors.js';
import { crc32 } from './crc32.js';
import type { Disk } from './disk.js';

const FORMAT_VERSION = 1;
const MAGIC = Buffer.from('FFabric\n', 'latin1');
export const PREAMBLE_BYTES = 16;

const HEAD_BYTES = 17;
const TEXT_LENGTH_BYTES = 4;
/** Bytes of a frame without its text and its bytes. */
const FRAME_BYTES = HEAD_BYTES + TEXT_LENGTH_BYTES;
/** Limit of a frame's length, which rejects most invalid lengths. */
export const MAX_BODY_BYTES = 1024 * 1024 * 1024;
/** The furthest mark: what a larger file has behind it counts as not yet on the medium. */
const MAX_MARK = 2 ** 32 - 1;
/** Bytes read at a time. */
const WINDOW_BYTES = 1024 * 1024;

/** Types of frames, with their stored codes. */
export const FRAME = { header: 1, records: 2, end: 3 } as const;

export interface Frame {
  readonly type: number;
  readonly number: number;
  readonly synced: number;
  readonly text: string;
  /** Part of a reused buffer. */
  readonly bytes: Buffer;
  /** Total bytes of the frame. */
  readonly size: number;
}

export function preambleOf(salt: number): Buffer {
  const preamble = Buffer.alloc(PREAMBLE_BYTES);
  MAGIC.copy(preamble);
  preamble.writeUInt32LE(FORMAT_VERSION, 8);
  preamble.writeUInt32LE(salt, 12);
  return preamble;
}

/** The salt of a file. @throws EngineError `corruption`, or `library_mismatch` for another version of the format */
function saltIn(preamble: Buffer, name: string): number {
  if (preamble.length < PREAMBLE_BYTES || !preamble.subarray(0, 8).equals(MAGIC))
    throw new EngineError('corruption', `${name} does not begin like a file of a store.`);
  const version = preamble.readUInt32LE(8);
  if (version !== FORMAT_VERSION)
    throw new EngineError('library_mismatch', `${name} has format ${version}; this package reads ${FORMAT_VERSION}.`);
  return preamble.readUInt32LE(12);
}

/** Builds frames in a reused, growing buffer. */
export class FrameBuilder {
  private buffer: Buffer = Buffer.allocUnsafe(64 * 1024);

  constructor(private readonly salt: number) {}

  /** Builds a frame, which is valid until the next one. */
  frame(type: number, number: number, synced: number, text: string, bytes: readonly Uint8Array[]): Buffer {
    let size = 0;
    for (const part of bytes) size += part.byteLength;
    const buffer = this.room(FRAME_BYTES + text.length * 3 + size);
    const textBytes = buffer.write(text, FRAME_BYTES, 'utf8');
    let end = FRAME_BYTES + textBytes;
    for (const part of bytes) {
      buffer.set(part, end);
      end += part.byteLength;
    }
    buffer.writeUInt32LE(end - HEAD_BYTES, 4);
    buffer.writeUInt32LE(number, 8);
    buffer.writeUInt32LE(Math.min(synced, MAX_MARK), 12);
    buffer[16] = type;
    buffer.writeUInt32LE(textBytes, HEAD_BYTES);
    buffer.writeUInt32LE(crc32(buffer.subarray(4, end), this.salt), 0);
    return buffer.subarray(0, end);
  }

  private room(size: number): Buffer {
    if (this.buffer.length < size) this.buffer = Buffer.allocUnsafe(Math.max(size, this.buffer.length * 2));
    return this.buffer;
  }
}

/** Reads the frames of a file in order. */
export class FrameReader {
  /** Start of the next frame. */
  position = PREAMBLE_BYTES;
  readonly salt: number;
  readonly size: number;
  private window: Buffer = Buffer.alloc(0);
  private windowAt = 0;

  constructor(
    private readonly disk: Disk,
    private readonly file: number,
    readonly name: string,
  ) {
    this.size = disk.size(file);
    this.salt = saltIn(this.bytesAt(0, PREAMBLE_BYTES), name);
  }

  /** The next frame; undefined if there is no valid one. */
  next(): Frame | undefined {
    const frame = this.frameAt(this.position);
    if (frame === undefined) return undefined;
    this.position += frame.size;
    return frame;
  }

  /** Whether only zeros follow, which are preallocated. */
  isBlankFrom(position: number): boolean {
    for (let at = position; at < this.size; at += WINDOW_BYTES) {
      if (this.bytesAt(at, Math.min(WINDOW_BYTES, this.size - at)).some((byte) => byte !== 0)) return false;
    }
    return true;
  }

  /** Finds valid frames with this number or a later one at any position from `from` on. */
  *search(from: number, number: number): Generator<Frame & { readonly at: number }> {
    // Numbers are consecutive, so positions with an impossible number need no checksum.
    const last = number + Math.ceil((this.size - from) / FRAME_BYTES);
    let at = from;
    while (at + FRAME_BYTES <= this.size) {
      const candidate = this.bytesAt(at, FRAME_BYTES).readUInt32LE(8);
      const frame = candidate < number || candidate > last ? undefined : this.frameAt(at);
      if (frame === undefined) at += 1;
      else {
        yield { ...frame, at };
        at += frame.size;
      }
    }
  }

  private frameAt(position: number): Frame | undefined {
    const head = this.bytesAt(position, FRAME_BYTES);
    if (head.length < FRAME_BYTES) return undefined;
    const length = head.readUInt32LE(4);
    const textBytes = head.readUInt32LE(HEAD_BYTES);
    if (length < TEXT_LENGTH_BYTES + textBytes || length > MAX_BODY_BYTES) return undefined;
    if (position + HEAD_BYTES + length > this.size) return undefined;
    const whole = this.bytesAt(position, HEAD_BYTES + length);
    if (whole.length < HEAD_BYTES + length) return undefined;
    if (crc32(whole.subarray(4), this.salt) !== whole.readUInt32LE(0)) return undefined;
    return {
      type: present(whole[16]),
      number: whole.readUInt32LE(8),
      synced: whole.readUInt32LE(12),
      text: whole.toString('utf8', FRAME_BYTES, FRAME_BYTES + textBytes),
      bytes: whole.subarray(FRAME_BYTES + textBytes),
      size: whole.length,
    };
  }

  /** Bytes of the file, fewer at its end. Valid until the next call. */
  private bytesAt(position: number, length: number): Buffer {
    if (position < this.windowAt || position + length > this.windowAt + this.window.length) {
      const wanted = Math.min(Math.max(length, WINDOW_BYTES), Math.max(0, this.size - position));
      const window = Buffer.allocUnsafe(wanted);
      let read = 0;
      while (read < wanted) {
        const count = this.disk.read(this.file, window.subarray(read), wanted - read, position + read);
        if (count === 0) break;
        read += count;
      }
      this.window = window.subarray(0, read);
      this.windowAt = position;
    }
    const start = position - this.windowAt;
    return this.window.subarray(start, start + length);
  }
}

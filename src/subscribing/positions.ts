/**
 * Positions of a reader in several partitions as one opaque text, at most 4 KiB for 256 partitions (ruling 51): a
 * version, the first partition and the number of partitions, then for each the position, and marks of its log and of
 * the entry's time (see `markedCursor`).
 */
import { EngineError } from '../../model/errors.js';
import { decodeCursor, encodeCursor, markedCursor } from '../../model/partition/cursor.js';

const VERSION = 1;

/** Numbers are written with seven bits per byte, lowest first; the highest bit says that more bytes follow. */
class ByteWriter {
  private readonly bytes: number[] = [];

  fixed(value: number, length: number): void {
    for (let i = 0, rest = value; i < length; i++, rest = Math.floor(rest / 256)) this.bytes.push(rest % 256);
  }

  number(value: number): void {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.bytes.push((rest % 128) + 128);
    this.bytes.push(rest);
  }

  text(): string {
    return Buffer.from(this.bytes).toString('base64url');
  }
}

class ByteReader {
  private at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  get isAtEnd(): boolean {
    return this.at === this.bytes.length;
  }

  fixed(length: number): number {
    let value = 0;
    for (let i = 0; i < length; i++) value += this.byte() * 256 ** i;
    return value;
  }

  number(): number {
    let value = 0;
    for (let factor = 1; factor < 2 ** 53; factor *= 128) {
      const byte = this.byte();
      value += (byte % 128) * factor;
      if (byte < 128) return value;
    }
    throw refused();
  }

  private byte(): number {
    const byte = this.bytes[this.at++];
    if (byte === undefined) throw refused();
    return byte;
  }
}

const refused = (): EngineError =>
  new EngineError(
    'invalid_input',
    'from: must be "now", "earliest", or a cursor that a subscription of these partitions gave.',
    {
      detail: { field: 'from' },
    },
  );

/** Cursors of consecutive partitions as one text. */
export function encodePositions(firstPartition: number, cursors: readonly string[]): string {
  const writer = new ByteWriter();
  writer.number(VERSION);
  writer.number(firstPartition);
  writer.number(cursors.length);
  for (const text of cursors) {
    const { generation, sequence, time } = markedCursor(decodeCursor(text));
    writer.number(sequence);
    // Position 0 is the same in every log.
    if (sequence === 0) continue;
    writer.fixed(generation === '' ? 0 : Number.parseInt(generation, 36), 2);
    writer.fixed(time, 3);
  }
  return writer.text();
}

/**
 * The cursors in a text, which must be of these partitions.
 * @throws EngineError `invalid_input`
 */
export function decodePositions(text: string, firstPartition: number, count: number): string[] {
  if (!/^[A-Za-z0-9_-]{4,8192}$/.test(text)) throw refused();
  const reader = new ByteReader(Buffer.from(text, 'base64url'));
  if (reader.number() !== VERSION || reader.number() !== firstPartition || reader.number() !== count) throw refused();
  const cursors = Array.from({ length: count }, () => {
    const sequence = reader.number();
    if (sequence > Number.MAX_SAFE_INTEGER) throw refused();
    if (sequence === 0) return encodeCursor({ generation: '', sequence: 0, time: 0 });
    const [generation, time] = [reader.fixed(2), reader.fixed(3)];
    return encodeCursor({
      generation: generation === 0 ? '' : generation.toString(36),
      sequence,
      time,
      marked: true,
    });
  });
  if (!reader.isAtEnd) throw refused();
  return cursors;
}

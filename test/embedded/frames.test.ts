/** The checksum, and frames as they are written and read. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32, crc32ByTable } from '../../src/embedded/crc32.js';
import { FRAME, FrameBuilder, FrameReader, preambleOf } from '../../src/embedded/frames.js';
import { SimulatedDisk } from '../../src/testing/simulation/index.js';

const SALT = 0x1234_5678;

describe('the checksum', () => {
  test('has the standard value of CRC-32', () => {
    expect(crc32ByTable(Buffer.from('123456789'), 0)).toBe(0xcbf4_3926);
  });

  test('is the same by tables and by Node, also in parts', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 9 }), (first, second) => {
        const whole = crc32(Buffer.concat([first, second]), 0);
        expect(crc32ByTable(second, crc32ByTable(first, 0))).toBe(whole);
        expect(crc32(second, crc32(first, 0))).toBe(whole);
      }),
    );
  });
});

test('a file can grow beyond what the mark of a frame can hold', () => {
  const frame = new FrameBuilder(SALT).frame(FRAME.records, 2, 2 ** 33, 'x', []);
  const disk = new SimulatedDisk();
  const file = disk.create('f');
  disk.write(file, preambleOf(SALT), 16, 0);
  disk.write(file, frame, frame.length, 16);
  expect(new FrameReader(disk, file, 'f').next()).toMatchObject({ text: 'x', synced: 2 ** 32 - 1 });
});

interface Written {
  readonly text: string;
  readonly bytes: Uint8Array;
}

function fileOf(frames: readonly Written[]): { reader: FrameReader; disk: SimulatedDisk; file: number } {
  const disk = new SimulatedDisk();
  const file = disk.create('f');
  disk.write(file, preambleOf(SALT), 16, 0);
  const builder = new FrameBuilder(SALT);
  let position = 16;
  frames.forEach(({ text, bytes }, index) => {
    const frame = builder.frame(FRAME.records, index + 1, position, text, [bytes]);
    disk.write(file, frame, frame.length, position);
    position += frame.length;
  });
  return { reader: new FrameReader(disk, file, 'f'), disk, file };
}

describe('frames', () => {
  const frame = fc.record({
    text: fc.string({ unit: 'grapheme', maxLength: 50 }),
    bytes: fc.uint8Array({ maxLength: 99 }),
  });

  test('are read as they were written, and end at the end of the file', () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), (frames) => {
        const { reader } = fileOf(frames);
        frames.forEach((written, index) => {
          const read = reader.next();
          expect(read?.number).toBe(index + 1);
          expect(read?.text).toBe(written.text);
          expect(Uint8Array.from(read?.bytes ?? [])).toEqual(written.bytes);
        });
        expect(reader.next()).toBeUndefined();
        expect(reader.position).toBe(reader.size);
      }),
    );
  });

  test('can be larger than the read buffer', () => {
    const large = { text: 'ü'.repeat(700_000), bytes: new Uint8Array(3_000_000).fill(7) };
    const { reader } = fileOf([large, { text: 'behind', bytes: new Uint8Array() }]);
    expect(reader.next()?.bytes.length).toBe(3_000_000);
    expect(reader.next()?.text).toBe('behind');
  });

  test('are read with a buffer of the same size from a file of any size, unless one frame is larger', () => {
    const { disk, file } = fileOf(Array.from({ length: 40 }, () => ({ text: '', bytes: new Uint8Array(100_000) })));
    const lengths: number[] = [];
    const read = disk.read.bind(disk);
    disk.read = (from, into, length, position) => {
      lengths.push(length);
      return read(from, into, length, position);
    };
    const reader = new FrameReader(disk, file, 'f');
    while (reader.next() !== undefined);
    expect(reader.position).toBe(reader.size);
    expect(reader.isBlankFrom(0)).toBe(false);
    expect(Math.max(...lengths)).toBe(1024 * 1024);
  });

  test('after a hole are found again, and frames inside a payload are ignored', () => {
    const foreign = Buffer.from(new FrameBuilder(SALT + 1).frame(FRAME.records, 2, 9, 'forged', []));
    const { disk, file, reader } = fileOf([
      { text: 'one', bytes: new Uint8Array(40) },
      { text: 'two', bytes: foreign },
      { text: 'three', bytes: new Uint8Array(1) },
    ]);
    reader.next();
    const hole = reader.position;
    disk.write(file, new Uint8Array(20), 20, hole);
    const again = new FrameReader(disk, file, 'f');
    again.next();
    expect(again.next()).toBeUndefined();
    expect(again.isBlankFrom(hole)).toBe(false);
    expect([...again.search(hole, 2)].map(({ text }) => text)).toEqual(['three']);
  });
});

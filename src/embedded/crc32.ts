/**
 * CRC-32 (IEEE 802.3), continued from an earlier value. Uses Node's own function, which exists since 20.15 and 22.2.
 */
import * as zlib from 'node:zlib';

type Crc32 = (bytes: Uint8Array, before: number) => number;

const POLYNOMIAL = 0xedb88320;

function tablesOf(count: number): readonly Uint32Array[] {
  const first = Uint32Array.from({ length: 256 }, (_, byte) => {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
    return value;
  });
  const tables = [first];
  for (let index = 1; index < count; index++) {
    const last = tables[index - 1] as Uint32Array;
    tables.push(last.map((value) => (first[value & 255] as number) ^ (value >>> 8)));
  }
  return tables;
}

const [T0, T1, T2, T3] = tablesOf(4) as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];

/** Table-driven, four bytes at a time. */
export function crc32ByTable(bytes: Uint8Array, before: number): number {
  let crc = ~before;
  const whole = bytes.length - (bytes.length % 4);
  let at = 0;
  for (; at < whole; at += 4) {
    crc ^=
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    crc =
      (T3[crc & 255] as number) ^
      (T2[(crc >>> 8) & 255] as number) ^
      (T1[(crc >>> 16) & 255] as number) ^
      (T0[crc >>> 24] as number);
  }
  for (; at < bytes.length; at++) crc = (T0[(crc ^ (bytes[at] as number)) & 255] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

export const crc32: Crc32 = (zlib as { readonly crc32?: Crc32 }).crc32 ?? crc32ByTable;

/**
 * Identifiers. An execution id is `{fp:<partition>}:<uuid>`: its tag names the partition, so that every key of an
 * execution hashes to one slot and no lookup is needed to route a call. Source: spec 01 section 7, spec 02 section 2.
 */
import { LIMITS } from './limits.js';

const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';

/** A UUID in its one accepted form: lower case with hyphens, so that string equality is identity. */
export const UUID_PATTERN = new RegExp(`^${UUID}$`);

/** `{fp:<0..65535>}:<uuid>` without leading zeros. */
export const EXECUTION_ID_PATTERN = new RegExp(`^\\{fp:(0|[1-9][0-9]{0,4})\\}:${UUID}$`);

/** `{fp:<0..65535>}`: the wire form of a partition. */
export const PARTITION_KEY_PATTERN = /^\{fp:(0|[1-9][0-9]{0,4})\}$/;

/** The execution id made of a partition index and a UUID. */
export function executionIdOf(partition: number, uuid: string): string {
  return `{fp:${partition}}:${uuid}`;
}

/** The wire form of a partition index. */
export function partitionKeyOf(partition: number): string {
  return `{fp:${partition}}`;
}

/** The partition key inside a well-formed execution id. */
export function partitionOfExecution(executionId: string): string {
  return executionId.slice(0, executionId.indexOf('}') + 1);
}

/** The index inside a well-formed partition key. */
export function partitionIndexOf(partitionKey: string): number {
  return Number(partitionKey.slice(4, -1));
}

/** Whether the text is an execution id whose partition index is in range. */
export function isExecutionId(text: string): boolean {
  return EXECUTION_ID_PATTERN.test(text) && partitionIndexOf(partitionOfExecution(text)) <= LIMITS.maxPartitions;
}

/** CRC-16/XMODEM (the cluster's own slot hash), used to place work: check value of "123456789" is 0x31C3. */
export function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc;
}

const utf8 = new TextEncoder();

/** Length of a text in UTF-8 bytes. */
export function utf8Bytes(text: string): number {
  return utf8.encode(text).length;
}

/**
 * Order of two texts by their UTF-8 bytes, which is the order of code points. JavaScript's own order differs for
 * characters above U+FFFF, and the server sorts by bytes.
 */
export function compareBytes(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    let x = a.charCodeAt(i);
    let y = b.charCodeAt(i);
    if (x === y) continue;
    // Surrogates stand for code points above every other unit: lift them over U+E000..U+FFFF.
    if (x >= 0xd800 && y >= 0xd800) {
      x = x >= 0xe000 ? x - 0x800 : x + 0x2000;
      y = y >= 0xe000 ? y - 0x800 : y + 0x2000;
    }
    return x < y ? -1 : 1;
  }
  return a.length < b.length ? -1 : 1;
}

/**
 * Identifiers. An execution id is `{fp:<partition>}:<uuid>`: its tag names the partition, so that every key of an
 * execution hashes to one slot and no lookup is needed to route a call. Source: spec 01 section 7, spec 02 section 2.
 */
import { LIMITS } from './limits.js';
import { shortIdOf, uuidOf } from './short-id.js';

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

/** The execution id of a short id in a partition, given by its key. */
export function executionIdIn(partitionKey: string, shortId: string): string {
  return `${partitionKey}:${uuidOf(shortId)}`;
}

/** The part of an execution id by which it is known inside its partition: the short form of its UUID. */
export function memberOf(executionId: string): string {
  return shortIdOf(executionId.slice(-UUID_LENGTH));
}

/** The UUID inside a well-formed execution id, or flow id. */
export function uuidOfExecution(executionId: string): string {
  return executionId.slice(-UUID_LENGTH);
}

/** The partition key inside a well-formed execution id. */
export function partitionOfExecution(executionId: string): string {
  return executionId.slice(0, executionId.indexOf('}') + 1);
}

/** The index inside a well-formed partition key, or inside the key that a well-formed execution id starts with. */
export function partitionIndexOf(partitionKey: string): number {
  let index = 0;
  for (let i = 4; i < partitionKey.length; i++) {
    const digit = partitionKey.charCodeAt(i) - ZERO;
    if (digit < 0 || digit > 9) break;
    index = index * 10 + digit;
  }
  return index;
}

/** Whether the text matches `UUID_PATTERN`. */
export const isUuid = remembering((text) => text.length === UUID_LENGTH && isUuidAt(text, 0));

/** Whether the text matches `PARTITION_KEY_PATTERN`. */
export function isPartitionKey(text: string): boolean {
  return text.length > 0 && partitionKeyLength(text) === text.length;
}

/** Whether the text matches `EXECUTION_ID_PATTERN`; its partition index may be out of range. */
export const isExecutionIdForm = remembering((text) => {
  const length = partitionKeyLength(text);
  return (
    length > 0 &&
    text.length === length + 1 + UUID_LENGTH &&
    text.charCodeAt(length) === COLON &&
    isUuidAt(text, length + 1)
  );
});

/** Whether the text is an execution id whose partition index is in range. */
export function isExecutionId(text: string): boolean {
  return isExecutionIdForm(text) && partitionIndexOf(text) <= LIMITS.maxPartitions;
}

// Ids are checked several times in every lifecycle. A look-up per character beats a pattern here: on random digits
// a processor cannot guess which half of `[0-9a-f]` comes next.
const UUID_LENGTH = 36;
const ZERO = 0x30;
const COLON = 0x3a;
const HYPHEN = 0x2d;
const CLOSING_BRACE = 0x7d;

/** 1 for `0-9a-f`; one entry per UTF-16 unit, so that no look-up is out of bounds. */
const HEX = new Uint8Array(0x10000);
for (const digit of '0123456789abcdef') HEX[digit.charCodeAt(0)] = 1;

function allHex(text: string, from: number, to: number): number {
  let all = 1;
  for (let i = from; i < to; i++) all &= HEX[text.charCodeAt(i)] ?? 0;
  return all;
}

/** For a text that has at least `UUID_LENGTH` characters from there. */
function isUuidAt(text: string, from: number): boolean {
  return (
    text.charCodeAt(from + 8) === HYPHEN &&
    text.charCodeAt(from + 13) === HYPHEN &&
    text.charCodeAt(from + 18) === HYPHEN &&
    text.charCodeAt(from + 23) === HYPHEN &&
    (allHex(text, from, from + 8) &
      allHex(text, from + 9, from + 13) &
      allHex(text, from + 14, from + 18) &
      allHex(text, from + 19, from + 23) &
      allHex(text, from + 24, from + UUID_LENGTH)) ===
      1
  );
}

/** Length of the partition key that the text starts with; 0 when it starts with none. */
function partitionKeyLength(text: string): number {
  if (!text.startsWith('{fp:')) return 0;
  let end = 4;
  while (end < text.length && isDigit(text.charCodeAt(end))) end++;
  const digits = end - 4;
  const leadingZero = digits > 1 && text.charCodeAt(4) === ZERO;
  return digits === 0 || digits > 5 || leadingZero || text.charCodeAt(end) !== CLOSING_BRACE ? 0 : end + 1;
}

/**
 * The same predicate, with a small memory of what it accepted: an id comes back soon, from the claim of an execution
 * to its completion. Where an id is remembered depends on its last characters, the random ones.
 */
function remembering(accepts: (text: string) => boolean): (text: string) => boolean {
  const places = 256;
  // Filled with texts: a comparison that also meets "nothing" is a slower one. The empty text is never accepted.
  const accepted = new Array<string>(places).fill('');
  return (text) => {
    const end = text.length;
    const place =
      (text.charCodeAt(end - 1) * 41 + text.charCodeAt(end - 2) * 7 + text.charCodeAt(end - 3)) & (places - 1);
    if (accepted[place] === text && end > 0) return true;
    if (!accepts(text)) return false;
    accepted[place] = text;
    return true;
  };
}

const isDigit = (unit: number): boolean => unit >= ZERO && unit <= ZERO + 9;

/** The 16 bytes of a UUID, as they are hashed to place things. */
export function uuidBytes(uuid: string): Uint8Array {
  return Uint8Array.from(uuid.replaceAll('-', '').match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));
}

const FNV_OFFSET = 0xcbf29ce484222325n;
const FNV_PRIME = 0x100000001b3n;

/** FNV-1a, 64 bits, of a text's UTF-8 bytes. */
export function fnv1a64(text: string): bigint {
  let hash = FNV_OFFSET;
  for (const byte of utf8.encode(text)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * FNV_PRIME);
  return hash;
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

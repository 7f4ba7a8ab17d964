/** New ids: UUIDs of version 7, which sort by time. */
import { V7Generator } from 'uuidv7';

/** Random words fetched at once, because each request to the system costs more than the rest of an id. */
const POOL_WORDS = 2_048;

const pool = new Uint32Array(POOL_WORDS);
let used = POOL_WORDS;

const generator = new V7Generator({
  nextUint32() {
    if (used === POOL_WORDS) {
      crypto.getRandomValues(pool);
      used = 0;
    }
    return pool[used++] as number;
  },
});

const DIGITS = Uint8Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0));
const text = Buffer.alloc(36, '-');

/** One template literal: joining digit by digit takes ten times the memory, and a copy when it is read. */
function textOf(bytes: Uint8Array): string {
  let at = 0;
  for (let i = 0; i < bytes.length; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) at++;
    const byte = bytes[i] as number;
    text[at++] = DIGITS[byte >>> 4] as number;
    text[at++] = DIGITS[byte & 15] as number;
  }
  return text.toString('latin1');
}

/** An id for an execution, a lease or an attempt: unique for all time, ascending within this process. */
export function newId(): string {
  return textOf(generator.generate().bytes);
}

/** New ids: UUIDs of version 7, which sort by time. */
import { V7Generator } from 'uuidv7';

/** Random words fetched at once: asking the system for a few at a time costs more than all else about an id. */
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

/** An id for an execution, a lease or an attempt: unique for all time, ascending within this process. */
export function newId(): string {
  return generator.generate().toString();
}

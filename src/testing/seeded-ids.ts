/** Ids of tests: the same in every run with the same seed. */
import { createHash } from 'node:crypto';
import { V7Generator } from 'uuidv7';

/** UUIDs generated from a seed, in no order. */
export function seededUuids(seed: string): () => string {
  let count = 0;
  return () => {
    const hex = createHash('sha1').update(`${seed}:${count++}`).digest('hex');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  };
}

/** UUIDs generated from a seed and a clock. They ascend, as those of production do: older runs start first among equals. */
export function seededAscendingUuids(seed: string, now: () => number): () => string {
  let count = 0;
  const generator = new V7Generator({
    nextUint32: () => createHash('sha1').update(`${seed}:${count++}`).digest().readUInt32BE(0),
  });
  return () => generator.generateOrResetWithTs(Math.max(1, Math.floor(now()))).toString();
}

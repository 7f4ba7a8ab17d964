/** What the tests on a cluster share: one cluster, and which partitions live where. */
import { crc16, partitionKeyOf } from '../../model/ids.js';
import type { ValkeyCluster } from '../support/valkey/index.js';

const SLOTS = 16_384;

/** The slot of a partition: that of its tag. */
export const slotOf = (partition: number): number => crc16(Buffer.from(partitionKeyOf(partition).slice(1, -1))) % SLOTS;

/** Resolves when the condition holds. @throws Error after the time */
export async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  const startedAt = performance.now();
  while (!(await condition())) {
    if (performance.now() - startedAt > timeoutMs)
      throw new Error(`Still not so after ${timeoutMs} ms: ${condition.toString()}`);
    await pause(10);
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The first partition whose slot was given to this primary. */
export function partitionOn(cluster: ValkeyCluster, node: number): number {
  for (let partition = 0; ; partition++) if (cluster.initialOwner(slotOf(partition)) === node) return partition;
}

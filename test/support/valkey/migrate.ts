import type { Redis } from 'iovalkey';

/** How a slot is moved. */
export interface MigrateSlotOptions {
  /** Number of keys that one MIGRATE moves; default 10. */
  batchSize?: number;
  /** Called with the number of keys moved so far, when the slot has been opened and after each batch, while it is still on the source. */
  onBatch?: (movedKeys: number) => Promise<void> | void;
}

/** One end of a migration: a connection to a primary, and the address under which others reach it. */
export interface MigrationEnd {
  client: Redis;
  host: string;
  port: number;
}

/**
 * Moves a slot between two primaries as an operator would: it is opened on
 * both sides, its keys move in small batches, then it changes hands.
 *
 * @param others the cluster's other primaries, which are told of the new owner last
 * @returns the number of keys moved
 * @throws the server's error, e.g. if the source does not own the slot
 */
export const migrateSlotBetween = async (
  slot: number,
  from: MigrationEnd,
  to: MigrationEnd,
  others: readonly MigrationEnd[],
  { batchSize = 10, onBatch }: MigrateSlotOptions = {},
): Promise<number> => {
  const [fromId, toId] = await Promise.all(
    [from, to].map(async (end) => String(await end.client.call('CLUSTER', 'MYID'))),
  );
  if (fromId === undefined || toId === undefined || fromId === toId) {
    throw new Error(`slot ${slot} cannot move from a node to itself`);
  }
  await to.client.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId);
  await from.client.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId);

  let moved = 0;
  await onBatch?.(moved);
  for (;;) {
    const keys = (await from.client.call('CLUSTER', 'GETKEYSINSLOT', slot, batchSize)) as string[];
    if (keys.length === 0) break;
    await from.client.call('MIGRATE', to.host, to.port, '', 0, 5_000, 'KEYS', ...keys);
    moved += keys.length;
    await onBatch?.(moved);
  }

  // The target first: were the source told first, nobody would own the slot until the target learns of it.
  for (const end of [to, from, ...others]) {
    await end.client.call('CLUSTER', 'SETSLOT', slot, 'NODE', toId);
  }
  return moved;
};

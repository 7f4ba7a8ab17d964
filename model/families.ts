/**
 * Families of partitions (ruling 18): what lives together, and what the tag of its keys is. Executions live with their
 * flows. Budgets, quota policies and workers have partitions of their own: no call touches two families.
 *
 * A family that nobody uses costs nothing: the loop of due work looks at its partitions once it is in use, see
 * `partitionsInUse` of the backend.
 */
import { present } from './core/present.js';
import { keysOf } from './core/tables.js';
import { crc16, uuidBytes } from './ids.js';

/** How many partitions each counted family has; settled at first boot. */
export interface FamilyCounts {
  /** Of executions and flows. */
  readonly count: number;
  readonly budgets: number;
  readonly quotas: number;
}

/** Each family: the prefix in its keys, and what counts its partitions. Workers have one per namespace. */
export const FAMILIES = {
  flow: { prefix: 'fp', countedBy: 'count' },
  budget: { prefix: 'b', countedBy: 'budgets' },
  quota: { prefix: 'q', countedBy: 'quotas' },
  worker: { prefix: 'w', countedBy: undefined },
} as const satisfies Record<string, { prefix: string; countedBy: keyof FamilyCounts | undefined }>;

export type Family = keyof typeof FAMILIES;

/** Where an operation runs, or where entities of a kind live: in one family, or in each. */
export type FamilyScope = Family | 'any';

const NAMES = keysOf(FAMILIES);
const BEGINNINGS = NAMES.map((family) => ({ family, beginning: `{${FAMILIES[family].prefix}:` }));

/** Families whose use is noted in the record of the deployment: those of which there are so many partitions. */
export const NOTED_FAMILIES: readonly Family[] = NAMES.filter(
  (family) => family !== 'flow' && FAMILIES[family].countedBy !== undefined,
);

/** The partition with an index, or a name, in its family. */
export const partitionIn = (family: Family, place: number | string): string => `{${FAMILIES[family].prefix}:${place}}`;

/** The partition of what is placed by its id: a budget, a quota policy. */
export function partitionOfId(family: 'budget' | 'quota', uuid: string, counts: FamilyCounts): string {
  return partitionIn(family, crc16(uuidBytes(uuid)) % counts[FAMILIES[family].countedBy]);
}

/** Every partition of a family that is counted. */
export function partitionsOf(family: Family, counts: FamilyCounts): string[] {
  const { countedBy } = FAMILIES[family];
  if (countedBy === undefined) return [];
  return Array.from({ length: counts[countedBy] }, (_, index) => partitionIn(family, index));
}

/** The family of a well-formed partition key. */
export function familyOf(partition: string): Family {
  return present(BEGINNINGS.find(({ beginning }) => partition.startsWith(beginning))?.family);
}

const INDEXED = /^\{(fp|b|q):(0|[1-9][0-9]{0,4})\}$/;
// A name as the boundary takes it: printable ASCII without what builds keys and lists.
const NAMED = /^\{w:[\x20-\x2b\x2d-\x39\x3b-\x7a\x7c\x7e]{1,128}\}$/;

/** Whether a text is the key of a partition of any family; an index may be out of range. */
export const isPartitionOfAnyFamily = (text: string): boolean => INDEXED.test(text) || NAMED.test(text);

/** Whether a deployment has the partition that a well-formed key names. */
export function hasPartition(counts: FamilyCounts, partition: string): boolean {
  const { countedBy } = FAMILIES[familyOf(partition)];
  return countedBy === undefined || Number(partition.slice(partition.indexOf(':') + 1, -1)) < counts[countedBy];
}

/**
 * Partition keys, and the functions that map ids to partitions, as values: for callers that mint ids themselves or need
 * to know where something is stored. Source: spec 02 sections 1 to 3.
 */
import { EngineError } from '../errors.js';
import { isPartitionOfAnyFamily } from '../families.js';
import { crc16, fnv1a64, isUuid, uuidBytes } from '../ids.js';
import { LIMITS } from '../limits.js';

/** Families of partitions, and their key prefixes. Executions live with their flows: both use `fp`. */
export const PARTITION_FAMILIES = { flow: 'fp', execution: 'fp', budget: 'b', quota: 'q', worker: 'w' } as const;
export type PartitionFamily = keyof typeof PARTITION_FAMILIES;

/** The parts of a partition key. Workers have a partition for each namespace; the other families have counted ones. */
export type PartitionName =
  | {
      readonly family: Exclude<PartitionFamily, 'worker'>;
      /** From 0. */
      readonly index: number;
    }
  | { readonly family: 'worker'; readonly namespace: string };

const FAMILY_OF: Readonly<Record<string, Exclude<PartitionFamily, 'execution'>>> = {
  fp: 'flow',
  b: 'budget',
  q: 'quota',
  w: 'worker',
};

const invalid = (message: string): EngineError =>
  new EngineError('invalid_input', `partitionKey: ${message}.`, { detail: { field: 'partitionKey' } });

/** The wire form of a partition: `{fp:3}`, `{b:0}`, `{q:7}`, `{w:shop}`. */
export function formatPartitionKey(name: PartitionName): string {
  return `{${PARTITION_FAMILIES[name.family]}:${name.family === 'worker' ? name.namespace : name.index}}`;
}

/**
 * The partition of a key. `execution` reads back as `flow`: they share partitions.
 * @throws EngineError `invalid_input`: missing braces, malformed body, unknown family prefix, invalid index, or invalid
 *   namespace
 */
export function parsePartitionKey(text: string): PartitionName {
  if (!text.startsWith('{') || !text.endsWith('}') || text.length < 2) throw invalid('missing braces');
  const body = text.slice(1, -1);
  const colon = body.indexOf(':');
  if (colon < 0) throw invalid('malformed body');
  const prefix = body.slice(0, colon);
  const family = Object.hasOwn(FAMILY_OF, prefix) ? FAMILY_OF[prefix] : undefined;
  if (family === undefined) throw invalid(`unknown family prefix ${JSON.stringify(prefix.slice(0, 40))}`);
  const place = body.slice(colon + 1);
  if (family === 'worker') {
    if (!isPartitionOfAnyFamily(text)) throw invalid(`invalid namespace ${JSON.stringify(place.slice(0, 40))}`);
    return { family, namespace: place };
  }
  const index = Number(place);
  if (!/^(0|[1-9][0-9]{0,4})$/.test(place) || index > LIMITS.maxPartitions) {
    throw invalid(`invalid index ${JSON.stringify(place.slice(0, 40))}`);
  }
  return { family, index };
}

const utf8 = new TextEncoder();

function checkedCount(count: number): number {
  if (!Number.isInteger(count) || count < 1 || count > LIMITS.maxPartitions) {
    throw new EngineError('invalid_input', `count: must be an integer from 1 to ${LIMITS.maxPartitions}.`);
  }
  return count;
}

function partitionOfUuid(name: string, uuid: string, count: number): number {
  if (!isUuid(uuid)) throw new EngineError('invalid_input', `${name}: must be a lower-case UUID with hyphens.`);
  return crc16(uuidBytes(uuid)) % checkedCount(count);
}

/** The partition of a flow and everything in it, given the number of partitions. @throws EngineError `invalid_input` */
export const partitionOfFlow = (flowId: string, count: number): number => partitionOfUuid('flowId', flowId, count);

/** The partition of a budget. @throws EngineError `invalid_input` */
export const partitionOfBudget = (budgetId: string, count: number): number =>
  partitionOfUuid('budgetId', budgetId, count);

/** The partition of a quota policy. @throws EngineError `invalid_input` */
export const partitionOfQuotaPolicy = (quotaPolicyId: string, count: number): number =>
  partitionOfUuid('quotaPolicyId', quotaPolicyId, count);

/**
 * The partition of all standalone executions of a lane, in a deployment that places by lane. @throws EngineError
 * `invalid_input`
 */
export function partitionOfLane(laneId: string, count: number): number {
  return crc16(utf8.encode(laneId)) % checkedCount(count);
}

/**
 * The partition where a scheduler starts its scan, so that several schedulers start at different ones. Any other start
 * is correct too. @throws EngineError `invalid_input`
 */
export function scanStartOf(workerInstanceId: string, count: number): number {
  return Number(fnv1a64(workerInstanceId) & 0xffffn) % checkedCount(count);
}

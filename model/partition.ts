/**
 * Placement: how many partitions a deployment has and which one a new execution has to go to. Chosen at first boot,
 * stored, and verified at every later boot. Source: spec 02 section 2, rulings 5 and 6.
 */
import { z } from 'zod';
import { integer } from './core/fields.js';
import { issueWords } from './core/issue-words.js';
import { EngineError } from './errors.js';
import { crc16 } from './ids.js';
import { DEFAULTS, LIMITS } from './limits.js';
import { keysOf } from './core/tables.js';

export const partitionConfig = z.object({
  /** Partitions of the deployment. More of them spread over more nodes of a cluster; fewer make bigger batches. */
  count: integer(1, LIMITS.maxPartitions).default(DEFAULTS.partitionCount),
  /**
   * `spread`: anywhere, so that one lane can use every node; who creates them chooses. `lane`: all work of a lane in
   * one partition, so that its order is total. Keyed executions go where their key points to, in both.
   */
  placement: z.enum(['spread', 'lane']).default('spread'),
  /** Partitions of budgets. They cost nothing while there are none. */
  budgets: integer(1, LIMITS.maxPartitions).default(DEFAULTS.meterPartitionCount),
  /** Partitions of quota policies; likewise. */
  quotas: integer(1, LIMITS.maxPartitions).default(DEFAULTS.meterPartitionCount),
});
export type PartitionConfig = z.output<typeof partitionConfig>;

/** What is settled once and for all, by its name in the record. */
export const PARTITION_SETTINGS = keysOf(partitionConfig.shape);

/** A store in one process has one partition of each family unless told otherwise. */
export const ONE_OF_EACH = { count: 1, budgets: 1, quotas: 1 } as const;

const askedConfig = z.strictObject(partitionConfig.shape);

/**
 * The configuration that a caller asks for.
 * @param defaults for what the caller leaves out
 * @throws EngineError `invalid_input`, also for a member that there is not
 */
export function parsePartitionConfig(wanted: unknown, defaults: Partial<PartitionConfig> = {}): PartitionConfig {
  const given = wanted === undefined ? {} : wanted;
  const parsed = askedConfig.safeParse(isMap(given) ? { ...defaults, ...given } : null);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = ['partitions', ...(issue?.path.map(String) ?? [])].join('.');
  throw new EngineError('invalid_input', `${field}: ${issueWords(issue)}.`, { detail: { field } });
}

/** Not for a list, a Map or a date: zod takes the latter two for objects without members. */
const isMap = (value: unknown): value is object => Object.prototype.toString.call(value) === '[object Object]';

const utf8 = new TextEncoder();
const partitionOfText = (text: string, count: number): number => crc16(utf8.encode(text)) % count;

export interface Placed {
  readonly namespace: string;
  readonly laneId: string;
  readonly idempotencyKey?: string | undefined;
}

/**
 * The partition that a new standalone execution has to go to, or undefined when it may go to any. A key decides before
 * everything else, so that a retry meets its first try.
 */
export function placementOf(
  config: Pick<PartitionConfig, 'count' | 'placement'>,
  execution: Placed,
): number | undefined {
  if (execution.idempotencyKey)
    return partitionOfText(`${execution.namespace}:${execution.idempotencyKey}`, config.count);
  return config.placement === 'lane' ? partitionOfText(execution.laneId, config.count) : undefined;
}

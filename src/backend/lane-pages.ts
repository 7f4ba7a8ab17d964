/** Lists lanes. Every partition has its own; a page merges them. */
import { anyPartitionKey } from '../../model/core/fields.js';
import { EngineError } from '../../model/errors.js';
import { compareBytes } from '../../model/ids.js';
import { DEFAULTS, LIMITS } from '../../model/limits.js';
import type { ListLanesPage } from './backend.js';

/** The request of a page of lanes. */
export interface LanesPage {
  readonly cursor: string | undefined;
  readonly limit: number;
}

const refused = (field: string, rule: string): EngineError =>
  new EngineError('invalid_input', `listLanes: ${field}: ${rule}.`, { detail: { field } });

/** Validates the request of a page. @throws EngineError `invalid_input` */
export function parseLanesPage(page: unknown): LanesPage {
  if (typeof page !== 'object' || page === null) throw refused('arguments', 'must be an object');
  const { cursor, limit = DEFAULTS.pageSize } = page as { cursor?: unknown; limit?: unknown };
  if (cursor !== undefined && typeof cursor !== 'string') throw refused('cursor', 'must be a lane');
  if (typeof limit !== 'number' || !Number.isInteger(limit) || limit < 0 || limit > LIMITS.maxPageSize) {
    throw refused('limit', `must be an integer from 0 to ${LIMITS.maxPageSize}`);
  }
  return { cursor, limit };
}

/** Validates the only argument of a call, a partition. @throws EngineError `invalid_input` */
export function parsePartitionArgs(name: string, args: unknown): string {
  const partition = (args as { partition?: unknown } | null | undefined)?.partition;
  if (anyPartitionKey.safeParse(partition).success) return partition as string;
  throw new EngineError(
    'invalid_input',
    `${name}: partition: must look like "{fp:<partition>}", or be one of another family.`,
    {
      detail: { field: 'partition' },
    },
  );
}

/** One page of lanes, merged from those of the partitions. */
export function pageOfLanes(perPartition: readonly (readonly string[])[], { cursor, limit }: LanesPage): ListLanesPage {
  const all = [...new Set(perPartition.flat())].sort(compareBytes);
  const rest = cursor === undefined ? all : all.filter((lane) => compareBytes(lane, cursor) > 0);
  const lanes = rest.slice(0, limit);
  return { lanes, nextCursor: limit > 0 && rest.length > limit ? lanes.at(-1) : undefined };
}

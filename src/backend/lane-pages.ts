/** Lists lanes. Every partition has its own; a page merges them. */
import { anyPartitionKey } from '../../model/core/fields.js';
import { EngineError } from '../../model/errors.js';
import { compareBytes } from '../../model/ids.js';
import { DEFAULTS, LIMITS } from '../../model/limits.js';
import type { ListLanesPage } from '../../model/partition/reads.js';

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

/** One page of lanes, merged from pages of the partitions that begin at the same cursor and have the same limit. */
export function pageOfLanes(pages: readonly ListLanesPage[], limit: number): ListLanesPage {
  const known = [...new Set(pages.flatMap(({ lanes }) => lanes))].sort(compareBytes);
  const lanes = known.slice(0, limit);
  const more = known.length > limit || pages.some(({ nextCursor }) => nextCursor !== undefined);
  return { lanes, nextCursor: more ? lanes.at(-1) : undefined };
}

/** Listing lanes: every partition knows its own; a page merges them. */
import { EngineError } from '../model/errors.js';
import { compareBytes } from '../model/ids.js';
import { LIMITS } from '../model/limits.js';
import type { ListLanesPage } from './backend.js';

/** One page of lanes, merged from what the partitions know. @throws EngineError `invalid_input` */
export function pageOfLanes(perPartition: readonly (readonly string[])[], cursor: string | undefined, limit: number): ListLanesPage {
  if (!Number.isInteger(limit) || limit < 0 || limit > LIMITS.maxPageSize) {
    throw new EngineError('invalid_input', `listLanes: limit: must be an integer from 0 to ${LIMITS.maxPageSize}.`, { detail: { field: 'limit' } });
  }
  const all = [...new Set(perPartition.flat())].sort(compareBytes);
  const rest = cursor === undefined ? all : all.filter((lane) => compareBytes(lane, cursor) > 0);
  const lanes = rest.slice(0, limit);
  return { lanes, nextCursor: limit > 0 && rest.length > limit ? lanes.at(-1) : undefined };
}

import { LIMITS } from '../../model/limits.js';

/** The lanes in parts that one read can name. */
export function lanePagesOf(lanes: readonly string[]): string[][] {
  return Array.from({ length: Math.ceil(lanes.length / LIMITS.maxLanesPerRead) }, (_, page) =>
    lanes.slice(page * LIMITS.maxLanesPerRead, (page + 1) * LIMITS.maxLanesPerRead),
  );
}

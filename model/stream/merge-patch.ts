/**
 * JSON merge patch (RFC 7396) with a sentinel for null values: spec 07 section 4.1. The Lua twin, which merges texts,
 * is `lua/stream/merge.lua`.
 */
import { present } from '../core/present.js';
import { compareBytes } from '../ids.js';
import { isMembers, SENTINEL_TEXT, type Members, type Node } from './canonical-json.js';

const NONE: Members = [];

/** The document after a patch. */
export function merged(document: Members, patch: Members): Members {
  const result: Members[number][] = [];
  let next = 0;
  for (const [key, value] of patch) {
    for (; next < document.length; next++) {
      const member = present(document[next]);
      if (compareBytes(member[0], key) >= 0) break;
      result.push(member);
    }
    const known = document[next]?.[0] === key ? document[next++]?.[1] : undefined;
    if (value === 'null') continue;
    if (isMembers(value)) result.push([key, merged(isMembers(known) ? known : NONE, value)]);
    else result.push([key, value === SENTINEL_TEXT ? 'null' : value]);
  }
  return [...result, ...document.slice(next)];
}

/** The largest number of members of any object in a value. */
export function widest(node: Node): number {
  if (!isMembers(node)) return 0;
  return node.reduce((most, [, value]) => Math.max(most, widest(value)), node.length);
}

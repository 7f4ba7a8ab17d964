/**
 * Adds the indexed tags of an execution to its final event and to its signals, so that subscribers can filter by them
 * after the execution is gone (rulings 16 and 45). Done where events are recorded, so decisions do not handle it, and
 * executions without tags pay nothing.
 */
import type { Event } from '../events.js';
import type { ReadonlyExecution } from './facts.js';

/** The event with the indexed tags of its execution. */
export function withFilterTags(
  event: Event,
  { tags }: ReadonlyExecution,
  indexedTags: readonly string[] | undefined,
): Event {
  if (indexedTags === undefined || indexedTags.length === 0 || !('filterTags' in event)) return event;
  const filterTags = Object.fromEntries(Object.entries(tags).filter(([key]) => indexedTags.includes(key)));
  return Object.keys(filterTags).length === 0 ? event : { ...event, filterTags };
}

/**
 * Which tags the ends of executions and their signals carry: those that the deployment has indexed, so that subscribers can
 * filter by them after the execution is gone (rulings 16 and 45). Filled in where events are recorded: no decision knows of
 * them, and what is not tagged pays nothing.
 */
import type { Event } from '../events.js';
import type { ReadonlyExecution } from './facts.js';

/** The event with the indexed tags that its execution has. */
export function withFilterTags(
  event: Event,
  { tags }: ReadonlyExecution,
  indexedTags: readonly string[] | undefined,
): Event {
  if (indexedTags === undefined || indexedTags.length === 0 || !('filterTags' in event)) return event;
  const filterTags = Object.fromEntries(Object.entries(tags).filter(([key]) => indexedTags.includes(key)));
  return Object.keys(filterTags).length === 0 ? event : { ...event, filterTags };
}

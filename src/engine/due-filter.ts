/** Filters of loops that apply due work (ruling 45), by the names that tasks have. */
import { issueWords } from '../../model/core/issue-words.js';
import { EngineError } from '../../model/errors.js';
import type { ArgsOf } from '../../model/machine.js';
import { dueFilter } from '../../model/schedule/due-filter.js';
import { checkOptionNames } from '../backend/settings.js';
import { escapedLane } from '../shared/lane-names.js';

/** The executions whose due work a loop applies. Absent members match everything; one has to be given. */
export interface DueFilter {
  /** Only executions of this namespace. */
  readonly namespace?: string | undefined;
  /** The name of a lane. */
  readonly lane?: string | undefined;
  /** The name of a task. */
  readonly kind?: string | undefined;
  /** Tags with their values, all of which an execution must have. They need not be among the `indexedTags`. */
  readonly tag?: Readonly<Record<string, string>> | undefined;
}

const MEMBERS: readonly string[] = Object.keys({
  namespace: true,
  lane: true,
  kind: true,
  tag: true,
} satisfies Record<keyof DueFilter, true>);

/** A filter as the operation takes it. */
export type Filter = NonNullable<ArgsOf<'applyDue'>['filter']>;

/**
 * The filter as the operation takes it.
 * @throws EngineError `invalid_input` for an unknown or invalid member, and for a filter without any
 */
export function filterOf(where: string, filter: DueFilter | undefined): Filter | undefined {
  if (filter === undefined) return undefined;
  checkOptionNames(`the filter of ${where}`, filter, MEMBERS);
  const { namespace, lane, kind, tag } = filter;
  const laneId = typeof lane === 'string' ? escapedLane(lane) : lane;
  const wanted = { namespace, laneId, executionKind: kind, tags: tag && { ...tag } };
  const { error } = dueFilter.safeParse(wanted);
  if (error === undefined) return wanted;
  throw new EngineError('invalid_input', `filter: ${issueWords(error.issues[0])}.`, { detail: { field: 'filter' } });
}

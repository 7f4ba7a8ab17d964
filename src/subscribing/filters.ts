/** Filters of subscribers (ruling 45), checked before anything is read: unknown members are refused. */
import { readerId } from '../../model/core/fields.js';
import { LIMITS } from '../../model/limits.js';
import { EngineError } from '../../model/errors.js';
import { EVENTS, isOfExecution, type ReadEvent } from '../../model/events.js';
import { isExecutionId, partitionOfExecution } from '../../model/ids.js';
import { isRecord, shown } from '../shared/checks.js';
import { laneNameOf } from '../shared/lane-names.js';

/** Filters of all events. */
export interface EventFilter {
  /**
   * Only events of these types; `unknown` are those of a newer build. Default all except those of readers, which record
   * the positions of subscribers.
   */
  readonly types?: readonly ReadEvent['type'][] | undefined;
  /** Only events of this execution. Only one partition is read. */
  readonly executionId?: string | undefined;
  /** Only events of this flow and its members. Only one partition is read. */
  readonly flowId?: string | undefined;
}

/** Filters of events that carry the names of their work. */
export interface WorkFilter {
  /** Only of this namespace. */
  readonly namespace?: string | undefined;
  /** Only of this lane: its name, as tasks have it. */
  readonly lane?: string | undefined;
  /** Only of this kind: the name of a task. */
  readonly kind?: string | undefined;
  /** Tags with their values that the work had at that time. Only tags in the deployment's `indexedTags`. */
  readonly tag?: Readonly<Record<string, string>> | undefined;
}

const refuse = (field: string, what: string): never => {
  throw new EngineError('invalid_input', `${field}: ${what}`, { detail: { field } });
};

/** Refuses unknown members, because a filter with a misspelt member would match everything. */
export function checkMembers(options: object, known: readonly string[]): void {
  if (!isRecord(options)) refuse('options', `must be an object, not ${shown(options)}.`);
  const stranger = Object.keys(options).find((name) => !known.includes(name));
  if (stranger !== undefined)
    refuse(stranger, `there is no such filter here; there are ${known.map((name) => `"${name}"`).join(', ')}.`);
}

export function checkEventFilter({ types, executionId, flowId }: EventFilter): void {
  if (types !== undefined) {
    if (!Array.isArray(types) || types.length === 0) refuse('types', 'must be a list of types of events.');
    const stranger = types.findIndex((type) => type !== 'unknown' && !Object.hasOwn(EVENTS, type));
    if (stranger !== -1) refuse('types', `${shown(types[stranger])} is no type of event.`);
  }
  if (executionId !== undefined && !isExecutionId(executionId)) refuse('executionId', 'must be a valid execution id.');
  if (flowId === undefined) return;
  if (!isExecutionId(flowId)) refuse('flowId', 'must be a valid id of a flow.');
  if (executionId !== undefined) refuse('flowId', 'is given, and executionId too: one of them is enough.');
}

export function checkWorkFilter(filter: WorkFilter, indexedTags: readonly string[]): void {
  checkNames(filter);
  const { tag = {} } = filter;
  if (typeof tag !== 'object' || tag === null) refuse('tag', 'must be an object, like { "team.name": "core" }.');
  for (const [key, value] of Object.entries(tag)) {
    if (typeof value !== 'string') refuse('tag', `the value of "${key}" must be a string.`);
    // Other tags are not in the log: a subscriber would wait for ever.
    if (!indexedTags.includes(key))
      refuse('tag', `"${key}" is not among the indexedTags of the deployment; configureDeployment adds it.`);
  }
}

/** @throws EngineError `invalid_input` for a group that no reader can have */
export function checkGroup(group: unknown): void {
  if (readerId.safeParse(group).success) return;
  const form = `1 to ${LIMITS.maxReaderIdBytes} printable ASCII characters without braces, colons and commas`;
  refuse('group', `the name must be ${form}, not ${shown(group)}.`);
}

export function checkNames(filter: Omit<WorkFilter, 'tag'>): void {
  for (const name of ['namespace', 'lane', 'kind'] as const) {
    const wanted: unknown = filter[name];
    if (wanted !== undefined && (typeof wanted !== 'string' || wanted === '')) refuse(name, 'must be a name.');
  }
}

/** Whether events of this type are positions of readers. */
export const isOfReader = (type: ReadEvent['type']): boolean =>
  type !== 'unknown' && EVENTS[type].subject.kind === 'reader';

export function passesEventFilter({ types, executionId }: EventFilter): (event: ReadEvent) => boolean {
  const wanted = types && new Set<string>(types);
  return (event) =>
    (wanted === undefined ? !isOfReader(event.type) : wanted.has(event.type)) &&
    (executionId === undefined || (isOfExecution(event) && event.executionId === executionId));
}

interface Named {
  readonly namespace: string;
  readonly laneId: string;
  readonly executionKind: string;
  readonly filterTags?: Readonly<Record<string, string>>;
}

export const passesWorkFilter =
  ({ namespace, lane, kind, tag = {} }: WorkFilter) =>
  (work: Named): boolean =>
    Object.entries(tag).every(([key, value]) => work.filterTags?.[key] === value) &&
    (namespace === undefined || work.namespace === namespace) &&
    (lane === undefined || laneNameOf(work.laneId) === lane) &&
    (kind === undefined || work.executionKind === kind);

/** The only partition that a filter matches; undefined when it can be any. */
export function partitionWanted({
  executionId,
  flowId,
}: Pick<EventFilter, 'executionId' | 'flowId'>): string | undefined {
  const id = executionId ?? flowId;
  return id === undefined ? undefined : partitionOfExecution(id);
}

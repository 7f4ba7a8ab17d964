/** What a subscriber wants to hear of (ruling 45). Filters are checked before anything is read: what is not known is refused. */
import { EngineError } from '../../model/errors.js';
import { EVENTS, isOfExecution, type Event, type EventType } from '../../model/events.js';
import { isExecutionId, partitionOfExecution } from '../../model/ids.js';
import { shown } from '../shared/checks.js';

/** Filters of everything that happens. */
export interface EventFilter {
  /** Only events of these types. Default all but those of readers, which only tell how far subscribers are. */
  readonly types?: readonly EventType[] | undefined;
  /** Only what is about this execution. One partition is read then. */
  readonly executionId?: string | undefined;
}

/** Filters of what carries the names of its work. */
export interface WorkFilter {
  readonly namespace?: string | undefined;
  readonly lane?: string | undefined;
  readonly kind?: string | undefined;
}

const refuse = (field: string, what: string): never => {
  throw new EngineError('invalid_input', `${field}: ${what}`, { detail: { field } });
};

/** Refuses members that are none, so that a filter with a typing mistake does not hear of everything. */
export function checkMembers(options: object, known: readonly string[]): void {
  const stranger = Object.keys(options).find((name) => !known.includes(name));
  if (stranger !== undefined)
    refuse(stranger, `there is no such filter here; there are ${known.map((name) => `"${name}"`).join(', ')}.`);
}

export function checkEventFilter({ types, executionId }: EventFilter): void {
  if (types !== undefined) {
    if (!Array.isArray(types) || types.length === 0) refuse('types', 'must be a list of types of events.');
    const stranger = types.find((type) => !Object.hasOwn(EVENTS, type));
    if (stranger !== undefined) refuse('types', `${shown(stranger)} is no type of event.`);
  }
  if (executionId !== undefined && !isExecutionId(executionId)) refuse('executionId', 'must be a valid execution id.');
}

export function checkWorkFilter(filter: WorkFilter): void {
  for (const name of ['namespace', 'lane', 'kind'] as const) {
    const wanted: unknown = filter[name];
    if (wanted !== undefined && (typeof wanted !== 'string' || wanted === '')) refuse(name, 'must be a name.');
  }
}

/** Whether events of this type tell how far a reader is. */
export const isOfReader = (type: EventType): boolean => EVENTS[type].subject.kind === 'reader';

export function passesEventFilter({ types, executionId }: EventFilter): (event: Event) => boolean {
  const wanted = types && new Set<string>(types);
  return (event) =>
    (wanted === undefined ? !isOfReader(event.type) : wanted.has(event.type)) &&
    (executionId === undefined || (isOfExecution(event) && event.executionId === executionId));
}

interface Named {
  readonly namespace: string;
  readonly laneId: string;
  readonly executionKind: string;
}

export const passesWorkFilter =
  ({ namespace, lane, kind }: WorkFilter) =>
  (work: Named): boolean =>
    (namespace === undefined || work.namespace === namespace) &&
    (lane === undefined || work.laneId === lane) &&
    (kind === undefined || work.executionKind === kind);

/** The partition that a filter leaves; nothing when it can be any. */
export const partitionWanted = (executionId: string | undefined): string | undefined =>
  executionId === undefined ? undefined : partitionOfExecution(executionId);

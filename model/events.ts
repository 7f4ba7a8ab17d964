/**
 * Every event, by domain. An event is a fact in the past tense; the state of a partition is its log, folded through
 * `evolve`.
 */
import type { EventDeclaration, EventOf } from './core/event.js';
import { budgetEvents } from './budget/events.js';
import { present } from './core/present.js';
import { executionEvents } from './execution/events.js';
import { flowEvents } from './flow/events.js';
import { grantEvents } from './grant/events.js';
import { leaseEvents } from './lease/events.js';
import { partitionEvents } from './partition/events.js';
import { readerEvents } from './reader/entity.js';
import { laneEvents } from './lane/lane.js';
import { signingEvents } from './signing/entity.js';
import { suspensionEvents } from './suspension/events.js';
import { stepEvents } from './step/events.js';
import { quotaEvents } from './quota/entity.js';
import { meteringEvents } from './metering/entity.js';
import { workerEvents } from './worker/entity.js';
import { streamEvents } from './stream/events.js';

export const EVENTS = {
  ...executionEvents,
  ...leaseEvents,
  ...grantEvents,
  ...partitionEvents,
  ...readerEvents,
  ...laneEvents,
  ...suspensionEvents,
  ...signingEvents,
  ...streamEvents,
  ...budgetEvents,
  ...stepEvents,
  ...meteringEvents,
  ...workerEvents,
  ...quotaEvents,
  ...flowEvents,
} as const;

export type EventType = keyof typeof EVENTS;
export type Event = { [Type in EventType]: EventOf<(typeof EVENTS)[Type]> }[EventType];
export type EventNamed<Type extends EventType> = Extract<Event, { type: Type }>;
/** Events of an execution. */
export type ExecutionEvent = Extract<Event, { executionId: string }>;

/** An event with its place in the log of its partition. */
export interface LoggedEvent {
  /** Consecutive, from 1. */
  readonly sequence: number;
  readonly event: Event;
}

/** An event of a newer build (ruling 31). Its place, its time and its texts are known, their meaning is not. */
export interface UnknownEvent {
  readonly type: 'unknown';
  readonly at: number;
  /** The letter of the event in the log. */
  readonly letter: string;
  /** The id of its subject as the log has it. */
  readonly subject: string;
  /** Its facts as the log has them. */
  readonly texts: readonly string[];
}

/** What a reader of a log meets: events of this build, and those of newer ones as data. */
export type ReadEvent = Event | UnknownEvent;

/** An entry of a log as a reader gets it. */
export interface LogEntry {
  /** Consecutive, from 1. */
  readonly sequence: number;
  readonly event: ReadEvent;
}

/** Whether the event of an entry is one of this build. */
export const isKnown = (entry: LogEntry): entry is LoggedEvent => entry.event.type !== 'unknown';

/** The subject of an event. */
export function subjectOf(event: Event): { readonly kind: string; readonly id: string } {
  const { kind, key } = (EVENTS[event.type] as EventDeclaration).subject;
  return { kind, id: present((event as unknown as Record<string, string>)[key]) };
}

/** Whether the subject is an execution. */
export function isOfExecution(event: ReadEvent): event is ExecutionEvent {
  return (event as Partial<ExecutionEvent>).executionId !== undefined;
}

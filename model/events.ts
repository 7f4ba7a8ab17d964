/**
 * Every event, by domain. An event is a fact in the past tense; the log of a partition, folded through `evolve`,
 * is its state.
 */
import type { EventOf } from './core/event.js';
import { executionEvents } from './execution/events.js';
import { leaseEvents } from './lease/events.js';

export const EVENTS = { ...executionEvents, ...leaseEvents } as const;

export type EventType = keyof typeof EVENTS;
export type Event = { [Type in EventType]: EventOf<(typeof EVENTS)[Type]> }[EventType];
export type EventNamed<Type extends EventType> = Extract<Event, { type: Type }>;

/** An event with its place in the log of its partition. */
export interface LoggedEvent {
  /** Dense, from 1. */
  readonly sequence: number;
  readonly event: Event;
}

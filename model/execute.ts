/**
 * Runs commands on a partition: decide, append the events to the log, fold them into the state, keep the bytes that
 * the command carried. `Store` is what differs between the spec (plain tables) and the memory backend (tables and
 * indexes).
 */
import type { Context } from './core/operation.js';
import type { Event } from './events.js';
import { operationNamed, type AnyDecision, type ParsedCommand } from './machine.js';
import type { View } from './view.js';

export interface Store {
  readonly view: View;
  /** Appends the event to the log and applies it to the state. */
  record(event: Event): void;
  /** Keeps the input of an execution. */
  keepPayload(executionId: string, bytes: Uint8Array): void;
  /** Keeps the result of an execution. */
  keepResult(executionId: string, bytes: Uint8Array): void;
}

/** Carries out one command, or refuses it and changes nothing. */
export function execute(store: Store, command: ParsedCommand, context: Context): AnyDecision {
  const decision = operationNamed(command.name).decide(store.view, command.args as never, context) as AnyDecision;
  if (!decision.ok) return decision;
  for (const event of decision.events) {
    store.record(event);
    if (event.type === 'execution_created' && command.name === 'createExecution' && event.payloadBytes > 0) {
      store.keepPayload(event.executionId, command.args.inputPayload);
    }
    if (
      event.type === 'execution_completed' &&
      command.name === 'completeExecution' &&
      command.args.resultPayload !== undefined
    ) {
      store.keepResult(event.executionId, command.args.resultPayload);
    }
  }
  return decision;
}

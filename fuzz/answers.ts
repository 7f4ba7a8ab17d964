/** Answers and events of a machine in comparable form. */
import { EngineError, isRejectionCode } from '../model/errors.js';
import type { LogEntry, ReadEvent } from '../model/events.js';
import { compareBytes } from '../model/ids.js';
import type { AnyDecision } from '../model/machine.js';

/** A decision as a caller sees it. */
export function visible(decision: AnyDecision): unknown {
  return decision.ok
    ? { ok: true, outcome: decision.outcome }
    : { ok: false, code: decision.code, detail: decision.detail };
}

/** A refusal in comparable form. Other errors show their messages, for the story. */
export function failed(error: EngineError): unknown {
  const { code, detail, message } = error;
  return isRejectionCode(code) ? { ok: false, code, detail } : { ok: false, code, detail, message };
}

/** The answer to a call. @throws other errors than those of the engine */
export async function settled(call: Promise<unknown>): Promise<unknown> {
  try {
    return { ok: true, outcome: await call };
  } catch (error) {
    if (error instanceof EngineError) return failed(error);
    throw error;
  }
}

/** The events of a purge: removed streams, and the execution. The order within a slot is free. */
const isOfPurge = ({ type }: ReadEvent): boolean => type === 'execution_purged' || type === 'stream_removed';

/** Events in comparable order: those of purges last, by execution. */
export function inAnyPurgeOrder(log: readonly LogEntry[]): unknown[] {
  const events = log.map(({ event }) => event);
  const idOf = (event: ReadEvent): string => ('executionId' in event ? event.executionId : '');
  const purges = events.filter(isOfPurge);
  const others = events.filter((event) => !isOfPurge(event));
  return [...others, ...purges.sort((a, b) => compareBytes(idOf(a), idOf(b)))];
}

/** An answer without events of purges: a page of the log may end inside a slot, where the order is free. */
export function inAnyPurge(answer: unknown): unknown {
  const entries = (answer as { outcome?: { events?: readonly LogEntry[] } }).outcome?.events;
  if (entries === undefined) return answer;
  const events = entries.map((entry) =>
    isOfPurge(entry.event) ? { sequence: entry.sequence, event: { type: 'of a purge', at: entry.event.at } } : entry,
  );
  return { ...(answer as object), outcome: { ...(answer as { outcome: object }).outcome, events } };
}

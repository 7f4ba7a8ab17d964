/** Which waits of a handler are over, and which of them was over first. */
import type { Blocked } from './blocked.js';
import { satisfiedBy } from './evaluate.js';
import type { KnownWaits } from './known.js';
import type { Received } from './signals.js';

/** A wait that is over. */
export interface Over {
  readonly wait: Blocked;
  /** When, ms since the epoch. */
  readonly at: number;
  /** The signals that the handler gets; undefined if it ended by itself. */
  readonly signals: readonly Received[] | undefined;
  /** The signals that belong to it: those and repetitions of their senders. */
  readonly taken?: readonly Received[] | undefined;
}

/**
 * Of the waits that are over, the one that was over first. Waits resolve one by one in the order of their ends,
 * however late the handler runs, so that a race of waits has the same winner in every run. Of ends in the same
 * millisecond, time comes before the others, which are in the order in which the store recorded them; a signal belongs
 * to the wait that began first.
 */
export function firstOver(
  blocked: ReadonlySet<Blocked>,
  known: KnownWaits | undefined,
  serverNow: number,
): Over | undefined {
  const ends = [...blocked].flatMap((wait) => overOf(wait, known) ?? []);
  const first = ends.reduce<Over | undefined>(
    (one, other) => (one === undefined || isBefore(other, one, known) ? other : one),
    undefined,
  );
  // The engine's time is that of the latest recorded end, or later; the worker's estimate can be behind it.
  const isRecorded = ({ wait, signals }: Over) => signals !== undefined || wait.children !== undefined;
  return first !== undefined && (first.at <= serverNow || ends.some(isRecorded)) ? first : undefined;
}

/** The recorded end of a wait, or the time at which it will end. */
export function overOf(wait: Blocked, known: KnownWaits | undefined): Over | undefined {
  const { keys, condition, until = Infinity, endedAt = Infinity } = wait;
  const decided = wait.children?.decided();
  if (decided !== undefined) return { wait, at: decided.at, signals: undefined };
  const [key] = keys;
  const satisfaction =
    condition === undefined || key === undefined
      ? undefined
      : known && satisfiedBy(condition, known.open(key, wait.until));
  const last = satisfaction?.given.at(-1);
  if (last !== undefined) return { wait, at: last.at, signals: satisfaction?.given, taken: satisfaction?.taken };
  const at = Math.min(endedAt, until);
  return at === Infinity ? undefined : { wait, at, signals: undefined };
}

function isBefore(one: Over, other: Over, known: KnownWaits | undefined): boolean {
  if (one.at !== other.at) return one.at < other.at;
  const [[ends, signals], [otherEnds, otherSignals]] = [orderOf(one, known), orderOf(other, known)];
  if (ends !== otherEnds) return ends < otherEnds;
  return signals === otherSignals ? one.wait.place < other.wait.place : signals < otherSignals;
}

/** The order of ends in the same millisecond: how many children had ended, then how many signals had come. */
function orderOf({ wait, signals }: Over, known: KnownWaits | undefined): readonly [ends: number, signals: number] {
  const last = signals?.at(-1);
  if (last !== undefined) return [last.endedChildren, known?.indexOf(last) ?? 0];
  // The signals that follow an end have its number too.
  return [wait.children?.decided()?.order ?? -Infinity, -1];
}

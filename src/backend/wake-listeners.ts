/**
 * The listeners of the same wakes. Least capable listeners come first, so that more capable ones stay free for work
 * that only they can run. Ties are served round-robin: the listener that got the last work comes last for the next.
 */
import type { Announcement, StreamNotice, Wake } from './backend.js';

export type WakeListener = (wake: Wake) => void;

/** A message of a channel. */
export type Heard = Wake | Announcement | StreamNotice;
type Listener = (heard: Heard) => void;

interface Entry {
  readonly listener: Listener;
  /** Capabilities of the listener; undefined for all wakes. */
  readonly offered: ReadonlySet<string> | undefined;
}

/** Listeners with equally many capabilities, and the index of the next one. */
interface Rank {
  readonly size: number;
  entries: readonly Entry[];
  turn: number;
}

export class WakeListeners {
  private ranks: readonly Rank[] = [];

  get isEmpty(): boolean {
    return this.ranks.length === 0;
  }

  /**
   * Adds a listener for work that needs no other capabilities than these, or for all work; the returned function
   * removes it. The caller makes sure that the channel only has messages of the listener's type.
   */
  add<Said extends Heard>(listener: (said: Said) => void, capabilities?: readonly string[]): () => void {
    // A listener that is added twice has two entries.
    const entry: Entry = { listener: listener as Listener, offered: capabilities && new Set(capabilities) };
    const size = entry.offered?.size ?? 0;
    let rank = this.ranks.find((each) => each.size === size);
    if (rank === undefined) {
      rank = { size, entries: [], turn: 0 };
      this.ranks = [...this.ranks, rank].sort((a, b) => a.size - b.size);
    }
    const own = rank;
    // A copy, because the list may be in use for a wake.
    own.entries = [...own.entries, entry];
    return () => {
      own.entries = own.entries.filter((each) => each !== entry);
      if (own.entries.length === 0) this.ranks = this.ranks.filter((each) => each !== own);
    };
  }

  /** Calls one listener after another, while `wakeNow` returns a wake. */
  tell(wakeNow: () => Heard | undefined): void {
    for (const rank of this.ranks) if (!tellRank(rank, wakeNow)) return;
  }
}

/** Returns false when there is no further wake. */
function tellRank(rank: Rank, wakeNow: () => Heard | undefined): boolean {
  const { entries, turn } = rank;
  for (let step = 0; step < entries.length; step++) {
    const wake = wakeNow();
    if (wake === undefined) return false;
    const place = (turn + step) % entries.length;
    const entry = entries[place] as Entry;
    if (!hears(entry, wake)) continue;
    rank.turn = place + 1;
    if (rank.entries === entries || rank.entries.includes(entry)) told(entry.listener, wake);
  }
  return true;
}

/** Calls a listener. Its exception must not reach other listeners, nor the call that caused the wake. */
export function told<Said>(listener: (said: Said) => void, wake: Said): void {
  try {
    listener(wake);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

function hears({ offered }: Entry, wake: Heard): boolean {
  return (
    offered === undefined || wake.kind !== 'work' || wake.requiredCapabilities.every((token) => offered.has(token))
  );
}

/**
 * Those who wait for the same wakes. Whoever can do least is told first, so that those who can do more stay free for what
 * nobody else can do; among equals it goes round: whoever was told of some work is told of the next last.
 */
import type { Announcement, StreamNotice, Wake } from './backend.js';

export type WakeListener = (wake: Wake) => void;

/** What a channel says. */
export type Heard = Wake | Announcement | StreamNotice;
type Listener = (heard: Heard) => void;

interface Entry {
  readonly listener: Listener;
  /** Absent when it hears of everything. */
  readonly offered: ReadonlySet<string> | undefined;
}

/** Listeners with equally many capabilities, and whose turn it is. */
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
   * Adds one more, which hears of work that needs no more than these capabilities, or of all work; the returned function
   * takes it away. A channel says only what its listeners take.
   */
  add<Said extends Heard>(listener: (said: Said) => void, capabilities?: readonly string[]): () => void {
    // Each addition is one of its own, also of a listener that is there already.
    const entry: Entry = { listener: listener as Listener, offered: capabilities && new Set(capabilities) };
    const size = entry.offered?.size ?? 0;
    let rank = this.ranks.find((each) => each.size === size);
    if (rank === undefined) {
      rank = { size, entries: [], turn: 0 };
      this.ranks = [...this.ranks, rank].sort((a, b) => a.size - b.size);
    }
    const own = rank;
    // Copies: a wake can be on its way through the list.
    own.entries = [...own.entries, entry];
    return () => {
      own.entries = own.entries.filter((each) => each !== entry);
      if (own.entries.length === 0) this.ranks = this.ranks.filter((each) => each !== own);
    };
  }

  /** Tells one after the other as long as there is something to say. */
  tell(wakeNow: () => Heard | undefined): void {
    for (const rank of this.ranks) if (!tellRank(rank, wakeNow)) return;
  }
}

/** False when there is nothing more to say. */
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

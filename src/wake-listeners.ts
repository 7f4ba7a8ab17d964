/**
 * Those who wait for the same wakes. Whoever can do least is told first, so that those who can do more stay free for what
 * nobody else can do; among equals it goes round: whoever was told of some work is told of the next last.
 */
import type { Wake } from './backend.js';

export type WakeListener = (wake: Wake) => void;

interface Entry {
  readonly listener: WakeListener;
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
   * takes it away.
   */
  add(listener: WakeListener, capabilities?: readonly string[]): () => void {
    // Each addition is one of its own, also of a listener that is there already.
    const entry: Entry = { listener, offered: capabilities && new Set(capabilities) };
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
  tell(wakeNow: () => Wake | undefined): void {
    for (const rank of this.ranks) if (!tellRank(rank, wakeNow)) return;
  }
}

/** False when there is nothing more to say. */
function tellRank(rank: Rank, wakeNow: () => Wake | undefined): boolean {
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
export function told(listener: WakeListener, wake: Wake): void {
  try {
    listener(wake);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

function hears({ offered }: Entry, wake: Wake): boolean {
  return (
    offered === undefined || wake.kind !== 'work' || wake.requiredCapabilities.every((token) => offered.has(token))
  );
}

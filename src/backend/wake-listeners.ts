/**
 * The listeners of the same wakes. Least capable listeners come first, so that more capable ones stay free for work
 * that only they can run. Ties are served round-robin: the listener that got the last work comes last for the next.
 */
import { present } from '../../model/core/present.js';
import { orWarn } from '../util/quietly.js';
import type { Announcement, StreamNotice, Wake } from './backend.js';

export type WakeListener = (wake: Wake) => void;

/** A message of a channel. */
export type ChannelMessage = Wake | Announcement | StreamNotice;
type Listener = (message: ChannelMessage) => void;

interface Entry {
  readonly listener: Listener;
  /** Capabilities of the listener; undefined for all wakes. */
  readonly capabilities: ReadonlySet<string> | undefined;
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
  add<Message extends ChannelMessage>(
    listener: (message: Message) => void,
    capabilities?: readonly string[],
  ): () => void {
    // A listener that is added twice has two entries.
    const entry: Entry = { listener: listener as Listener, capabilities: capabilities && new Set(capabilities) };
    const size = entry.capabilities?.size ?? 0;
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
  notify(wakeNow: () => ChannelMessage | undefined): void {
    for (const rank of this.ranks) if (!notifyRank(rank, wakeNow)) return;
  }
}

/** Returns false when there is no further wake. */
function notifyRank(rank: Rank, wakeNow: () => ChannelMessage | undefined): boolean {
  const { entries, turn } = rank;
  for (let step = 0; step < entries.length; step++) {
    const wake = wakeNow();
    if (wake === undefined) return false;
    const place = (turn + step) % entries.length;
    const entry = present(entries[place]);
    if (!accepts(entry, wake)) continue;
    rank.turn = place + 1;
    if (rank.entries === entries || rank.entries.includes(entry)) callListener(entry.listener, wake);
  }
  return true;
}

/** Calls a listener. Its exception must not reach other listeners, nor the call that caused the wake. */
export function callListener<Message>(listener: (message: Message) => void, message: Message): void {
  orWarn('A listener of wakes', () => listener(message));
}

function accepts({ capabilities }: Entry, wake: ChannelMessage): boolean {
  return (
    capabilities === undefined ||
    wake.kind !== 'work' ||
    wake.requiredCapabilities.every((token) => capabilities.has(token))
  );
}

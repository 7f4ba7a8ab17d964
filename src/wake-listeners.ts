/** Those who wait for the same wakes. Work goes round among them: whoever was told of some is told of the next last. */
import type { Wake } from './backend.js';

export type WakeListener = (wake: Wake) => void;

export class WakeListeners {
  private listeners: readonly WakeListener[] = [];
  private turn = 0;

  get size(): number {
    return this.listeners.length;
  }

  /** Adds one more, also of a listener that is there already; the returned function takes it away. */
  add(listener: WakeListener): () => void {
    // Each addition is one of its own.
    const entry: WakeListener = (wake) => listener(wake);
    // Copies: a wake can be on its way through the list.
    this.listeners = [...this.listeners, entry];
    return () => {
      this.listeners = this.listeners.filter((each) => each !== entry);
    };
  }

  /** Tells one after the other as long as there is something to say. */
  tell(wakeNow: () => Wake | undefined): void {
    const { listeners } = this;
    const from = this.turn;
    for (let step = 0; step < listeners.length; step++) {
      const wake = wakeNow();
      if (wake === undefined) return;
      const place = (from + step) % listeners.length;
      this.turn = place + 1;
      const listener = listeners[place] as WakeListener;
      if (this.listeners === listeners || this.listeners.includes(listener)) listener(wake);
    }
  }
}

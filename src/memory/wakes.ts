/** Wakes within one process, for work of lanes and for timers. */
import type { Wake } from '../backend/backend.js';
import { WakeListeners, type WakeListener } from '../backend/wake-listeners.js';

/** Sends wakes after the step that caused them, because a listener may call the backend. */
export class Wakes {
  private readonly lanes = new Map<string, WakeListeners>();
  private timers = new WakeListeners();

  add(laneIds: readonly string[], listener: WakeListener, capabilities: readonly string[] | undefined): () => void {
    const leaves = [
      ...laneIds.map((laneId) => this.lane(laneId).add(listener, capabilities)),
      this.timers.add(listener),
    ];
    return () => {
      for (const leave of leaves) leave();
    };
  }

  /** Offers work to one listener of the lane after another, while `wakeNow` returns a wake. */
  work(laneId: string, wakeNow: () => Wake | undefined): void {
    const listeners = this.lanes.get(laneId);
    if (listeners !== undefined && !listeners.isEmpty) queueMicrotask(() => listeners.notify(wakeNow));
  }

  /** Sends a wake to every listener of a lane; one of them is its target. */
  all(laneId: string, wake: Wake): void {
    const listeners = this.lanes.get(laneId);
    if (listeners !== undefined && !listeners.isEmpty) queueMicrotask(() => listeners.notify(() => wake));
  }

  /** Sends a wake to every listener of any lane. */
  timer(wake: Wake): void {
    if (!this.timers.isEmpty) queueMicrotask(() => this.timers.notify(() => wake));
  }

  /** Calls every listener once more, and none after that. */
  end(): void {
    const last = this.timers;
    this.timers = new WakeListeners();
    this.lanes.clear();
    queueMicrotask(() => last.notify(() => ({ kind: 'resync' })));
  }

  private lane(laneId: string): WakeListeners {
    let known = this.lanes.get(laneId);
    if (known === undefined) this.lanes.set(laneId, (known = new WakeListeners()));
    return known;
  }
}

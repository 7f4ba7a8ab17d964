/** Wakes of one process: who waits for work of which lanes, and for timers. */
import type { Wake } from '../backend.js';
import { WakeListeners, type WakeListener } from '../wake-listeners.js';

/** Calls the listeners of wakes, after the step that caused them: a listener may call the backend. */
export class Wakes {
  private readonly lanes = new Map<string, WakeListeners>();
  private readonly timers = new WakeListeners();

  add(laneIds: readonly string[], listener: WakeListener, capabilities: readonly string[] | undefined): () => void {
    const leaves = [
      ...laneIds.map((laneId) => this.lane(laneId).add(listener, capabilities)),
      this.timers.add(listener),
    ];
    return () => {
      for (const leave of leaves) leave();
    };
  }

  /** Work goes to one listener after the other as long as some of it waits. */
  work(laneId: string, wakeNow: () => Wake | undefined): void {
    const listeners = this.lanes.get(laneId);
    if (listeners !== undefined && !listeners.isEmpty) queueMicrotask(() => listeners.tell(wakeNow));
  }

  /** Tells every listener of a lane: what is said is meant for one of them. */
  all(laneId: string, wake: Wake): void {
    const listeners = this.lanes.get(laneId);
    if (listeners !== undefined && !listeners.isEmpty) queueMicrotask(() => listeners.tell(() => wake));
  }

  /** What every listener hears, whatever its lanes. */
  timer(wake: Wake): void {
    if (!this.timers.isEmpty) queueMicrotask(() => this.timers.tell(() => wake));
  }

  private lane(laneId: string): WakeListeners {
    let known = this.lanes.get(laneId);
    if (known === undefined) this.lanes.set(laneId, (known = new WakeListeners()));
    return known;
  }
}

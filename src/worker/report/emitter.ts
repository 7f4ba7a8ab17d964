/** Typed events. A listener that throws, or whose promise rejects, affects neither other listeners nor the emitter. */
import { quietly } from '../../util/quietly.js';

export class Emitter<Events extends object> {
  private readonly listeners = new Map<keyof Events, Set<(event: never) => unknown>>();

  constructor(private readonly onListenerError: (error: unknown) => void) {}

  /** Calls the listener for every event of this type until the returned function is called. */
  on<Type extends keyof Events>(type: Type, listener: (event: Events[Type]) => void): () => void {
    let listeners = this.listeners.get(type);
    if (listeners === undefined) this.listeners.set(type, (listeners = new Set()));
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  emit<Type extends keyof Events>(type: Type, event: Events[Type]): void {
    const listeners = this.listeners.get(type) as ReadonlySet<(event: Events[Type]) => unknown> | undefined;
    if (listeners === undefined) return;
    for (const listener of listeners) quietly(() => listener(event), this.onListenerError);
  }
}

/** Typed events. A listener that throws, or whose promise rejects, affects neither other listeners nor the emitter. */
import { copied } from '../../util/copied.js';
import { quietly } from '../../util/quietly.js';

/** A registration. The same listener can have several. */
interface Entry {
  readonly listener: (event: never) => unknown;
}

export class Emitter<Events extends object> {
  /** The lists are replaced, never changed: an event goes to the listeners of the time when it was emitted. */
  private readonly entries = new Map<keyof Events, readonly Entry[]>();

  constructor(private readonly onListenerError: (error: unknown) => void) {}

  /** Calls the listener for every event of this type until the returned function is called. */
  on<Type extends keyof Events>(type: Type, listener: (event: Events[Type]) => void): () => void {
    const entry: Entry = { listener };
    this.entries.set(type, [...this.entriesOf(type), entry]);
    return () => {
      this.entries.set(
        type,
        this.entriesOf(type).filter((each) => each !== entry),
      );
    };
  }

  emit<Type extends keyof Events>(type: Type, event: Events[Type]): void {
    for (const { listener } of this.entriesOf(type))
      quietly(() => listener(copied(event) as never), this.onListenerError);
  }

  hasListener(type: keyof Events): boolean {
    return this.entriesOf(type).length > 0;
  }

  private entriesOf(type: keyof Events): readonly Entry[] {
    return this.entries.get(type) ?? [];
  }
}

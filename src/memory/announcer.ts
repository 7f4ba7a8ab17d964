/** Tells those that asked what happened to a partition, after the step in which it did: a listener may call the backend. */
import type { Announcement, AnnouncementListener, AnnouncementKind } from '../backend.js';
import { told } from '../wake-listeners.js';

export class Announcer {
  private readonly listeners = { appended: new Set<Entry>(), ended: new Set<Entry>() } as const;
  /** By partition: what ended since the last turn. */
  private readonly ended = new Map<string, string[]>();

  add(kind: AnnouncementKind, listener: AnnouncementListener): () => void {
    const entry: Entry = { listener };
    this.listeners[kind].add(entry);
    return () => void this.listeners[kind].delete(entry);
  }

  tellAppended(partition: string): void {
    queueMicrotask(() => this.tell('appended', { kind: 'appended', partition }));
  }

  /** Ends of one step are told together. */
  tellEnded(partition: string, executionId: string): void {
    const known = this.ended.get(partition);
    if (known !== undefined) return void known.push(executionId);
    const executionIds = [executionId];
    this.ended.set(partition, executionIds);
    queueMicrotask(() => {
      this.ended.delete(partition);
      this.tell('ended', { kind: 'ended', partition, executionIds });
    });
  }

  private tell(kind: AnnouncementKind, announcement: Announcement): void {
    for (const { listener } of [...this.listeners[kind]]) told(listener, announcement);
  }
}

/** Each addition is one of its own, also of a listener that is there already. */
interface Entry {
  readonly listener: AnnouncementListener;
}

/** Sends announcements of partitions and streams, after the step that caused them: a listener may call the backend. */
import type { Announcement, AnnouncementListener, AnnouncementKind, StreamNotice } from '../backend/backend.js';
import { callListener } from '../backend/wake-listeners.js';

export class Announcer {
  private readonly listeners = { appended: new Set<Entry>(), ended: new Set<Entry>() } as const;
  private readonly frames = new Map<string, Set<{ readonly listener: (notice: StreamNotice) => void }>>();
  private readonly scheduledFrames = new Set<string>();
  /** Ids of ended executions to announce, by partition. */
  private readonly ended = new Map<string, string[]>();

  add(kind: AnnouncementKind, listener: AnnouncementListener): () => void {
    const entry: Entry = { listener };
    this.listeners[kind].add(entry);
    return () => void this.listeners[kind].delete(entry);
  }

  addForFrames(executionId: string, listener: (notice: StreamNotice) => void): () => void {
    const entry = { listener };
    const known = this.frames.get(executionId) ?? new Set();
    this.frames.set(executionId, known.add(entry));
    return () => {
      if (known.delete(entry) && known.size === 0) this.frames.delete(executionId);
    };
  }

  /** Announces new frames, once per step. */
  announceFrames(executionId: string): void {
    if (!this.frames.has(executionId) || this.scheduledFrames.has(executionId)) return;
    this.scheduledFrames.add(executionId);
    queueMicrotask(() => {
      this.scheduledFrames.delete(executionId);
      for (const { listener } of [...(this.frames.get(executionId) ?? [])])
        callListener(listener, { kind: 'frames', executionId });
    });
  }

  announceAppended(partition: string): void {
    queueMicrotask(() => this.callListeners('appended', { kind: 'appended', partition }));
  }

  /** Announces the ends of one step together. */
  announceEnded(partition: string, executionId: string): void {
    const known = this.ended.get(partition);
    if (known !== undefined) return void known.push(executionId);
    const executionIds = [executionId];
    this.ended.set(partition, executionIds);
    queueMicrotask(() => {
      this.ended.delete(partition);
      this.callListeners('ended', { kind: 'ended', partition, executionIds });
    });
  }

  /** Calls every listener once more, and none after that. */
  end(): void {
    const last = [...this.listeners.appended, ...this.listeners.ended];
    const ofFrames = [...this.frames.values()].flatMap((entries) => [...entries]);
    this.listeners.appended.clear();
    this.listeners.ended.clear();
    this.frames.clear();
    queueMicrotask(() => {
      for (const { listener } of last) callListener(listener, { kind: 'resync' });
      for (const { listener } of ofFrames) callListener(listener, { kind: 'resync' });
    });
  }

  private callListeners(kind: AnnouncementKind, announcement: Announcement): void {
    for (const { listener } of [...this.listeners[kind]]) callListener(listener, announcement);
  }
}

/** An object of its own, because a listener can be added twice. */
interface Entry {
  readonly listener: AnnouncementListener;
}

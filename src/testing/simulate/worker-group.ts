/** A worker of a scenario: the workers of one process and of those that took its place, as one. */
import type { Duration } from '../../shared/duration.js';
import type { Worker, WorkerEvents, WorkerStats } from '../../worker/api.js';

interface Listening {
  readonly type: keyof WorkerEvents;
  readonly listener: (event: never) => void;
}

export interface Member {
  readonly worker: Worker;
  /** Resolves when its process dies. */
  readonly died: Promise<void>;
}

export class WorkerGroup implements Worker {
  /** Resolves when the first of its workers runs. */
  readonly started: Promise<void>;
  /** It was drained: nothing takes its place any more. */
  ended = false;
  private start!: () => void;
  private newest!: Worker;
  private readonly members: Member[] = [];
  private readonly listening = new Set<Listening>();

  constructor() {
    this.started = new Promise((resolve) => (this.start = resolve));
  }

  add(member: Member): void {
    this.members.push(member);
    this.newest = member.worker;
    for (const each of this.listening) this.attach(member.worker, each);
    if (this.ended) void member.worker.drain({ timeout: 0 });
    this.start();
  }

  get workerInstanceId(): string {
    return this.newest.workerInstanceId;
  }

  stats(): WorkerStats {
    return this.newest.stats();
  }

  on<Type extends keyof WorkerEvents>(type: Type, listener: (event: WorkerEvents[Type]) => void): () => void {
    const each: Listening = { type, listener };
    this.listening.add(each);
    for (const { worker } of this.members) this.attach(worker, each);
    return () => this.listening.delete(each);
  }

  private attach(worker: Worker, each: Listening): void {
    // What it returns can be a promise, whose rejection the worker handles.
    worker.on(each.type, (event) => (this.listening.has(each) ? each.listener(event as never) : undefined));
  }

  async drain(options?: { readonly timeout?: Duration | undefined }): Promise<void> {
    this.ended = true;
    await Promise.all(this.members.map(({ worker, died }) => Promise.race([worker.drain(options), died])));
  }

  close(): Promise<void> {
    return this.drain();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.drain();
  }
}

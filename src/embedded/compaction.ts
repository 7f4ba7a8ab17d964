/**
 * Keeps the journal short: when it has grown by the size of the last snapshot, a new segment begins, and a snapshot of
 * the state at that moment replaces everything before it.
 */
import { join } from 'node:path';
import type { EngineError } from '../../model/errors.js';
import type { Disk } from './disk.js';
import { failureOf } from './failures.js';
import { beginFile, dropFile, filesOf, nameFile, nameOf, type Deployment, type OpenFile } from './files.js';
import type { Journal } from './journal.js';
import { Snapshot } from './snapshot.js';
import type { JournaledStore } from './store.js';

export interface CompactionOptions {
  readonly disk: Disk;
  readonly folder: string;
  readonly deployment: () => Deployment;
  readonly stores: () => readonly JournaledStore[];
  /** Least growth of the journal between two snapshots, bytes. */
  readonly leastBytes: number;
}

export class Compaction {
  private snapshot: Snapshot | undefined;
  private isWanted = false;
  /** Bytes of the journal when the last snapshot began or failed. */
  private begunAt = 0;
  private listeners: ((failure: unknown) => void)[] = [];
  /** Why no further snapshot is made. */
  private endedBy: EngineError | undefined;

  constructor(
    private readonly options: CompactionOptions,
    private readonly journal: Journal,
    private snapshotBytes: number,
    /** Bytes of the segments read when the store was opened. */
    private readonly readBytes: number,
  ) {}

  /** Whether a new segment must begin as soon as no write is pending. */
  get isDue(): boolean {
    if (this.snapshot !== undefined || this.endedBy !== undefined) return false;
    const grown = this.journal.written + this.readBytes - this.begunAt;
    return this.isWanted || grown >= Math.max(this.options.leastBytes, this.snapshotBytes);
  }

  /** Makes a snapshot as soon as possible. @throws the error of the snapshot, or the reason why none is made */
  compact(): Promise<void> {
    if (this.endedBy !== undefined) return Promise.reject(this.endedBy);
    this.isWanted = true;
    return new Promise((resolve, reject) => {
      this.listeners.push((failure) => (failure === undefined ? resolve() : reject(failureOf(failure))));
    });
  }

  /** Begins the new segment and the snapshot; only while no write is pending. */
  begin(): void {
    const { disk, folder, deployment, stores } = this.options;
    this.isWanted = false;
    this.begunAt = this.journal.written + this.readBytes;
    const number = this.journal.number + 1;
    const next = this.newSegment(number);
    if (next === undefined) return;
    this.journal.goOnIn(next);
    try {
      this.snapshot = new Snapshot(disk, folder, number, deployment(), stores(), (failure, bytes) =>
        this.ended(failure, bytes, number),
      );
    } catch (error) {
      this.tell(error);
    }
  }

  private newSegment(number: number): OpenFile | undefined {
    const { disk, folder, deployment } = this.options;
    let next: OpenFile | undefined;
    try {
      next = beginFile(disk, folder, { kind: 'journal', number, ...deployment() });
      disk.sync(next.file);
    } catch (error) {
      // The journal continues in its segment, and this is retried after further growth.
      if (next !== undefined) dropFile(disk, folder, 'journal', next);
      this.tell(error);
      return undefined;
    }
    try {
      // Before the next one has a name: only the last segment may have a torn tail.
      this.journal.endSegment();
      nameFile(disk, folder, 'journal', number);
      return next;
    } catch (error) {
      // The old segment has ended, and the new one may or may not have its name: nothing more is written.
      disk.close(next.file);
      this.journal.stop(failureOf(error));
      this.tell(error);
      return undefined;
    }
  }

  private ended(failure: unknown, bytes: number, number: number): void {
    this.snapshot = undefined;
    if (failure === undefined) {
      this.snapshotBytes = bytes;
      this.removeBefore(number);
    }
    this.tell(failure);
  }

  /** Removes the files that the snapshot replaces. After a failure, the next opening of the store removes them. */
  private removeBefore(number: number): void {
    const { disk, folder } = this.options;
    try {
      const { journal, snapshot } = filesOf(disk.list(folder));
      const names = [
        ...snapshot.filter((other) => other < number).map((other) => nameOf('snapshot', other)),
        ...journal.filter((other) => other < number).map((other) => nameOf('journal', other)),
      ];
      for (const name of names) disk.remove(join(folder, name));
    } catch {
      // Superfluous files only take space.
    }
  }

  private tell(failure: unknown): void {
    const { listeners } = this;
    this.listeners = [];
    for (const listener of listeners) listener(failure);
  }

  /** Aborts a running snapshot. */
  abort(reason: unknown): void {
    this.snapshot?.abort(reason);
  }

  /** Aborts a running snapshot, and makes no other. */
  end(reason: EngineError): void {
    this.endedBy ??= reason;
    this.abort(reason);
    this.tell(reason);
  }

  /** Closes the files unfinished. */
  abandon(): void {
    this.snapshot?.abandon();
    this.snapshot = undefined;
  }
}

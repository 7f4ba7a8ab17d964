/**
 * Keeps the journal short: when it has grown by as much as the last snapshot is large, it goes on in a new segment, and
 * a snapshot of the state at that moment takes the place of everything before.
 */
import { join } from 'node:path';
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
  /** The journal grows by so much at least between two snapshots, bytes. */
  readonly leastBytes: number;
}

export class Compaction {
  private snapshot: Snapshot | undefined;
  private isWanted = false;
  /** What the journal had written when the last snapshot began, or failed. */
  private begunAt = 0;
  private listeners: ((failure: unknown) => void)[] = [];

  constructor(
    private readonly options: CompactionOptions,
    private readonly journal: Journal,
    private snapshotBytes: number,
    /** Bytes of segments that were read when the store was opened. */
    private readonly readBytes: number,
  ) {}

  /** Whether a new segment is to begin as soon as nothing is under way. */
  get isDue(): boolean {
    if (this.snapshot !== undefined) return false;
    const grown = this.journal.written + this.readBytes - this.begunAt;
    return this.isWanted || grown >= Math.max(this.options.leastBytes, this.snapshotBytes);
  }

  /** Makes a snapshot as soon as can be. @throws what goes wrong with it */
  compact(): Promise<void> {
    this.isWanted = true;
    return new Promise((resolve, reject) => {
      this.listeners.push((failure) => (failure === undefined ? resolve() : reject(failure)));
    });
  }

  /** Begins the new segment and the snapshot; only when nothing is under way. */
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
      // The journal goes on where it is, and it is tried again when it has grown.
      if (next !== undefined) dropFile(disk, folder, 'journal', next);
      this.tell(error);
      return undefined;
    }
    try {
      nameFile(disk, folder, 'journal', number);
      return next;
    } catch (error) {
      // Whether it has its name is not known: nothing may be written to the segment before it any more.
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

  /** Removes what the snapshot stands for. What cannot be removed now is removed when the store is opened next. */
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
      // Files that are too many cost room and nothing else.
    }
  }

  private tell(failure: unknown): void {
    const { listeners } = this;
    this.listeners = [];
    for (const listener of listeners) listener(failure);
  }

  /** Gives up the snapshot that is being made. */
  abort(reason: unknown): void {
    this.snapshot?.abort(reason);
  }

  /** Lets go of its files as they are. */
  abandon(): void {
    this.snapshot?.abandon();
    this.snapshot = undefined;
  }
}

/**
 * The journal. The changes of one turn of the event loop are one frame, written when the turn is over. Its callers are
 * answered when the promise of the `fsync` mode holds:
 *
 * - `always`: the changes are on the medium. One fsync serves all turns that were written while the last one ran.
 * - `everysec`: the operating system has them; changes that are not on the medium are at most a second old.
 * - `never`: the operating system has them.
 *
 * Space is preallocated, so that a full disk is detected before a step begins and not when its frame is written. If
 * writing a frame fails all the same, its turn is undone: the machine reads its state back from the files.
 */
import { present } from '../../model/core/present.js';
import { EngineError } from '../../model/errors.js';
import type { Event } from '../../model/events.js';
import type { DeploymentSettings } from '../backend/settings.js';
import type { Disk } from './disk.js';
import { FRAME } from './frames.js';
import type { OpenFile } from './files.js';
import { failureOf } from './failures.js';
import { FIRST_PLACE, writeBytes, writeEvent } from './records.js';
import type { Records } from './store.js';

export type FsyncMode = 'always' | 'everysec' | 'never';

/** Preallocation doubles the file, within these bounds. */
const LEAST_AHEAD_BYTES = 16 * 1024;
const MOST_AHEAD_BYTES = 1024 * 1024;
/**
 * This share of the preallocation is reserved for ending work: new work is refused if only it is left and the file
 * cannot grow.
 */
const RESERVE = 0.25;
/** A larger turn is written before it is over. */
const TURN_BYTES = 4 * 1024 * 1024;
/** With `everysec`: the interval of fsyncs, and the age of unsynced changes from which answers wait, ms. */
const SYNC_EVERY_MS = 500;
const MAX_UNSYNCED_MS = 1_000;

const ZEROS = new Uint8Array(64 * 1024);

/** Callers that wait for the same frame. */
class Turn {
  readonly done: Promise<void>;
  resolve!: () => void;
  reject!: (error: EngineError) => void;

  constructor() {
    this.done = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Callers have promises of their own that reject.
    this.done.catch(() => undefined);
  }
}

/** The engine of a journal. */
export interface JournalOwner {
  /** Undoes the current turn: reads the state back from the files. @throws if that fails */
  readBack(): void;
  /** The journal stopped: no command may run any more. */
  stopped(failure: EngineError): void;
  /** The journal was closed, with everything on the medium. */
  sealed(): void;
  /** Whether a new segment is wanted, as soon as no write is pending. */
  wantsRest(): boolean;
  /** No write is pending, so a new segment can begin. */
  rest(): void;
}

export class Journal implements Records {
  /** Bytes written since the journal was opened. */
  written = 0;
  private text = '';
  private place = FIRST_PLACE;
  private parts: Uint8Array[] = [];
  private partBytes = 0;
  private turn: Turn | undefined;
  /** Written turns that wait for the next fsync, and for the running one. */
  private waiting: Turn[] = [];
  private syncing: Turn[] = [];
  /** The last turn without its promised durability; answers must wait for it. */
  private last: Turn | undefined;
  private allocated: number;
  private synced: number;
  private isSyncing = false;
  /** Time of the oldest change that needs the next fsync, and of the oldest that the running one covers. */
  private unsyncedSince: number | undefined;
  private syncingSince: number | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private failure: EngineError | undefined;
  /** Whether it was closed with everything on the medium. */
  private isSealed = false;
  private flushIsDue = false;

  constructor(
    private readonly disk: Disk,
    private readonly mode: FsyncMode,
    private readonly owner: JournalOwner,
    private segment: OpenFile,
  ) {
    this.allocated = Math.max(disk.size(segment.file), segment.position);
    // Data of the last process may not be on the medium yet.
    disk.sync(segment.file);
    this.synced = segment.position;
  }

  // Records of the current turn.

  event(place: string, event: Event): void {
    this.line(place, writeEvent(event));
  }

  bytes(place: string, slot: string, subject: string, bytes: Uint8Array): void {
    this.line(place, writeBytes(slot, subject, bytes.byteLength));
    this.parts.push(bytes);
    this.partBytes += bytes.byteLength;
  }

  settings(settings: DeploymentSettings): void {
    this.line(this.place, `$${JSON.stringify(settings)}`);
  }

  private line(place: string, line: string): void {
    if (this.text === '') {
      // Nothing would settle a turn that begins after the stop.
      this.check();
      this.place = FIRST_PLACE;
      this.turn = new Turn();
      this.last = this.turn;
      this.later();
    }
    if (place !== this.place) {
      this.text += `@${place}\n`;
      this.place = place;
    }
    this.text += `${line}\n`;
  }

  private later(): void {
    if (this.flushIsDue) return;
    this.flushIsDue = true;
    setImmediate(() => {
      this.flushIsDue = false;
      this.flush();
    });
  }

  /** Resolves when all changes so far have the promised durability; undefined if they have it already. */
  get settled(): Promise<void> | undefined {
    return this.last?.done;
  }

  /**
   * Preallocates space for a step before it begins.
   * @param bytes total of its payloads
   * @param adds whether it adds to the store, so that it can be refused
   * @throws EngineError `storage_full`, `storage_failed`, the failure that stopped the journal
   */
  makeRoom(bytes: number, adds: boolean): void {
    if (this.text.length + this.partBytes > TURN_BYTES) {
      this.flush();
      this.check();
    }
    const end = this.segment.position + this.text.length + this.partBytes + bytes;
    const ahead = Math.min(Math.max(end, LEAST_AHEAD_BYTES), MOST_AHEAD_BYTES);
    const needed = end + ahead * RESERVE;
    if (this.allocated >= needed) return;
    try {
      this.allocate(end + ahead);
    } catch (error) {
      // The part that was allocated may be enough.
      if (this.allocated < (adds ? needed : end)) throw failureOf(error);
    }
  }

  private allocate(end: number): void {
    const { file } = this.segment;
    try {
      while (this.allocated < end) {
        const length = Math.min(ZEROS.length, end - this.allocated);
        this.disk.write(file, ZEROS, length, this.allocated);
        this.allocated += length;
      }
    } catch (error) {
      // A part may have been written.
      this.allocated = Math.max(this.allocated, this.disk.size(file));
      throw error;
    }
  }

  // Frames.

  /** Writes the changes so far. */
  flush(): void {
    if (this.text === '' || this.failure !== undefined) return;
    this.writeFrame();
    this.restIfWanted();
  }

  /** Lets a new segment begin, if one is wanted and no fsync runs; writes all changes before. */
  restIfWanted(): void {
    if (this.isSyncing || this.failure !== undefined) return;
    if (this.owner.wantsRest()) {
      if (this.text !== '') this.writeFrame();
      if (this.failure === undefined) this.owner.rest();
    }
    // A new segment has synced them, unless it could not begin.
    if (this.waiting.length > 0) this.startSync();
  }

  private writeFrame(): void {
    const { segment, turn, text, parts } = this;
    this.text = '';
    this.parts = [];
    this.partBytes = 0;
    this.turn = undefined;
    const frame = segment.builder.frame(FRAME.records, segment.frames + 1, this.synced, text, parts);
    try {
      this.disk.write(segment.file, frame, frame.length, segment.position);
    } catch (error) {
      this.undo(present(turn), failureOf(error));
      return;
    }
    segment.position += frame.length;
    segment.frames += 1;
    this.written += frame.length;
    this.allocated = Math.max(this.allocated, segment.position);
    this.promise(present(turn));
  }

  /** Undoes a frame that could not be written, and its changes. */
  private undo(turn: Turn, failure: EngineError): void {
    try {
      this.disk.truncate(this.segment.file, this.segment.position);
      this.allocated = this.segment.position;
      this.owner.readBack();
    } catch (error) {
      this.stop(failureOf(error));
    }
    turn.reject(this.failure ?? failure);
    if (this.last === turn) this.last = this.waiting.at(-1) ?? this.syncing.at(-1);
  }

  /** Answers the callers of a turn as soon as the promise of the mode holds. */
  private promise(turn: Turn): void {
    const now = performance.now();
    this.unsyncedSince ??= now;
    if (this.mode === 'always') {
      this.waiting.push(turn);
      return;
    }
    const ageMs = now - (this.syncingSince ?? this.unsyncedSince);
    if (this.mode === 'everysec' && ageMs > MAX_UNSYNCED_MS) this.waiting.push(turn);
    else this.resolve(turn);
    if (this.mode === 'everysec') this.syncSoon(now - this.unsyncedSince);
  }

  private resolve(turn: Turn): void {
    if (this.last === turn) this.last = undefined;
    turn.resolve();
  }

  // The medium.

  private syncSoon(ageMs: number): void {
    if (ageMs > SYNC_EVERY_MS) this.startSync();
    else this.timer ??= setTimeout(() => this.startSync(), SYNC_EVERY_MS).unref();
  }

  private startSync(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.isSyncing || this.unsyncedSince === undefined || this.failure !== undefined) return;
    this.isSyncing = true;
    this.syncingSince = this.unsyncedSince;
    this.unsyncedSince = undefined;
    const { file, position } = this.segment;
    this.syncing = this.waiting;
    this.waiting = [];
    this.disk.syncLater(file, (error) => this.endSync(error, position));
  }

  private endSync(error: Error | null, position: number): void {
    this.isSyncing = false;
    this.syncingSince = undefined;
    if (error !== null) this.stop(failureOf(error));
    if (this.failure !== undefined) return;
    this.synced = position;
    const { syncing } = this;
    this.syncing = [];
    for (const turn of syncing) this.resolve(turn);
    this.restIfWanted();
  }

  /** Syncs the segment and cuts off what was allocated ahead. Only while no write is pending. */
  endSegment(): void {
    const { file, position } = this.segment;
    this.disk.truncate(file, position);
    this.disk.sync(file);
  }

  /** Continues in another segment; this one must have ended. */
  goOnIn(next: OpenFile): void {
    this.disk.close(this.segment.file);
    this.segment = next;
    this.synced = next.position;
    this.allocated = next.position;
    this.unsyncedSince = undefined;
    const { waiting } = this;
    this.waiting = [];
    for (const turn of waiting) this.resolve(turn);
  }

  /** The number of the segment. */
  get number(): number {
    return this.segment.number;
  }

  get position(): number {
    return this.segment.position;
  }

  // The end.

  /** Stops the journal for good, because the state of the disk is unknown. */
  stop(failure: EngineError): void {
    if (this.failure !== undefined) return;
    this.failure = failure;
    clearTimeout(this.timer);
    for (const turn of [...this.syncing, ...this.waiting]) turn.reject(failure);
    this.turn?.reject(failure);
    this.syncing = [];
    this.waiting = [];
    this.last = undefined;
    this.owner.stopped(failure);
  }

  /** @throws the failure that stopped the journal */
  check(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  /**
   * Writes all changes so far, and puts them on the medium whatever the mode promises.
   * @throws the failure that stopped the journal
   */
  async sync(): Promise<void> {
    await this.rested();
    this.startSync();
    await this.rested();
    // It may have been closed meanwhile.
    if (!this.isSealed) this.check();
  }

  /** Writes all changes so far, and resolves when no answer and no fsync is pending. */
  private async rested(): Promise<void> {
    this.flush();
    while (this.last !== undefined) await this.last.done.catch(() => undefined);
    while (this.isSyncing) await new Promise<void>((resolve) => setImmediate(resolve));
  }

  /**
   * Writes and syncs everything, and closes the file. A journal that had stopped before is only closed: its owner knows.
   * @throws EngineError `storage_failed`, `storage_full`
   */
  async close(): Promise<void> {
    const known = this.failure;
    await this.rested();
    if (this.failure === undefined) {
      try {
        this.seal();
        this.owner.sealed();
        this.isSealed = true;
      } catch (error) {
        this.stop(failureOf(error));
      }
    }
    const { failure } = this;
    this.abandon();
    if (failure !== undefined && failure !== known) throw failure;
  }

  /**
   * Writes an end frame, which marks everything before as synced, so that damage there is not taken for a torn tail.
   */
  private seal(): void {
    const { file, position, frames, builder } = this.segment;
    this.disk.truncate(file, position);
    this.disk.sync(file);
    try {
      const end = builder.frame(FRAME.end, frames + 1, position, '', []);
      this.disk.write(file, end, end.length, position);
      this.disk.sync(file);
    } catch {
      // Without the end frame nothing promised is lost; a partial one is a torn tail.
    }
  }

  /** Closes the file as it is. */
  abandon(): void {
    clearTimeout(this.timer);
    this.failure ??= new EngineError('backend_closed', 'The embedded backend is closed.');
    this.disk.close(this.segment.file);
  }
}

/**
 * A disk in memory that can be full, stop after any byte, and lose power: then any part of the writes since the last
 * fsync is there.
 */
import { present } from '../../../model/core/present.js';
import type { Disk } from '../../embedded/disk.js';

/** A page of the medium: a write to it is there as a whole, or not at all. */
const PAGE_BYTES = 512;

type Change =
  | { readonly at: number; readonly bytes: Buffer }
  /** The file ends here. */
  | { readonly size: number };

/** Contents of a file that grows. */
class Content {
  bytes = Buffer.alloc(0);
  size = 0;

  apply(change: Change): void {
    if ('size' in change) this.resize(change.size);
    else {
      if (change.at + change.bytes.length > this.size) this.resize(change.at + change.bytes.length);
      change.bytes.copy(this.bytes, change.at);
    }
  }

  private resize(size: number): void {
    if (size > this.bytes.length) {
      const larger = Buffer.alloc(Math.max(size, this.bytes.length * 2));
      this.bytes.copy(larger, 0, 0, this.size);
      this.bytes = larger;
    }
    if (size < this.size) this.bytes.fill(0, size, this.size);
    this.size = size;
  }

  copy(): Content {
    const copy = new Content();
    copy.apply({ at: 0, bytes: Buffer.from(this.bytes.subarray(0, this.size)) });
    copy.size = this.size;
    return copy;
  }
}

class File {
  now = new Content();
  onMedium = new Content();
  unsynced: Change[] = [];

  copy(): File {
    const copy = new File();
    copy.now = this.now.copy();
    copy.onMedium = this.onMedium.copy();
    copy.unsynced = [...this.unsynced];
    return copy;
  }

  change(change: Change): void {
    this.now.apply(change);
    this.unsynced.push(change);
  }

  sync(): void {
    for (const change of this.unsynced) this.onMedium.apply(change);
    this.unsynced = [];
  }
}

/** A kind of change that can fail. */
export type DiskChange = 'create' | 'write' | 'truncate' | 'sync' | 'rename' | 'remove';

/** A removed name, and a file that takes a name. */
interface NameChange {
  readonly goes?: string;
  readonly comes?: { readonly path: string; readonly file: File };
}

function applyTo(names: Map<string, File>, { goes, comes }: NameChange): void {
  if (goes !== undefined) names.delete(goes);
  if (comes !== undefined) names.set(comes.path, comes.file);
}

/** The disk stopped: nothing can be done with it any more. */
export class DiskStopped extends Error {
  override readonly name = 'DiskStopped';
}

function fault(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: the disk said so`), { code });
}

export interface SimulatedDiskOptions {
  /** Capacity of all files together, bytes. Default unlimited. */
  readonly capacity?: number;
}

export class SimulatedDisk implements Disk {
  /** Bytes written and other changes made so far: the points at which it can stop. */
  done = 0;
  /** Stops after this many changes. */
  stopAt = Number.POSITIVE_INFINITY;
  capacity: number;
  /** Asked before a change: the code of its error, or undefined. A write that fails has written its first half. */
  faultOf: (change: DiskChange, bytes: number) => string | undefined = () => undefined;
  /** The error of every fsync while set. */
  syncsFail: string | undefined;
  private names = new Map<string, File>();
  private namesOnMedium = new Map<string, File>();
  private nameChanges: NameChange[] = [];
  private readonly handles = new Map<number, File>();
  private nextFile = 3;
  private isStopped = false;
  private tellStopped!: () => void;
  /** Resolves when it stops: an fsync under way is never answered. */
  readonly stopped = new Promise<void>((resolve) => (this.tellStopped = resolve));

  constructor({ capacity = Number.POSITIVE_INFINITY }: SimulatedDiskOptions = {}) {
    this.capacity = capacity;
  }

  private get used(): number {
    let used = 0;
    for (const { now } of this.names.values()) used += now.size;
    return used;
  }

  /** One change: counts, unless the disk stops before it. */
  private step(): void {
    if (this.isStopped) throw new DiskStopped('The disk has stopped.');
    if (this.done >= this.stopAt) this.stop();
    this.done += 1;
  }

  private failIfFaulty(change: DiskChange): void {
    const code = this.faultOf(change, 0);
    if (code !== undefined) throw fault(code);
  }

  /** Stops now, as for a process that is killed. */
  stop(): never {
    this.halt();
    throw new DiskStopped('The disk stops here.');
  }

  /** Stops for its current user; its files are available from `afterKill` or `afterPowerLoss`. */
  halt(): void {
    this.isStopped = true;
    this.tellStopped();
  }

  private file(file: number): File {
    const found = this.handles.get(file);
    if (found === undefined) throw fault('EBADF');
    return found;
  }

  makeFolder(): void {
    if (this.isStopped) throw new DiskStopped('The disk has stopped.');
  }

  list(folder: string): readonly string[] {
    return [...this.names.keys()]
      .filter((path) => path.startsWith(`${folder}/`))
      .map((path) => path.slice(folder.length + 1));
  }

  private changeNames(change: NameChange): void {
    applyTo(this.names, change);
    this.nameChanges.push(change);
  }

  create(path: string): number {
    if (this.names.has(path)) throw fault('EEXIST');
    this.failIfFaulty('create');
    this.step();
    const file = new File();
    this.changeNames({ comes: { path, file } });
    return this.opened(file);
  }

  open(path: string): number {
    if (this.isStopped) throw new DiskStopped('The disk has stopped.');
    const file = this.names.get(path);
    if (file === undefined) throw fault('ENOENT');
    return this.opened(file);
  }

  private opened(file: File): number {
    const number = this.nextFile++;
    this.handles.set(number, file);
    return number;
  }

  close(file: number): void {
    this.handles.delete(file);
  }

  size(file: number): number {
    return this.file(file).now.size;
  }

  read(file: number, into: Uint8Array, length: number, position: number): number {
    if (this.isStopped) throw new DiskStopped('The disk has stopped.');
    const { bytes, size } = this.file(file).now;
    const end = Math.min(size, position + length);
    if (end <= position) return 0;
    into.set(bytes.subarray(position, end));
    return end - position;
  }

  write(file: number, from: Uint8Array, length: number, position: number): void {
    if (this.isStopped) throw new DiskStopped('The disk has stopped.');
    const code = this.faultOf('write', length);
    if (code !== undefined) length = Math.floor(length / 2);
    const target = this.file(file);
    const grows = Math.max(0, position + length - target.now.size);
    const room = this.capacity - this.used;
    const fits = grows <= room ? length : Math.max(0, target.now.size + room - position);
    const lives = Math.min(fits, this.stopAt - this.done);
    if (lives > 0) target.change({ at: position, bytes: Buffer.from(from.subarray(0, lives)) });
    this.done += lives;
    if (lives < fits) this.stop();
    if (fits < length) throw fault('ENOSPC');
    if (code !== undefined) throw fault(code);
  }

  truncate(file: number, size: number): void {
    const target = this.file(file);
    if (target.now.size === size) return;
    this.failIfFaulty('truncate');
    this.step();
    target.change({ size });
  }

  sync(file: number): void {
    this.step();
    if (this.syncsFail !== undefined) throw fault(this.syncsFail);
    this.failIfFaulty('sync');
    this.file(file).sync();
  }

  syncLater(file: number, done: (error: Error | null) => void): void {
    const target = this.file(file);
    // Writes during an fsync need not be on the medium when it ends.
    const { length } = target.unsynced;
    setImmediate(() => {
      if (this.isStopped) return;
      try {
        this.step();
      } catch {
        return;
      }
      const code = this.syncsFail ?? this.faultOf('sync', 0);
      if (code !== undefined) {
        done(fault(code));
        return;
      }
      for (const change of target.unsynced.splice(0, length)) target.onMedium.apply(change);
      done(null);
    });
  }

  syncFolder(): void {
    this.failIfFaulty('sync');
    this.step();
    for (const change of this.nameChanges) applyTo(this.namesOnMedium, change);
    this.nameChanges = [];
  }

  rename(from: string, to: string): void {
    const file = this.names.get(from);
    if (file === undefined) throw fault('ENOENT');
    this.failIfFaulty('rename');
    this.step();
    this.changeNames({ goes: from, comes: { path: to, file } });
  }

  remove(path: string): void {
    if (!this.names.has(path)) throw fault('ENOENT');
    this.failIfFaulty('remove');
    this.step();
    this.changeNames({ goes: path });
  }

  /** The files as the next process finds them: writes that are not on the medium may still be lost later. */
  afterKill(): SimulatedDisk {
    const copies = new Map<File, File>();
    const copyOf = (file: File): File => {
      const copy = copies.get(file) ?? file.copy();
      copies.set(file, copy);
      return copy;
    };
    const disk = new SimulatedDisk();
    for (const [path, file] of this.names) disk.names.set(path, copyOf(file));
    for (const [path, file] of this.namesOnMedium) disk.namesOnMedium.set(path, copyOf(file));
    disk.nameChanges = this.nameChanges.map(({ goes, comes }) => ({
      ...(goes === undefined ? {} : { goes }),
      ...(comes === undefined ? {} : { comes: { path: comes.path, file: copyOf(comes.file) } }),
    }));
    return disk;
  }

  /**
   * The files after a loss of power.
   * @param random a number from 0 up to 1
   */
  afterPowerLoss(random: () => number): SimulatedDisk {
    const names = new Map(this.namesOnMedium);
    const count = Math.floor(random() * (this.nameChanges.length + 1));
    for (const change of this.nameChanges.slice(0, count)) applyTo(names, change);
    return this.with([...names].map(([path, file]) => [path, afterLoss(file, random)]));
  }

  private with(files: readonly (readonly [string, Content])[]): SimulatedDisk {
    const disk = new SimulatedDisk();
    for (const [path, content] of files) {
      const file = new File();
      file.change({ at: 0, bytes: Buffer.from(content.bytes.subarray(0, content.size)) });
      file.sync();
      disk.names.set(path, file);
      disk.namesOnMedium.set(path, file);
    }
    return disk;
  }

  /** The bytes of a file; changing them changes the file. */
  bytesOf(path: string): Buffer {
    const { bytes, size } = present(this.names.get(path)).now;
    return bytes.subarray(0, size);
  }

  /** Paths of all files, in order. */
  get paths(): readonly string[] {
    return [...this.names.keys()].sort();
  }
}

/** The synced content, and any part of later writes: all of them, the first ones, or single pages. */
function afterLoss({ onMedium, unsynced }: File, random: () => number): Content {
  const content = onMedium.copy();
  const how = random();
  const share = random();
  const count = Math.floor(random() * (unsynced.length + 1));
  unsynced.forEach((change, index) => {
    if (how < 0.3 && index >= count) return;
    if (how >= 0.3 && random() > share) {
      if ('size' in change) return;
      // The file can have grown without the bytes written into it.
      if (random() < 0.5 && change.at + change.bytes.length > content.size)
        content.apply({ size: change.at + change.bytes.length });
      return;
    }
    if ('size' in change || how < 0.6) content.apply(change);
    else for (const page of pagesOf(change)) if (random() < share) content.apply(page);
  });
  return content;
}

function* pagesOf({ at, bytes }: { readonly at: number; readonly bytes: Buffer }): Generator<Change> {
  let from = 0;
  while (from < bytes.length) {
    const to = Math.min(bytes.length, from + PAGE_BYTES - ((at + from) % PAGE_BYTES));
    yield { at: at + from, bytes: bytes.subarray(from, to) };
    from = to;
  }
}

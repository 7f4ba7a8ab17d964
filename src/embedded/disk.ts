/**
 * The file operations of the journal; tests replace them, to stop after any byte. Errors are those of Node, with their
 * `code`.
 */
import * as fs from 'node:fs';
import { dirname, resolve } from 'node:path';

/** Only the user of the process may read the files. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

export interface Disk {
  /** Creates the folder and its parents, if missing. */
  makeFolder(path: string): void;
  /** Names in a folder, unordered. */
  list(folder: string): readonly string[];
  /** Creates an empty file. @throws `EEXIST` */
  create(path: string): number;
  /** Opens an existing file for reading and writing. */
  open(path: string): number;
  close(file: number): void;
  size(file: number): number;
  /** Reads into the buffer. @returns the number of bytes read */
  read(file: number, into: Uint8Array, length: number, position: number): number;
  /** Writes `length` bytes from the start of the buffer. */
  write(file: number, from: Uint8Array, length: number, position: number): void;
  truncate(file: number, size: number): void;
  /** Returns when written data is on the medium. */
  sync(file: number): void;
  /** The same, asynchronously. */
  syncLater(file: number, done: (error: Error | null) => void): void;
  /** Returns when the names in the folder are on the medium too. */
  syncFolder(folder: string): void;
  /** Renames a file, and replaces a file of the new name. */
  rename(from: string, to: string): void;
  remove(path: string): void;
}

/** Writes all bytes, because one call of the operating system may write only a part. */
function writeAll(file: number, from: Uint8Array, length: number, position: number): void {
  let written = 0;
  while (written < length) written += fs.writeSync(file, from, written, length - written, position + written);
}

function syncFolder(folder: string): void {
  let file: number;
  try {
    file = fs.openSync(folder, 'r');
  } catch (error) {
    // Windows cannot open folders, and stores names by itself.
    if (process.platform === 'win32') return;
    throw error;
  }
  try {
    fs.fsyncSync(file);
  } finally {
    fs.closeSync(file);
  }
}

/**
 * Creates a folder after its parents. Node's own recursive creation never returns in Node 20 on file systems without
 * folder creation, like `/proc`.
 */
function makeFolder(path: string): void {
  if (isFolder(path)) return;
  const above = dirname(path);
  if (above !== path) makeFolder(above);
  try {
    fs.mkdirSync(path, FOLDER_MODE);
  } catch (error) {
    // Another process created it meanwhile.
    if (isFolder(path)) return;
    throw error;
  }
  syncFolder(above);
}

const isFolder = (path: string): boolean => fs.statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** The disk of this machine. */
export const nodeDisk: Disk = {
  makeFolder: (path) => makeFolder(resolve(path)),
  list: (folder) => fs.readdirSync(folder),
  create: (path) => fs.openSync(path, 'wx+', FILE_MODE),
  open: (path) => fs.openSync(path, 'r+'),
  close: (file) => fs.closeSync(file),
  size: (file) => fs.fstatSync(file).size,
  read: (file, into, length, position) => fs.readSync(file, into, 0, length, position),
  write: writeAll,
  truncate: (file, size) => fs.ftruncateSync(file, size),
  sync: (file) => fs.fdatasyncSync(file),
  syncLater: (file, done) => fs.fdatasync(file, done),
  syncFolder,
  rename: (from, to) => fs.renameSync(from, to),
  remove: (path) => fs.unlinkSync(path),
};

/** The disk, with a check before everything that it does to files. */
export function checkedDisk(disk: Disk, check: () => void): Disk {
  const checked =
    <Args extends unknown[], Result>(call: (...args: Args) => Result) =>
    (...args: Args): Result => {
      check();
      return call(...args);
    };
  const { create, read, write, truncate, rename, remove } = disk;
  return {
    ...disk,
    create: checked(create),
    read: checked(read),
    write: checked(write),
    truncate: checked(truncate),
    rename: checked(rename),
    remove: checked(remove),
  };
}

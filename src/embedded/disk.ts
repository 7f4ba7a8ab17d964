/**
 * What the journal needs of an operating system, so that a test can stop it after any byte. Errors are those of Node,
 * with their `code`.
 */
import * as fs from 'node:fs';
import { dirname, resolve } from 'node:path';

/** Only the user of the process may read what is stored. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

export interface Disk {
  /** Makes the folder, and those above it, if it is not there. */
  makeFolder(path: string): void;
  /** Names in a folder, in no order. */
  list(folder: string): readonly string[];
  /** Makes an empty file. @throws `EEXIST` */
  create(path: string): number;
  /** Opens a file that is there, for reading and writing. */
  open(path: string): number;
  close(file: number): void;
  size(file: number): number;
  /** Reads into the buffer; answers how many bytes there were. */
  read(file: number, into: Uint8Array, length: number, position: number): number;
  /** Writes all of `length` bytes from the start of the buffer. */
  write(file: number, from: Uint8Array, length: number, position: number): void;
  truncate(file: number, size: number): void;
  /** Returns when what was written is on the medium. */
  sync(file: number): void;
  /** The same without waiting. */
  syncLater(file: number, done: (error: Error | null) => void): void;
  /** Returns when the names in the folder are on the medium. */
  syncFolder(folder: string): void;
  /** Gives a file another name, in the place of what had that name. */
  rename(from: string, to: string): void;
  remove(path: string): void;
}

/** Writes all of it: the operating system may take a part of it and then have no room for the rest. */
function writeAll(file: number, from: Uint8Array, length: number, position: number): void {
  let written = 0;
  while (written < length) written += fs.writeSync(file, from, written, length - written, position + written);
}

function syncFolder(folder: string): void {
  let file: number;
  try {
    file = fs.openSync(folder, 'r');
  } catch (error) {
    // Windows does not open folders, and keeps names by itself.
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
 * Makes a folder, and those above it first. Node does that too, and on file systems that take no folders, like `/proc`,
 * Node 20 tries for ever.
 */
function makeFolder(path: string): void {
  if (isFolder(path)) return;
  const above = dirname(path);
  if (above !== path) makeFolder(above);
  try {
    fs.mkdirSync(path, FOLDER_MODE);
  } catch (error) {
    // Another process made it meanwhile.
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

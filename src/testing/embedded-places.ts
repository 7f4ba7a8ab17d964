/** Where an embedded backend under test has its files. */
import { rmSync } from 'node:fs';
import type { Backend } from '../backend/backend.js';
import { embedded, openOn, type EmbeddedOptions } from '../embedded/backend.js';
import { SimulatedDisk } from './simulation/disk.js';

export interface Place {
  open(): Promise<Backend>;
  /** The files after the death of the process. */
  died(): void;
  remove(): void;
}

type PlaceOptions = Omit<EmbeddedOptions, 'path' | 'fsync'>;

/** On a disk in memory. */
export function onSimulatedDisk(options: PlaceOptions): Place {
  let disk = new SimulatedDisk();
  return {
    open: async () => openOn(disk, { ...options, path: 'store', fsync: 'never' }),
    died() {
      disk.halt();
      disk = disk.afterKill();
    },
    remove() {
      disk = new SimulatedDisk();
    },
  };
}

/** In a folder, which is removed at the end. */
export const inFolder = (path: string, options: PlaceOptions): Place => ({
  open: () => embedded({ ...options, path, fsync: 'never' }),
  died: () => undefined,
  remove: () => rmSync(path, { recursive: true, force: true }),
});

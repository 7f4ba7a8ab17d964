/** Files that are damaged at random: the store says so, or what it gives back was stored once. */
import { expect, test } from 'vitest';
import { EngineError } from '../../model/errors.js';
import { abandon, compact } from '../../src/embedded/backend.js';
import { seededRandom, SimulatedDisk } from '../../src/testing/simulation/index.js';
import { openStore, scriptOf, type Script } from './script.js';

type Files = ReadonlyMap<string, Buffer>;

interface Stored {
  readonly script: Script;
  readonly files: Files;
}

/** A store that was closed or killed, with a snapshot or without. */
async function storedBy(seed: number, isClosed: boolean, hasSnapshot: boolean): Promise<Stored> {
  const script = await scriptOf(seed, 16);
  const disk = new SimulatedDisk();
  const store = openStore(disk, script, { fsync: 'always' });
  for (const [index, turn] of script.turns.entries()) {
    await store.turn(turn);
    if (hasSnapshot && index === 8) await compact(store.backend);
  }
  if (isClosed) await store.backend.close();
  else abandon(store.backend);
  const found = disk.afterKill();
  return { script, files: new Map(found.paths.map((path) => [path, Buffer.from(found.bytesOf(path))])) };
}

function diskWith(files: Files): SimulatedDisk {
  const disk = new SimulatedDisk();
  for (const [path, bytes] of files) disk.write(disk.create(path), bytes, bytes.length, 0);
  return disk;
}

/** Damages a part of a file that is not the room taken ahead behind its frames. */
const DAMAGES: Readonly<Record<string, (bytes: Buffer, at: number, length: number, random: () => number) => Buffer>> = {
  'a flipped bit': (bytes, at, _length, random) => {
    bytes[at] = (bytes[at] as number) ^ (1 << Math.floor(random() * 8));
    return bytes;
  },
  'zeros in it': (bytes, at, length) => bytes.fill(0, at, at + length),
  'a cut end': (bytes, at) => bytes.subarray(0, at),
  'a part less': (bytes, at, length) => Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]),
  'a part twice': (bytes, at, length) => Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]),
  'noise in it': (bytes, at, length, random) =>
    Buffer.concat([
      bytes.subarray(0, at),
      Buffer.from(Array.from({ length }, () => Math.floor(random() * 256))),
      bytes.subarray(at),
    ]),
};

test.each(Object.keys(DAMAGES))('a file with %s', async (name) => {
  const random = seededRandom(name.length);
  const stores = [await storedBy(1, true, false), await storedBy(2, false, true), await storedBy(3, true, true)];
  const whole: number[] = [];
  for (let round = 0; round < 60; round++) {
    const { script, files } = stores[round % stores.length] as Stored;
    const paths = [...files.keys()].filter((each) => files.get(each)?.length !== 0);
    const path = paths[Math.floor(random() * paths.length)] as string;
    const bytes = Buffer.from(files.get(path) as Buffer);
    const used = bytes.length - [...bytes].reverse().findIndex((byte) => byte !== 0);
    const at = Math.floor(random() * used);
    const damage = DAMAGES[name] as (typeof DAMAGES)[string];
    const damaged = damage(bytes, at, 1 + Math.floor(random() * Math.min(400, used - at)), random);
    try {
      const store = openStore(diskWith(new Map([...files, [path, damaged]])), script, {}, script.turns.at(-1)?.at);
      const state = script.states.lastIndexOf(store.state());
      abandon(store.backend);
      expect(state, `${path}, byte ${at}`).toBeGreaterThanOrEqual(0);
      whole.push(state);
    } catch (error) {
      expect(error, `${path}, byte ${at}`).toBeInstanceOf(EngineError);
      expect(['corruption', 'library_mismatch'], String(error)).toContain((error as EngineError).code);
    }
  }
  // Most of a store is promised.
  expect(whole.length).toBeLessThan(30);
});

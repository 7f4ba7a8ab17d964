/** Files of a store that are removed or cut, one at a time and in pairs: the store is refused, or loses nothing in silence. */
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { EngineError } from '../../model/errors.js';
import { embedded, type Backend } from '../../src/index.js';
import { abandon, compact } from '../../src/embedded/backend.js';
import { openingFailureOf } from '../../src/embedded/failures.js';
import { SimulatedDisk } from '../../src/testing/simulation/index.js';
import { openStore, scriptOf, type Script } from './script.js';

interface Stored {
  readonly script: Script;
  readonly disk: SimulatedDisk;
}

/** Stores as they are left: before the first snapshot, while one is written, and behind it; closed, or killed. */
const STORES: Readonly<Record<string, () => Promise<Stored>>> = {
  'a killed one': () => stored({ isClosed: false }),
  'a closed one': () => stored({ isClosed: true }),
  'one killed during a snapshot': () => stored({ isClosed: false, snapshot: 'begun' }),
  'a killed one with a snapshot': () => stored({ isClosed: false, snapshot: 'done' }),
  'a closed one with a snapshot': () => stored({ isClosed: true, snapshot: 'done' }),
};

async function stored({ isClosed, snapshot }: { isClosed: boolean; snapshot?: 'begun' | 'done' }): Promise<Stored> {
  const script = await scriptOf(4, 14);
  const disk = new SimulatedDisk();
  const store = openStore(disk, script, { fsync: 'always' });
  for (const [index, turn] of script.turns.entries()) {
    await store.turn(turn);
    if (index !== 7 || snapshot === undefined) continue;
    const done = compact(store.backend);
    if (snapshot === 'done') await done;
    else {
      done.catch(() => undefined);
      abandon(store.backend);
      return { script, disk: disk.afterKill() };
    }
  }
  if (isClosed) await store.backend.close();
  else abandon(store.backend);
  return { script, disk: disk.afterKill() };
}

type Loss = (disk: SimulatedDisk, path: string) => void;

const cutTo =
  (share: number): Loss =>
  (disk, path) => {
    const file = disk.open(path);
    disk.truncate(file, Math.floor(disk.size(file) * share));
    disk.close(file);
  };

const LOSSES: Readonly<Record<string, Loss>> = {
  removed: (disk, path) => disk.remove(path),
  'cut to nothing': cutTo(0),
  'cut in half': cutTo(0.5),
};

/** Opens the store. @returns its error; undefined if it lost nothing, or said so */
function outcomeOf({ script, disk }: Stored): EngineError | undefined {
  let store: ReturnType<typeof openStore>;
  try {
    store = openStore(disk, script, {}, script.turns.at(-1)?.at);
  } catch (error) {
    return error as EngineError;
  }
  const notices: string[] = [];
  store.backend.onNotice?.((notice) => notices.push(notice.code));
  const state = script.states.lastIndexOf(store.state());
  abandon(store.backend);
  expect(state, 'a state that never was').toBeGreaterThanOrEqual(0);
  if (!notices.includes('storage_tail_cut')) expect(state, 'lost in silence').toBeGreaterThanOrEqual(7);
  return undefined;
}

describe.each(Object.keys(STORES))('%s', (name) => {
  const make = STORES[name] as () => Promise<Stored>;

  test('opens without a fault', async () => {
    expect(outcomeOf(await make())).toBeUndefined();
  });

  test('is refused without any file that it needs, and no file is created', async () => {
    const { script, disk } = await make();
    const paths = [...disk.paths];
    for (const first of paths)
      for (const second of paths)
        for (const [how, lose] of Object.entries(LOSSES))
          for (const [alsoHow, alsoLose] of Object.entries(LOSSES)) {
            const damaged = disk.afterKill();
            lose(damaged, first);
            if (second !== first) alsoLose(damaged, second);
            const left = [...damaged.paths];
            // Nothing tells of a store of which nothing is left.
            if (left.length === 0) continue;
            const error = outcomeOf({ script, disk: damaged });
            if (error === undefined) continue;
            const what = `${first} ${how}, ${second} ${alsoHow}`;
            expect(error.code, what).toBe('corruption');
            expect(error.message, what).toMatch(/\d{8}\.(journal|snapshot)|store\.mark/);
            expect([...damaged.paths], what).toEqual(left);
          }
  });
});

const inFolder = async (act: (path: string) => Promise<void>): Promise<void> => {
  const path = mkdtempSync(join(tmpdir(), 'flowfabric-missing-'));
  await act(path).finally(() => rmSync(path, { recursive: true, force: true }));
};

describe('a closed store whose only journal was removed', () => {
  const creation = () => ({
    executionId: `{fp:0}:${randomUUID()}`,
    ...{ namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'test' },
  });
  const closed = async (path: string, act: (backend: Backend) => Promise<unknown>): Promise<void> => {
    const backend = await embedded({ path });
    await act(backend);
    await backend.close();
  };

  const HELD: readonly (readonly [string, (backend: Backend) => Promise<unknown>])[] = [
    ['an execution', (backend) => backend.createExecution(creation())],
    ['settings', (backend) => backend.configureDeployment({ retentionMs: 5 })],
  ];

  test.each(HELD)('is refused if it has held data: %s', (_, act) =>
    inFolder(async (path) => {
      await closed(path, act);
      for (let count = 0; count < 2; count++) await closed(path, () => Promise.resolve());
      unlinkSync(join(path, '00000001.journal'));
      for (let tries = 0; tries < 2; tries++)
        await expect(embedded({ path })).rejects.toThrow(/^corruption: .*journal is missing.*"store.mark"/);
      expect(readdirSync(path)).toEqual(['store.mark']);
      unlinkSync(join(path, 'store.mark'));
      await (await embedded({ path })).close();
    }),
  );

  test.each(HELD)('is refused if a killed process had stored data, and this one added nothing: %s', (_, act) =>
    inFolder(async (path) => {
      const killed = await embedded({ path });
      await act(killed);
      abandon(killed);
      await closed(path, () => Promise.resolve());
      unlinkSync(join(path, '00000001.journal'));
      await expect(embedded({ path })).rejects.toThrow(/^corruption: .*journal is missing/);
    }),
  );

  test('is a new store if it has held none', () =>
    inFolder(async (path) => {
      await closed(path, () => Promise.resolve());
      unlinkSync(join(path, '00000001.journal'));
      await (await embedded({ path })).close();
    }));
});

describe('a folder in which only the lock of a killed process is left', () => {
  /** Opens and closes a store, and puts the lock of a killed process into its folder. */
  const leaveLock = async (path: string): Promise<void> => {
    const backend = await embedded({ path });
    const holder = JSON.parse(readFileSync(join(path, 'lock'), 'utf8')) as object;
    await backend.close();
    const { pid } = spawnSync(process.execPath, ['--eval', '']);
    writeFileSync(join(path, 'lock'), JSON.stringify({ ...holder, pid }));
  };

  test('is not a new store: its journal was removed', () =>
    inFolder(async (path) => {
      await leaveLock(path);
      unlinkSync(join(path, '00000001.journal'));
      for (let tries = 0; tries < 2; tries++)
        await expect(embedded({ path })).rejects.toThrow(
          /^corruption: .*the journal is missing.*remove the file "lock"/,
        );
      expect(readdirSync(path)).toEqual(['lock']);
      unlinkSync(join(path, 'lock'));
      await (await embedded({ path })).close();
    }));

  test('is a new store if that process died before it had created one', () =>
    inFolder(async (path) => {
      await leaveLock(path);
      unlinkSync(join(path, '00000001.journal'));
      const holder = JSON.parse(readFileSync(join(path, 'lock'), 'utf8')) as object;
      writeFileSync(join(path, 'lock'), JSON.stringify({ ...holder, opened: 0 }));
      await (await embedded({ path })).close();
      expect(readdirSync(path)).toEqual(['00000001.journal']);
    }));

  test('and an unfinished first segment is a store that was being created', () =>
    inFolder(async (path) => {
      await leaveLock(path);
      renameSync(join(path, '00000001.journal'), join(path, '00000001.journal.new'));
      await (await embedded({ path })).close();
      expect(readdirSync(path)).toEqual(['00000001.journal']);
    }));
});

test.each(['EACCES', 'ERR_ACCESS_DENIED', 'ENOTDIR'])(
  'a folder that cannot be used (%s) is refused for good',
  (code) => {
    const refusal = openingFailureOf(Object.assign(new Error(code), { code }), '/data');
    expect(refusal).toMatchObject({ code: 'invalid_input', retryable: false, detail: { field: 'path' } });
  },
);

test('no store is created among other files; hidden ones, and what a file system has in its root, are none', () =>
  inFolder(async (path) => {
    writeFileSync(join(path, '.gitkeep'), '');
    mkdirSync(join(path, 'lost+found'));
    writeFileSync(join(path, 'package.json'), '{}');
    const error = await embedded({ path }).then(String, (reason: EngineError) => reason);
    expect(error).toMatchObject({ code: 'invalid_input', retryable: false, detail: { field: 'path' } });
    expect(String(error)).toContain('holds other files, such as "package.json"');
    expect(readdirSync(path).sort()).toEqual(['.gitkeep', 'lost+found', 'package.json']);
    unlinkSync(join(path, 'package.json'));
    await (await embedded({ path })).close();
    // A store that exists stays usable, whatever else comes into its folder.
    writeFileSync(join(path, 'notes.txt'), '');
    await (await embedded({ path })).close();
  }));

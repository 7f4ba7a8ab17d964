/** What a scenario of users runs in: the store of one backend, and any number of apps on it. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { app, embedded, memory, valkey, type App, type AppOptions, type Backend } from '../../../src/index.js';
import { watchLateness } from '../../support/lateness.js';
import { sharedValkey } from '../../support/valkey/index.js';

export type BackendName = 'memory' | 'embedded' | 'valkey';

/** The bound of everything that users expect at once, on every backend. */
const SOON_MS = 2_000;
/** Timers count from the start of the turn in which they are set, which a busy machine makes long. */
const EARLY_MS = 20;

/** By how much a busy machine has made everything longer since the scenario began, ms. */
let lateMs: () => number = () => 0;

/** The time that something may take at most, ms: longer on a machine that was busy since `lateBefore`. */
export const soon = (lateBefore = 0): number => SOON_MS + lateMs() - lateBefore;

export interface World {
  /** Another app on the store of the scenario, which it leaves open by default. On a server it has its own connection. */
  open(options?: Omit<AppOptions, 'backend'>): Promise<App>;
}

export interface Scenario {
  /** What users are promised. */
  readonly name: string;
  /** How many partitions the deployment has. Default: as many as the backend has by itself. */
  readonly partitions?: number;
  /** What it returns must be the same on every backend, apart from ids and times. */
  readonly run: (world: World) => Promise<unknown>;
}

/** Runs a scenario on a new store, and closes whatever it opened. */
export async function play({ run, partitions }: Scenario, on: BackendName): Promise<unknown> {
  const store = storeOf(on, partitions);
  const opened: App[] = [];
  lateMs = watchLateness();
  const backends = new Set<Backend>();
  try {
    const told = await run({
      open: async (options = {}) => {
        const backend = await store.backend();
        backends.add(backend);
        const made = app({ closeBackend: false, ...options, backend });
        opened.push(made);
        return made;
      },
    });
    return anonymous(told);
  } finally {
    await Promise.all(opened.map((each) => each.close({ timeout: 0 })));
    await Promise.all([...backends].map((each) => each.close()));
    await store.end();
  }
}

interface Store {
  readonly backend: () => Promise<Backend>;
  readonly end: () => Promise<void>;
}

function storeOf(on: BackendName, count: number | undefined): Store {
  const partitions = count === undefined ? {} : { partitions: { count } };
  if (on === 'valkey') {
    const prefix = `alike-${randomUUID()}:`;
    return {
      backend: async () => valkey({ url: (await sharedValkey()).url, prefix, ...partitions }),
      end: async () => undefined,
    };
  }
  let path: string | undefined;
  const opening = async (): Promise<Backend> => {
    if (on === 'memory') return memory(partitions);
    path = await mkdtemp(join(tmpdir(), 'alike-'));
    return embedded({ path, ...partitions });
  };
  let backend: Promise<Backend> | undefined;
  return {
    backend: () => (backend ??= opening()),
    end: async () => {
      if (path !== undefined) await rm(path, { recursive: true, force: true });
    },
  };
}

const ID = /(\{[a-z]+:[^}]*\}:)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const TIME = /\d{4}-\d\d-\d\dT[\d:.]+Z/g;
/** Numbers from here on are times of today. */
const FIRST_TIME = 1_600_000_000_000;

/** The value with ids replaced by the order in which they appear, and with times replaced by one word. */
function anonymous(value: unknown): unknown {
  const ids: string[] = [];
  const numbered = (id: string): string => {
    if (!ids.includes(id)) ids.push(id);
    return `id ${ids.indexOf(id) + 1}`;
  };
  const walk = (part: unknown): unknown => {
    if (typeof part === 'string') return part.replace(ID, numbered).replace(TIME, 'a time');
    if (typeof part === 'number') return part >= FIRST_TIME ? 'a time' : part;
    if (Array.isArray(part)) return part.map(walk);
    if (part === null || typeof part !== 'object' || part instanceof Uint8Array) return part;
    return Object.fromEntries(Object.entries(part).map(([name, member]) => [name, walk(member)]));
  };
  return walk(value);
}

/** What the promise gives, which must come soon: `least` is the time that it must take, `times` how many things it is. */
export async function within<T>(promise: PromiseLike<T>, least = 0, times = 1): Promise<T> {
  const [startedAt, lateBefore] = [performance.now(), lateMs()];
  const value = await promise;
  const tookMs = performance.now() - startedAt;
  expect(tookMs).toBeLessThan(least + times * soon(lateBefore));
  expect(tookMs).toBeGreaterThan(least - EARLY_MS - (lateMs() - lateBefore));
  return value;
}

/** What users see of an error: its class, its code, whether it can be tried again, and its words. */
export async function refusalOf(call: () => PromiseLike<unknown>): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    const { name, message, code, retryable } = error as Error & { code?: unknown; retryable?: unknown };
    return { name, code, retryable, message };
  }
  return 'nothing was refused';
}

/**
 * Says what a test leaves behind: timers, sockets, listeners of the process, subscriptions and connections on the server,
 * and keys there that only time would remove. Taken before the test, compared behind it.
 *
 * @example
 * const leaks = await leakCheck({ admin, prefix });
 * // ... the test ...
 * expect(await leaks.left()).toEqual([]);
 */
import { createHook } from 'node:async_hooks';
import type { Valkey } from 'iovalkey';

export interface LeakCheckOptions {
  /** A client of the server, past the backend; without it the server is not looked at. */
  readonly admin?: Valkey;
  /** What keys and channels of the test start with. Default everything on the server. */
  readonly prefix?: string;
  /** Keys that may expire: those that are meant to live on, such as idempotency keys. Default none. */
  readonly mayExpire?: RegExp;
  /** How long what is being closed may take, ms. Default 2 000. */
  readonly patienceMs?: number;
}

export interface LeakCheck {
  /** What is there now and was not there before, in words; empty when nothing is left. */
  left(): Promise<string[]>;
}

type Counts = ReadonlyMap<string, number>;

const DEFAULT_PATIENCE_MS = 2_000;
const LOOK_EVERY_MS = 20;
/** Resources of the process that a test can leave behind. */
const RESOURCES: ReadonlySet<string> = new Set(['Immediate', 'TCPSocketWrap', 'TCPServerWrap', 'PipeWrap']);

/** Looks at what is there now. */
export async function leakCheck(options: LeakCheckOptions = {}): Promise<LeakCheck> {
  const before = await countsOf(options);
  const timers = timersFromNowOn();
  return {
    async left() {
      timers.stopWatching();
      const until = performance.now() + (options.patienceMs ?? DEFAULT_PATIENCE_MS);
      for (;;) {
        const left = [...moreThan(before, await countsOf(options)), ...timers.left()];
        if (left.length === 0 || performance.now() > until) return left;
        // Connections end when the other side has heard of it.
        await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      }
    },
  };
}

/** Timers that are set from now on and neither fired nor cleared, with the place that set them; also those that are unref'd. */
function timersFromNowOn(): { stopWatching(): void; left(): string[] } {
  const live = new Map<number, string>();
  let watching = true;
  const hook = createHook({
    init(id, type) {
      if (watching && type === 'Timeout') live.set(id, `1 x timer set ${placeIn(new Error().stack ?? '')}`);
    },
    destroy: (id) => void live.delete(id),
  }).enable();
  return {
    stopWatching: () => void (watching = false),
    left() {
      if (live.size === 0) hook.disable();
      return [...live.values()];
    },
  };
}

/** The first place of a stack that is neither Node's nor this file's. */
const placeIn = (stack: string): string =>
  stack
    .split('\n')
    .slice(1)
    .find((line) => !line.includes('node:') && !line.includes('support/leaks.ts'))
    ?.trim() ?? 'somewhere';

async function countsOf(options: LeakCheckOptions): Promise<Counts> {
  const counts = new Map<string, number>();
  const add = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);
  for (const name of process.getActiveResourcesInfo()) if (RESOURCES.has(name)) add(`resource ${name}`);
  for (const name of process.eventNames())
    for (let listener = 0; listener < process.listenerCount(name); listener++)
      add(`listener of process "${String(name)}"`);
  if (options.admin !== undefined) for (const what of await onServer(options.admin, options)) add(what);
  return counts;
}

async function onServer(admin: Valkey, { prefix = '', mayExpire }: LeakCheckOptions): Promise<string[]> {
  const channels = (await admin.pubsub('CHANNELS', `${prefix}*`)) as string[];
  const clients = ((await admin.client('LIST')) as string).trim().split('\n');
  return [
    ...channels.map((channel) => `channel ${channel}`),
    ...clients.map(() => 'connection to the server'),
    ...(await expiringKeys(admin, prefix)).filter((key) => !mayExpire?.test(key)).map((key) => `expiring key ${key}`),
  ];
}

async function expiringKeys(admin: Valkey, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for (let cursor = '0'; ; ) {
    const [next, page] = await admin.scan(cursor, 'MATCH', `${prefix}*`, 'COUNT', 1_000);
    for (const key of page) if ((await admin.pttl(key)) >= 0) keys.push(key);
    if (next === '0') return keys;
    cursor = next;
  }
}

function moreThan(before: Counts, now: Counts): string[] {
  return [...now].flatMap(([what, count]) => {
    const more = count - (before.get(what) ?? 0);
    return more > 0 ? [`${more} x ${what}`] : [];
  });
}

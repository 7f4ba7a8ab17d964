/** An app on the memory backend under a clock that the test moves, with faults of the test's choice on the way between. */
import { app, memory, type App, type AppOptions, type Backend, type MemoryOptions } from '../../src/index.js';
import type { WorkerOptions } from '../../src/app/index.js';
import { systemClock } from '../../src/engine/clock.js';
import { VirtualClock } from '../../src/testing/virtual-clock.js';

export type Execute = Backend['execute'];
export type Commands = Parameters<Execute>[0];
export type Override = { [Key in keyof Backend]?: Backend[Key] };

/** A backend that does some things differently. */
function altered(inner: Backend, override: Override): Backend {
  return Object.assign(Object.create(inner) as Backend, override);
}

/** One message to the log: its level and what was said. */
export type Said = readonly [level: string, message: string, ...details: unknown[]];

export interface Harness {
  readonly a: App;
  readonly clock: VirtualClock;
  readonly backend: Backend;
  /** The backend behind the faults. */
  readonly inner: Backend;
  /** What was logged. */
  readonly said: Said[];
  /** A worker that looks again, and a timer loop that polls, only when something tells them to. */
  worker(options?: WorkerOptions): ReturnType<App['worker']>;
  /** Lets time pass; handlers run in between. */
  pass(ms: number): Promise<void>;
  /** Resolves after `ms` of the clock; for handlers. */
  sleep(ms: number): Promise<void>;
  /** Lets time pass until the promise settles, ten minutes at most. */
  flow<T>(promise: PromiseLike<T>): Promise<T>;
  /** Lets time pass until the condition holds, ten minutes at most. */
  until(condition: () => boolean | Promise<boolean>): Promise<void>;
  /** Closes the app, which waits by the clock. */
  close(): Promise<void>;
}

/** A virtual clock of a loop that turns, which a handler can hold for a while. */
export class LoopClock extends VirtualClock {
  readonly eachTurn = systemClock.eachTurn;

  /** Time passes while the event loop stands still. */
  block(ms: number): void {
    this.time += ms;
  }
}

const RARELY_MS = 7 * 86_400_000;
const STEP_MS = 20;
const MAX_STEPS = 600_000 / STEP_MS;

export function harness(
  override: (inner: Backend, clock: VirtualClock) => Override = () => ({}),
  {
    memoryOptions = {},
    clock = new VirtualClock(1_700_000_000_000),
    ...options
  }: Partial<AppOptions> & { memoryOptions?: MemoryOptions; clock?: VirtualClock } = {},
): Harness {
  const inner = memory({ now: clock.now, ...memoryOptions });
  const backend = altered(inner, override(inner, clock));
  const said: Said[] = [];
  const say =
    (level: string) =>
    (message: string, ...details: unknown[]) =>
      void said.push([level, message, ...details]);
  const log = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') };
  const a = app({ backend, clock, log, ...options });
  const until = async (condition: () => boolean | Promise<boolean>): Promise<void> => {
    for (let step = 0; step < MAX_STEPS; step++) {
      await clock.advance(0);
      if (await condition()) return;
      await clock.advance(STEP_MS);
    }
    throw new Error(`Still not so after ten minutes: ${condition.toString()}`);
  };
  return {
    a,
    clock,
    until,
    sleep: (ms) => new Promise((resolve) => void clock.after(ms, resolve)),
    flow: async (promise) => {
      let settled = false;
      const done = (): boolean => (settled = true);
      promise.then(done, done);
      await until(() => settled);
      return promise;
    },
    backend,
    inner,
    said,
    worker: (workerOptions = {}) =>
      a.worker({ sweepInterval: RARELY_MS, engine: { pollIntervalMs: RARELY_MS }, ...workerOptions }),
    pass: (ms) => clock.advance(ms),
    close: async () => {
      const closing = a.close();
      await clock.advance(120_000);
      await closing;
    },
  };
}

/** An execution step that answers some commands itself. The test says of which, and with what. */
export function answering(
  inner: Backend,
  answer: (name: string, args: unknown) => { ok: false; error: unknown } | undefined,
): Execute {
  return (async (commands: Commands) => {
    const own = commands.map(({ name, args }) => answer(name, args));
    const rest = commands.filter((_, index) => own[index] === undefined);
    const results = rest.length === 0 ? [] : [...(await inner.execute(rest))];
    return own.map((each) => each ?? results.shift());
  }) as Execute;
}

/**
 * Knows every timer that is set in this thread (also those that are unref'd), until it fired or was cleared. The functions
 * that set timers are replaced once, however many files share the thread: what remembers them has to find them again.
 */

/** Node has no public sign of a timer that has fired or was cleared. */
interface Timer {
  readonly _destroyed: boolean;
}

interface Started {
  readonly what: string;
  /** Made where it was set; its text is only made when it is told. */
  readonly stack: Error;
  readonly test: string | undefined;
}

/** Timers that are over are forgotten when so many were set. */
const SWEEP_EVERY = 2_000;
const KEY = Symbol.for('flowfabric.test.watched-timers');

/** A test that resets the modules of its thread must not have the timers wrapped again. */
export const { pause, beginTest, forgetTimers, timersLeft } = ((globalThis as { [KEY]?: WatchedTimers })[KEY] ??=
  watchTimers());

interface WatchedTimers {
  /** A pause that is not watched. */
  pause(ms: number): Promise<void>;
  /** Timers that are set from now on are of this test, or of none. */
  beginTest(name: string | undefined): void;
  /** What was set by now is nobody's any more. */
  forgetTimers(): void;
  /** Timers that are still to fire: where each was set, and during which test. */
  timersLeft(): string[];
}

function watchTimers(): WatchedTimers {
  const { setTimeout: laterBy, setInterval: each, setImmediate: soon } = globalThis;
  /** Held weakly, with their stacks: some tests ask whether what was closed can be collected. */
  let timers: WeakRef<Timer>[] = [];
  const startedBy = new WeakMap<Timer, Started>();
  let sweepAt = SWEEP_EVERY;
  let test: string | undefined;

  const pending = (): WeakRef<Timer>[] => timers.filter((ref) => ref.deref()?._destroyed === false);

  function note(what: string, timer: Timer): void {
    timers.push(new WeakRef(timer));
    startedBy.set(timer, { what, stack: new Error(), test });
    if (timers.length < sweepAt) return;
    timers = pending();
    sweepAt = timers.length + SWEEP_EVERY;
  }

  /** In place of a function that sets timers, with all that the function has (`util.promisify` asks for it). */
  function watched<Set extends (...args: never[]) => unknown>(what: string, set: Set): Set {
    const wrapped = (...args: Parameters<Set>): unknown => {
      const timer = set(...args);
      note(what, timer as Timer);
      return timer;
    };
    return Object.defineProperties(wrapped, Object.getOwnPropertyDescriptors(set)) as unknown as Set;
  }

  globalThis.setTimeout = watched('timer', laterBy);
  globalThis.setInterval = watched('interval', each);
  globalThis.setImmediate = watched('immediate', soon);

  return {
    pause: (ms) => new Promise((resolve) => laterBy(resolve, ms)),
    beginTest: (name) => void (test = name),
    forgetTimers: () => void (timers = []),
    timersLeft() {
      timers = pending();
      return timers.flatMap((ref) => {
        const started = startedBy.get(ref.deref() as Timer);
        return started === undefined ? [] : told(started);
      });
    },
  };
}

function told({ what, stack, test: during }: Started): string {
  return `${what} set ${placeIn(stack)}${during === undefined ? '' : `, during "${during}"`}`;
}

const PLACES = 3;

/** The nearest places that are neither Node's nor this file's. */
const placeIn = (error: Error): string =>
  (error.stack ?? '')
    .split('\n')
    .slice(1)
    .filter((line) => !line.includes('node:') && !line.includes('support/watched-timers.ts'))
    .slice(0, PLACES)
    .map((line) => line.trim())
    .join(' ') || 'somewhere';

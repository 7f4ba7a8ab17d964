/**
 * Knows every timer that is set in this thread (also those that are unref'd), until it fired or was cleared. Loaded once,
 * however many files share the thread: what remembers the functions that set timers has to find them again.
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
const { setTimeout: laterBy, setInterval: each, setImmediate: soon } = globalThis;

/** A pause that is not watched. */
export const pause = (ms: number): Promise<void> => new Promise((resolve) => laterBy(resolve, ms));

/** Held weakly, with their stacks: some tests ask whether what was closed can be collected. */
let timers: WeakRef<Timer>[] = [];
const startedBy = new WeakMap<Timer, Started>();
let sweepAt = SWEEP_EVERY;
let test: string | undefined;

/** Timers that are set from now on are of this test, or of none. */
export const beginTest = (name: string | undefined): void => void (test = name);

/** What was set by now is nobody's any more. */
export const forgetTimers = (): void => void (timers = []);

/** Timers that are still to fire: where each was set, and during which test. */
export function timersLeft(): string[] {
  timers = timers.filter((ref) => ref.deref()?._destroyed === false);
  return timers.flatMap((ref) => {
    const started = startedBy.get(ref.deref() as Timer);
    return started === undefined ? [] : told(started);
  });
}

function note(what: string, timer: Timer): void {
  timers.push(new WeakRef(timer));
  startedBy.set(timer, { what, stack: new Error(), test });
  if (timers.length < sweepAt) return;
  timers = timers.filter((ref) => ref.deref()?._destroyed === false);
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

const told = ({ what, stack, test: during }: Started): string =>
  `${what} set ${placeIn(stack)}${during === undefined ? '' : `, during "${during}"`}`;

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

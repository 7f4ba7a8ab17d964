/**
 * Watches every test file (`setupFiles` of vitest.config.ts): what a test started has to be gone behind it. A test before
 * which nothing was running is looked at when it ends; what tests of a file share is looked at behind its last hook. Says
 * what is left, where it was set and during which test.
 *
 * It sees timers (also those that are unref'd), sockets, servers, children and listeners of the process. Connections of a
 * server end with their sockets. What a backend that goes on keeps of a worker that is gone (subscriptions, keys that
 * expire) is looked at by `leakCheck` of leaks.ts and at the end of each program of the worker machine.
 */
import { afterAll, beforeEach } from 'vitest';

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

/** What is being closed may take so long, ms. */
const PATIENCE_MS = 1_500;
const LOOK_EVERY_MS = 5;
/** Timers that are over are forgotten when so many were set. */
const SWEEP_EVERY = 2_000;
/** Resources of this thread that a test can leave behind. */
const RESOURCES: ReadonlySet<string> = new Set(['TCPSocketWrap', 'TCPServerWrap', 'PipeWrap', 'ProcessWrap']);

/**
 * The client library waits two seconds for the end of a socket that had failed before it was told to end; the buffers that
 * its parser shares shrink step by step.
 */
const EXCUSED = /iovalkey\/built\/connectors\/AbstractConnector|redis-parser\/lib\/parser/;

const { setTimeout: laterBy, setInterval: each, setImmediate: soon } = globalThis;

/** Held weakly, with their stacks: some tests ask whether what was closed can be collected. */
let timers: WeakRef<Timer>[] = [];
const startedBy = new WeakMap<Timer, Started>();
let sweepAt = SWEEP_EVERY;
let test: string | undefined;

function note(what: string, timer: Timer): void {
  timers.push(new WeakRef(timer));
  startedBy.set(timer, { what, stack: new Error(), test });
  if (timers.length < sweepAt) return;
  timers = timers.filter((ref) => ref.deref()?._destroyed === false);
  sweepAt = timers.length + SWEEP_EVERY;
}

function live(): Started[] {
  timers = timers.filter((ref) => ref.deref()?._destroyed === false);
  return timers.flatMap((ref) => startedBy.get(ref.deref() as Timer) ?? []);
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

type Counts = ReadonlyMap<string, number>;

function countsNow(): Counts {
  const counts = new Map<string, number>();
  const add = (what: string, count: number): void => void counts.set(what, (counts.get(what) ?? 0) + count);
  for (const name of process.getActiveResourcesInfo()) if (RESOURCES.has(name)) add(name, 1);
  for (const name of process.eventNames()) add(`listener of process "${String(name)}"`, process.listenerCount(name));
  return counts;
}

const moreThan = (before: Counts): string[] =>
  [...countsNow()].flatMap(([what, count]) => {
    const more = count - (before.get(what) ?? 0);
    return more > 0 ? [`${more} x ${what}`] : [];
  });

const told = ({ what, stack, test: during }: Started): string =>
  `${what} set ${placeIn(stack)}${during === undefined ? '' : `, during "${during}"`}`;

const PLACES = 3;

/** The nearest places that are neither Node's nor this file's. */
const placeIn = (error: Error): string =>
  (error.stack ?? '')
    .split('\n')
    .slice(1)
    .filter((line) => !line.includes('node:') && !line.includes('support/leak-watch.ts'))
    .slice(0, PLACES)
    .map((line) => line.trim())
    .join(' ') || 'somewhere';

/** @throws Error that says what is left of what was started since `before` */
async function nothingLeft(before: Counts, whose: string): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    const left = [...live().map(told), ...moreThan(before)].filter((text) => !EXCUSED.test(text));
    if (left.length === 0) return;
    if (performance.now() > until) throw new Error(`${whose} leaves behind:\n${left.join('\n')}`);
    await new Promise((resolve) => laterBy(resolve, LOOK_EVERY_MS));
  }
}

const atStart = countsNow();

beforeEach(({ task, onTestFinished }) => {
  test = task.name;
  // What is running is shared with other tests of the file, and may set timers of its own in this one.
  const isAlone = !task.concurrent && live().length === 0 && moreThan(atStart).length === 0;
  const before = isAlone ? countsNow() : undefined;
  onTestFinished(async () => {
    test = undefined;
    if (before === undefined) return;
    await nothingLeft(before, `"${task.name}"`).finally(() => (timers = []));
  });
});

// It was registered first, and so runs behind the hooks of the file.
afterAll(() => nothingLeft(atStart, 'The file'));

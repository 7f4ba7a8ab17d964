/**
 * Watches every test file (`setupFiles` of vitest.config.ts): what a test started has to be gone behind it. A test before
 * which nothing was running is looked at when it ends; what tests of a file share is looked at behind its last hook. Says
 * what is left, where it was set and during which test.
 *
 * It sees timers (also those that are unref'd), sockets, servers, children and listeners of the process, and on the
 * server that tests share the subscriptions and, when a file ends, the unused bytes of deployments of this file.
 * Connections of a server end with their sockets. What a backend that goes on keeps of a worker that is gone is looked at by `leakCheck` of
 * leaks.ts and at the end of each program of the worker machine.
 */
import { afterAll, beforeEach } from 'vitest';
import { sharedServer } from './shared-server.js';
import { beginTest, forgetTimers, pause, timersLeft } from './watched-timers.js';

/** What is being closed may take so long, ms. */
const PATIENCE_MS = 1_500;
const LOOK_EVERY_MS = 5;
/** Resources of this thread that a test can leave behind. */
const RESOURCES: ReadonlySet<string> = new Set(['TCPSocketWrap', 'TCPServerWrap', 'PipeWrap', 'ProcessWrap']);

/**
 * The client library waits two seconds for the end of a socket that had failed before it was told to end; the buffers that
 * its parser shares shrink step by step.
 */
const EXCUSED = /iovalkey\/built\/connectors\/AbstractConnector|redis-parser\/lib\/parser/;

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

/** @throws Error that says what is left of what was started since `before` */
async function nothingLeft(before: Counts, whose: string, when: 'test' | 'file'): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    const left = [...timersLeft(), ...moreThan(before)].filter((text) => !EXCUSED.test(text));
    // Looking at the server starts timers and sockets of its own, so it comes last.
    if (left.length === 0) left.push(...((await sharedServer.left?.(when)) ?? []));
    if (left.length === 0) return;
    if (performance.now() > until) throw new Error(`${whose} leaves behind:\n${left.join('\n')}`);
    await pause(LOOK_EVERY_MS);
  }
}

// What the file before has closed may still be closing in this thread, and would hide what this one leaves open.
const isClosing = (): boolean => process.getActiveResourcesInfo().some((name) => RESOURCES.has(name));
for (const until = performance.now() + PATIENCE_MS; isClosing() && performance.now() < until; )
  await pause(LOOK_EVERY_MS);
const atStart = countsNow();

beforeEach(({ task, onTestFinished }) => {
  beginTest(task.name);
  // What is running is shared with other tests of the file, and may set timers of its own in this one.
  const isAlone = !task.concurrent && timersLeft().length === 0 && moreThan(atStart).length === 0;
  const before = isAlone ? countsNow() : undefined;
  onTestFinished(async () => {
    beginTest(undefined);
    if (before === undefined) return;
    await nothingLeft(before, `"${task.name}"`, 'test').finally(forgetTimers);
  });
});

// It was registered first, and so runs behind the hooks of the file. What is left fails this file and none that follows
// in its thread.
afterAll(() =>
  nothingLeft(atStart, 'The file', 'file').finally(() => {
    forgetTimers();
    sharedServer.prefixes.clear();
  }),
);

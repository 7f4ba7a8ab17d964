/** How much longer a busy machine makes what a test waits for, so that bounds in real time hold there too. */
import { onTestFinished } from 'vitest';

const TICK_MS = 20;
/** A call needs threads and processes beside this one, and a busy machine holds up each of them as often as this one. */
const BUSY_FACTOR = 5;

/**
 * Watches how late timers of this thread are, until the test ends. Not for tests that hold the event loop themselves.
 * @returns by how much a bound that began with the watch is longer by now, ms
 */
export function watchLateness(): () => number {
  let lateMs = 0;
  let expectedAt = performance.now() + TICK_MS;
  const look = (): void => {
    const now = performance.now();
    if (now < expectedAt) return;
    lateMs += now - expectedAt;
    expectedAt = now + TICK_MS;
  };
  const timer = setInterval(look, TICK_MS);
  onTestFinished(() => clearInterval(timer));
  return () => {
    // Also what held up the present turn.
    look();
    return BUSY_FACTOR * lateMs;
  };
}

/**
 * Detects fake timers of a test runner. With them nothing comes to rest, and a test that mixes both kinds of virtual
 * time would hang silently.
 */
import { InvalidDefinitionError } from '../shared/errors.js';

/** Timers as they were when this module was loaded. */
export const {
  setTimeout: realSetTimeout,
  clearTimeout: realClearTimeout,
  setImmediate: realSetImmediate,
} = globalThis;

interface Faked {
  /** What @sinonjs/fake-timers (vitest, jest, sinon) leaves on the functions that it replaces. */
  readonly clock?: unknown;
  /** What the older fake timers of jest leave. */
  readonly _isMockFunction?: unknown;
}

const isFaked = (current: unknown, real: unknown): boolean =>
  current !== real || (current as Faked).clock !== undefined || (current as Faked)._isMockFunction === true;

/** @throws InvalidDefinitionError while a test runner's fake timers are installed */
export function refuseFakeTimers(where: string): void {
  if (!isFaked(globalThis.setTimeout, realSetTimeout) && !isFaked(globalThis.setImmediate, realSetImmediate)) return;
  throw new InvalidDefinitionError(
    `${where}: the fake timers of the test runner are installed; this clock is virtual already, and needs the real ones`,
    'Take the fake timers out of this test (vi.useRealTimers(), jest.useRealTimers()); let time pass with advance().',
  );
}

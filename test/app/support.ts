/** What the tests of the app and the worker share. */
import { app, memory, type App, type AppOptions, type Logger, type MemoryOptions } from '../../src/index.js';

/** An app on a new memory backend. */
export function memoryApp(options: Partial<AppOptions> = {}, backend: MemoryOptions = {}): App {
  return app({ backend: memory(backend), ...options });
}

/** Resolves when the condition holds; rejects after twenty seconds without: machines can be busy. */
export async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  const startedAt = performance.now();
  while (!(await condition())) {
    if (performance.now() - startedAt > timeoutMs)
      throw new Error(`Still not so after ${timeoutMs} ms: ${condition.toString()}`);
    await pause(5);
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Holds the event loop, as a handler does that computes without a break, and leaves the processor to other tests. */
export function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** A promise and what settles it. */
export function deferred<T = void>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((settle) => (resolve = settle));
  return { promise, resolve };
}

/** What a promise rejects with. */
export async function rejectionOf(promise: PromiseLike<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('expected a rejection');
}

/** Whether a promise settles before the event loop has turned a few times. */
export async function settles(promise: PromiseLike<unknown> | undefined): Promise<boolean> {
  let hasSettled = false;
  const settled = (): void => void (hasSettled = true);
  promise?.then(settled, settled);
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  return hasSettled;
}

/** A logger that keeps what it is told: the level, the message, and what the details are. */
export function collectingLog(): { log: Logger; lines: string[]; details: unknown[][] } {
  const lines: string[] = [];
  const details: unknown[][] = [];
  const at =
    (level: string) =>
    (message: string, ...rest: unknown[]): void => {
      const names = rest.map((detail) => (detail instanceof Error ? detail.name : typeof detail));
      lines.push([level, message, ...names].join(' '));
      details.push(rest);
    };
  return { log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }, lines, details };
}

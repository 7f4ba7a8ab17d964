/** Resolves after `delayMs` milliseconds. */
export function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs);
  });
}

/** Runs `action` for 0 .. `count` - 1 with at most `inFlight` at once. */
export async function inParallel(
  count: number,
  inFlight: number,
  action: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const loop = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      await action(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, inFlight) }, loop));
}

/** A promise with a deadline: rejects with `sentence()` when `limitMs` has passed. */
export async function within<Value>(limitMs: number, promise: Promise<Value>, sentence: () => string): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(sentence()));
    }, limitMs);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/** A promise and the function that resolves it. */
export function signal<Value>(): { promise: Promise<Value>; resolve(value: Value): void } {
  let resolve: (value: Value) => void = () => undefined;
  const promise = new Promise<Value>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** Microseconds of CPU that this process has used since it started, user and system together. */
export function nodeCpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Calls into code of users whose failures must not reach the caller. */

const ignore = (): void => undefined;

/** Calls `fn`; what it throws, or what the promise that it returns rejects with, goes to `onError` and nowhere else. */
export function quietly(fn: () => unknown, onError: (error: unknown) => void = ignore): void {
  try {
    const returned = fn();
    // Adopting it reads `then`, which can throw: that is a rejection too.
    if (typeof returned === 'object' && returned !== null) Promise.resolve(returned).then(undefined, onError);
  } catch (error) {
    onError(error);
  }
}

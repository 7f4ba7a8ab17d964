/** Calls of user code whose failures must not reach the caller. */

const ignore = (): void => undefined;

/** Calls `fn`. An error that it throws, or that its returned promise rejects with, only goes to `onError`. */
export function quietly(fn: () => unknown, onError: (error: unknown) => void = ignore): void {
  try {
    const returned = fn();
    // Adoption reads `then`; if reading it throws, the promise rejects too.
    if (typeof returned === 'object' && returned !== null) Promise.resolve(returned).then(undefined, onError);
  } catch (error) {
    onError(error);
  }
}

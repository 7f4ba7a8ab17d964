/** How long the calls of an app are repeated when the transport fails, and how long a run waits for the backend, ms. */
export const CALL_PATIENCE_MS = 10_000;

/**
 * How long the calls of an app wait for its backend to open, and are repeated while the transport fails, ms. Workers,
 * listeners, results, events, streams and `app.backend()` wait as long as it takes.
 */
export const CALL_PATIENCE_MS = 10_000;

/** Whether the log already says that a backend is unreachable, so that its loops do not report the outage again. */
import type { Backend } from '../backend/backend.js';
import type { Logger } from '../shared/logger.js';
import { perBackend } from './per-backend.js';
import { isRetryable } from './retry.js';

/** Whether the log says at present that the store is unreachable. */
export const outageOf = perBackend(() => ({ isLogged: false }));

/** Warns about an error of a loop. During an outage that the log reports, its errors are details at level `debug`. */
export function warnUnlessLogged(backend: Backend, log: Logger, message: string, error: unknown): void {
  const isDetail = outageOf(backend).isLogged && isRetryable(error);
  log[isDetail ? 'debug' : 'warn'](message, error);
}

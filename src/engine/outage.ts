/** What an app has told about the connection of its backend, so that loops on the same backend do not tell it again. */
import type { Backend } from '../backend/backend.js';
import type { Logger } from '../shared/logger.js';
import { perBackend } from './per-backend.js';
import { isRetryable } from './retry.js';

/** Whether the log says at present that the store is unreachable. */
export const outageOf = perBackend(() => ({ isTold: false }));

/** Warns about an error of a loop; its errors during an outage that the log has told are details of that outage. */
export function warnUnlessTold(backend: Backend, log: Logger, message: string, error: unknown): void {
  const isDetail = outageOf(backend).isTold && isRetryable(error);
  log[isDetail ? 'debug' : 'warn'](message, error);
}

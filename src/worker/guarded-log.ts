/** A guard for the user's logger: its errors are dropped, because a worker has no other place to report them. */
import { silentLogger, type Logger } from '../shared/logger.js';
import { quietly } from '../util/quietly.js';

/** The same logger, but its methods never throw and leave no rejection unhandled. */
export function guardedLog(log: Logger): Logger {
  if (log === silentLogger) return log;
  return {
    debug: (message, ...details) => quietly(() => log.debug(message, ...details)),
    info: (message, ...details) => quietly(() => log.info(message, ...details)),
    warn: (message, ...details) => quietly(() => log.warn(message, ...details)),
    error: (message, ...details) => quietly(() => log.error(message, ...details)),
  };
}

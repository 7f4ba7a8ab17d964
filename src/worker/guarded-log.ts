/** A logger of a user that cannot hurt: what it throws, or rejects with, ends there. A worker has no other place to tell. */
import { silentLogger, type Logger } from '../shared/logger.js';
import { quietly } from '../util/quietly.js';

/** The same logger, of which no call throws or leaves a rejection unhandled. */
export function guardedLog(log: Logger): Logger {
  if (log === silentLogger) return log;
  return {
    debug: (message, ...details) => quietly(() => log.debug(message, ...details)),
    info: (message, ...details) => quietly(() => log.info(message, ...details)),
    warn: (message, ...details) => quietly(() => log.warn(message, ...details)),
    error: (message, ...details) => quietly(() => log.error(message, ...details)),
  };
}

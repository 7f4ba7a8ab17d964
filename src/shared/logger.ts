/** Where messages go. `console` and pino satisfy it; nothing is written unless one is given. */
export interface Logger {
  debug(message: string, ...details: unknown[]): void;
  info(message: string, ...details: unknown[]): void;
  warn(message: string, ...details: unknown[]): void;
  error(message: string, ...details: unknown[]): void;
}

const ignore = (): void => undefined;

/** Writes nothing. */
export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };

/** A logger that says of whom it speaks. */
export function prefixed(log: Logger, prefix: string): Logger {
  if (log === silentLogger) return log;
  return {
    debug: (message, ...details) => log.debug(`${prefix} ${message}`, ...details),
    info: (message, ...details) => log.info(`${prefix} ${message}`, ...details),
    warn: (message, ...details) => log.warn(`${prefix} ${message}`, ...details),
    error: (message, ...details) => log.error(`${prefix} ${message}`, ...details),
  };
}

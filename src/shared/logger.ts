/** Loggers of users, and how the package calls them. */
import { reasonOf } from '../util/failure-text.js';
import { quietly } from '../util/quietly.js';
import { propertyOf, textOf, tried } from '../util/thrown.js';

/** Where messages go. `console` and pino satisfy it; nothing is written unless one is given. */
export interface Logger {
  debug(message: string, ...details: unknown[]): void;
  info(message: string, ...details: unknown[]): void;
  warn(message: string, ...details: unknown[]): void;
  error(message: string, ...details: unknown[]): void;
}

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;
type Level = (typeof LEVELS)[number];

const ignore = (): void => undefined;

/** Writes nothing. */
export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };

const made = (write: (level: Level, message: string, details: unknown[]) => void): Logger =>
  Object.fromEntries(
    LEVELS.map((level) => [level, (message: string, ...details: unknown[]) => write(level, message, details)]),
  ) as unknown as Logger;

/**
 * The user's logger as the package calls it: its exceptions go no further, and pino gets errors in
 * the form that it prints: pino's methods take the details before the message, and drop an error that follows it.
 */
export function guarded(log: Logger): Logger {
  if (log === silentLogger) return log;
  const write = isPino(log)
    ? (level: Level, message: string, details: unknown[]): unknown => log[level](mergedFor(details), message)
    : (level: Level, message: string, details: unknown[]): unknown => log[level](message, ...details);
  // Logging must not decide what becomes of the work, whether the logger throws or its promise rejects.
  return made((level, message, details) =>
    quietly(() => {
      try {
        return write(level, message, details);
      } catch {
        // A detail can be what the logger cannot print, such as an error with a getter that throws. Its words still arrive.
        return write(level, message, details.map(reasonOf));
      }
    }),
  );
}

interface Pino extends Record<Level, (details: object, message: string) => void> {
  bindings(): unknown;
  child(bindings: object): unknown;
}

/** pino and its children, such as the loggers of fastify. */
function isPino(log: unknown): log is Pino {
  return typeof propertyOf(log, 'bindings') === 'function' && typeof propertyOf(log, 'child') === 'function';
}

/** Errors under the name for which pino has a serializer; members of objects as they are; the rest as a list. */
function mergedFor(details: readonly unknown[]): object {
  const merged: Record<string, unknown> = {};
  const rest: unknown[] = [];
  for (const detail of details) {
    if (isError(detail) && !('err' in merged)) merged['err'] = detail;
    else if (typeof detail === 'object' && detail !== null && !Array.isArray(detail) && !isError(detail))
      Object.assign(merged, detail);
    else if (detail !== undefined) rest.push(detail);
  }
  if (rest.length > 0) merged['details'] = rest;
  return merged;
}

/** An error of any realm. */
const isError = (value: unknown): boolean =>
  value instanceof Error || Object.prototype.toString.call(value) === '[object Error]';

const wordsOf = (message: unknown): string => tried(() => String(message)) ?? textOf(message);

/** A logger that says of whom it speaks. */
export function prefixed(log: Logger, prefix: string): Logger {
  if (log === silentLogger) return log;
  // What handlers log can be anything, and logging it must not fail them.
  return made((level, message, details) => log[level](`${prefix} ${wordsOf(message)}`, ...details));
}

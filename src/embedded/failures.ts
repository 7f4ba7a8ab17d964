/** What goes wrong with a disk, as errors that callers know. */
import { EngineError } from '../../model/errors.js';

/** No room: on the disk, in the quota of the user, in what a file may grow to. */
const NO_ROOM: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** The error for callers of what the operating system said. */
export function failureOf(error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  const { code } = error as NodeJS.ErrnoException;
  return NO_ROOM.has(code)
    ? new EngineError('storage_full', `The store cannot grow (${code}).`, { cause: error })
    : new EngineError('storage_failed', `The store cannot be written (${code ?? 'unknown'}).`, { cause: error });
}

/** What is wrong with the folder itself, and stays so. */
const NOT_USABLE: ReadonlySet<unknown> = new Set([
  'EACCES',
  'EPERM',
  'EROFS',
  'ENOTDIR',
  'EISDIR',
  'EEXIST',
  'ELOOP',
  'ENAMETOOLONG',
  // A file system that takes no folders; a path that no file system takes.
  'ENOENT',
  'ERR_INVALID_ARG_VALUE',
]);

/** The error for callers of what the operating system said while the store was opened. */
export function openingFailureOf(error: unknown, path: string): EngineError {
  const { code } = error as NodeJS.ErrnoException;
  return NOT_USABLE.has(code)
    ? new EngineError('invalid_input', `path: ${path} cannot be used as the folder of a store (${code}).`, {
        detail: { field: 'path' },
        cause: error,
      })
    : failureOf(error);
}

/** Converts errors of the file system to errors of the engine. */
import { EngineError } from '../../model/errors.js';
import { propertyOf } from '../util/thrown.js';

/** No space: on the disk, in the user's quota, or within the file size limit. */
const NO_ROOM: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** Converts an error of the operating system. */
export function failureOf(error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  const code = propertyOf(error, 'code');
  return NO_ROOM.has(code)
    ? new EngineError('storage_full', `The store cannot grow (${code}).`, { cause: error })
    : new EngineError('storage_failed', `The store cannot be written (${code ?? 'unknown'}).`, { cause: error });
}

/** Lasting errors of the folder itself. */
const NOT_USABLE: ReadonlySet<unknown> = new Set([
  'EACCES',
  // Of Node's permission model.
  'ERR_ACCESS_DENIED',
  'EPERM',
  'EROFS',
  'ENOTDIR',
  'EISDIR',
  'EEXIST',
  'ELOOP',
  'ENAMETOOLONG',
  // A file system without folder creation; an invalid path.
  'ENOENT',
  'ERR_INVALID_ARG_VALUE',
]);

/** Converts an error of the operating system during the opening of the store. */
export function openingFailureOf(error: unknown, path: string): EngineError {
  const code = propertyOf(error, 'code');
  return NOT_USABLE.has(code)
    ? new EngineError('invalid_input', `path: ${path} cannot be used as the folder of a store (${code}).`, {
        detail: { field: 'path' },
        cause: error,
      })
    : failureOf(error);
}

/** Every reason for which the audit of one package can fail. */
export type AuditErrorCode =
  | 'MANIFEST_UNREADABLE'
  | 'MANIFEST_INVALID'
  | 'LICENCE_MISSING'
  | 'LIMIT_EXCEEDED'
  | 'FILE_UNREADABLE'
  | 'FILE_VANISHED'
  | 'FILE_CHANGED'
  | 'RESOURCE_BUSY';

/**
 * Base of all typed audit failures. Messages hold paths relative to the package only,
 * so that the same reason reads the same on every machine.
 */
export abstract class AuditError extends Error {
  /** Stable, machine-readable reason. */
  abstract readonly code: AuditErrorCode;
  /** Whether another attempt may succeed without anybody changing the package. */
  abstract readonly retryable: boolean;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** `package.json` is absent, not a file, too large or not readable. Permanent. */
export class ManifestUnreadableError extends AuditError {
  readonly code = 'MANIFEST_UNREADABLE';
  readonly retryable = false;
}

/** `package.json` is not JSON, or its JSON is not an object. Permanent. */
export class ManifestInvalidError extends AuditError {
  readonly code = 'MANIFEST_INVALID';
  readonly retryable = false;
}

/** Neither the manifest nor any file of the package states a licence. Permanent. */
export class LicenceMissingError extends AuditError {
  readonly code = 'LICENCE_MISSING';
  readonly retryable = false;
}

/** The package has more files or bytes than {@link AuditLimits} allow. Permanent. */
export class LimitExceededError extends AuditError {
  readonly code = 'LIMIT_EXCEEDED';
  readonly retryable = false;
}

/** A file or folder refuses to be read (permissions, damaged disk). Permanent. */
class FileUnreadableError extends AuditError {
  readonly code = 'FILE_UNREADABLE';
  readonly retryable = false;
}

/** A file listed a moment ago is gone, as while an install runs. Retryable. */
export class FileVanishedError extends AuditError {
  readonly code = 'FILE_VANISHED';
  readonly retryable = true;
}

/** A file was written to while it was read, so its hash would be of no real state. Retryable. */
export class FileChangedError extends AuditError {
  readonly code = 'FILE_CHANGED';
  readonly retryable = true;
}

/** The system is out of file handles, or the file is locked by another process. Retryable. */
export class ResourceBusyError extends AuditError {
  readonly code = 'RESOURCE_BUSY';
  readonly retryable = true;
}

const BUSY_CODES: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'EBUSY', 'EAGAIN', 'ENOMEM']);
// ENOTDIR and ELOOP: what was a folder or a regular file when listed has been replaced since.
const VANISHED_CODES: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);

/**
 * The `code` of a system error (such as `ENOENT`), or undefined when the value carries none.
 */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/**
 * Turns a file-system error into the typed failure for it.
 * Errors that are not from the file system (an abort, a bug) come back unchanged.
 *
 * @param error what was thrown
 * @param path the file or folder concerned, relative to the package
 */
export function fromSystemError(error: unknown, path: string): unknown {
  if (error instanceof AuditError) return error;
  const code = systemCode(error);
  // System codes are E + capitals; this leaves ABORT_ERR and ERR_* of Node itself alone.
  if (code === undefined || !/^E(?!RR_)[A-Z0-9]+$/.test(code)) return error;
  const options = { cause: error };
  if (BUSY_CODES.has(code)) return new ResourceBusyError(`${path}: ${code}`, options);
  if (VANISHED_CODES.has(code)) return new FileVanishedError(`${path}: gone (${code})`, options);
  return new FileUnreadableError(`${path}: ${code}`, options);
}

/** Options of an app. */
import { creatorIdentity as identityField, namespace as namespaceField } from '../../model/core/fields.js';
import type { Clock } from '../engine/clock.js';
import { checkBoolean, checkField, checkLogger, refuse } from '../shared/checks.js';
import { InvalidDefinitionError } from '../shared/errors.js';
import { knownOnly } from '../shared/known-only.js';
import type { Logger } from '../shared/logger.js';
import { checkBackend, isPromise, type BackendSource } from './connection.js';

export interface AppOptions {
  /**
   * Where work is stored: `memory()`, `embedded(...)` or `valkey(...)`, a promise of a backend, or a function that
   * opens one. It is opened on first use of the app.
   */
  readonly backend: BackendSource;
  /**
   * What to do while the backend cannot be opened for a retryable reason. `'wait'`: retry with growing pauses and log
   * it once; a call waits for up to 10 s, and workers, listeners, `result()`, `events()`, `stream()` and `backend()` as
   * long as it takes. `'fail'`: throw the error to callers of the app at once. Other errors are always thrown at once.
   * Default `'wait'`.
   */
  readonly connect?: 'wait' | 'fail' | undefined;
  /**
   * Scope of idempotency keys, recorded in every execution. It does not isolate work: workers of other namespaces that
   * serve the same lane get it too. For isolation, give the backend its own `prefix`. Default `'default'`.
   */
  readonly namespace?: string | undefined;
  /** The logger, such as `console` or pino. Default none. */
  readonly log?: Logger | undefined;
  /** Recorded in every execution as its creator, for operators. Default `'app'`. */
  readonly creatorIdentity?: string | undefined;
  /** Whether `close` closes the backend too. Default true. */
  readonly closeBackend?: boolean | undefined;
  /** Source of UUIDs; for tests. Default version 7, which sorts by time. */
  readonly ids?: (() => string) | undefined;
  /** Time and chance; for tests. */
  readonly clock?: Clock | undefined;
}

const APP_OPTIONS = {
  backend: true,
  namespace: true,
  log: true,
  connect: true,
  creatorIdentity: true,
  closeBackend: true,
  ids: true,
  clock: true,
} as const;

/** Replacements for randomness and time in tests. */
function checkKind(where: string, option: 'ids' | 'clock', value: unknown): void {
  if (value === undefined) return;
  const isRight = option === 'ids' ? typeof value === 'function' : typeof Object(value).now === 'function';
  if (!isRight) throw refuse(where, option, option === 'ids' ? 'a function that mints UUIDs' : 'a clock', value);
}

/** @throws InvalidDefinitionError without a backend, for an unknown or invalid option */
export function checkAppOptions(options: AppOptions | undefined): void {
  const backend: unknown = options?.backend;
  if ((typeof backend !== 'object' && typeof backend !== 'function') || backend === null || options === undefined)
    throw new InvalidDefinitionError(
      'An app needs a backend: app({ backend: memory() }) or app({ backend: valkey(...) })',
    );
  if (typeof backend === 'object' && !isPromise(options.backend)) checkBackend(backend);
  const where = 'The app';
  knownOnly<AppOptions>(where, options, APP_OPTIONS);
  const { connect, namespace, creatorIdentity, log } = options;
  if (connect !== undefined && connect !== 'wait' && connect !== 'fail')
    throw refuse(where, 'connect', '"wait" or "fail"', connect);
  checkField(where, 'namespace', namespaceField, namespace);
  checkField(where, 'creatorIdentity', identityField, creatorIdentity);
  checkBoolean(where, 'closeBackend', options.closeBackend);
  for (const name of ['ids', 'clock'] as const) checkKind(where, name, options[name]);
  checkLogger(where, log);
}

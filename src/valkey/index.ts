/** `flowfabric/valkey`: the engine on a Valkey server or cluster. */
import type { Backend } from '../backend/backend.js';
import { Lazy } from '../shared/lazy.js';
import { valkey as connect } from './boot/open.js';
import type { ValkeyOptions } from './options.js';

/**
 * The engine on a Valkey server or cluster. It connects when the promise is first awaited, or when the app that got it
 * is first used; an app can retry a failed connection.
 *
 * @param options a connection string, or options; default the environment variable `VALKEY_URL`. `undefined` is
 *   refused: it is most likely a variable that is not set
 * @throws EngineError by rejecting, see `flowfabric`
 */
export function valkey(...options: readonly [options?: ValkeyOptions | string]): Promise<Backend> {
  // What was given, not a default.
  const [given = options.length === 0 ? {} : { url: undefined }] = options;
  return new Lazy(() => connect(given));
}

export { aclOf, type Acl, type AclOptions } from './boot/acl.js';
export type { ConnectionOptions, NodeAddress } from './connection/address.js';
export type { TlsOptions } from './connection/tls-options.js';
export type { LibraryMode, ValkeyOptions } from './options.js';

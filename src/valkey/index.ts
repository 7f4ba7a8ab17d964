/** `flowfabric/valkey`: the engine on a Valkey server or cluster. */
import type { Backend } from '../backend.js';
import { Lazy } from '../shared/lazy.js';
import { valkey as connect } from './boot/open.js';
import type { ValkeyOptions } from './options.js';

/**
 * The engine on a Valkey server or cluster. It is connected to when the promise is awaited, or the app that got it is
 * used first; an app can begin anew when that fails.
 *
 * @param options a connection string, or options; default the environment variable `VALKEY_URL`
 * @throws EngineError by rejecting, see `flowfabric`
 */
export function valkey(options: ValkeyOptions | string = {}): Promise<Backend> {
  return new Lazy(() => connect(options));
}

export { aclOf, type Acl, type AclOptions } from './acl.js';
export type { ConnectionOptions, NodeAddress, TlsOptions } from './connection/address.js';
export type { LibraryMode, ValkeyOptions } from './options.js';

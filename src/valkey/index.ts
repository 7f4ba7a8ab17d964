/** `flowfabric/valkey`: the engine on a Valkey server or cluster. */
export { valkey } from './boot/open.js';
export { aclOf, type Acl, type AclOptions } from './acl.js';
export type { ConnectionOptions, NodeAddress, TlsOptions } from './connection/address.js';
export type { LibraryMode, ValkeyOptions } from './options.js';

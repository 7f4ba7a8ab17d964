/** `flowfabric/valkey`: the engine on a Valkey server or cluster. */
export { valkey, type ValkeyOptions } from './backend.js';
export type { LibraryMode } from './boot.js';

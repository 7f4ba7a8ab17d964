/** Valkey servers for tests, demos and benchmarks. */
export { startCluster, type StartClusterOptions, type ValkeyCluster } from './cluster.js';
export { findValkeyProgram, findValkeyServer, type ValkeyProgram, type ValkeySource } from './find.js';
export type { MigrateSlotOptions } from './migrate.js';
export { freePort } from './ports.js';
export { startValkey, type StartValkeyOptions, type ValkeyServer } from './server.js';
export { sharedValkey, type SharedValkey } from './shared.js';

/** Valkey servers for tests, demos and benchmarks. */
export { startCluster, type ValkeyCluster } from './cluster.js';
export { findValkeyProgram } from './find.js';
export { freePort } from './ports.js';
export { startValkey, type StartValkeyOptions, type ValkeyServer } from './server.js';
export { sharedValkey } from './shared.js';

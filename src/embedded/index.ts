/** `flowfabric/embedded`: the engine in this process, durable in files. */
export { compact, embedded, type EmbeddedOptions } from './backend.js';
export type { FsyncMode } from './journal.js';

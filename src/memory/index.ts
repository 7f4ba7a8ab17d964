/** `flowfabric/memory`: the engine in this process's memory. */
export { memory, type MemoryOptions } from './backend.js';

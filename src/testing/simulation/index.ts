/**
 * A simulated deployment: several processes and one server under virtual time, with faults where a real one has them.
 * The same seed and the same calls give the same run, to the millisecond.
 *
 * @example
 * const scheduler = new Scheduler(1_700_000_000_000);
 * const server = new SimulatedServer({ scheduler, partitions: 1 });
 * const process = new SimulatedProcess('web', scheduler, { seed: 1 });
 * const connection = new SimulatedConnection({ scheduler, server, process, latencyMs: 1, callTimeoutMs: 5_000 });
 * const shop = app({ backend: connection.backend, clock: process });
 * connection.plan.add({ on: 'ending', fault: { kind: 'answer_lost' }, count: 1 });
 * await scheduler.advanceTo(scheduler.now() + 60_000);
 */
export { SimulatedConnection, type ConnectionOptions } from './connection.js';
export { DiskStopped, SimulatedDisk, type DiskChange, type SimulatedDiskOptions } from './disk.js';
export type { Fault, WakeFault } from './faults.js';
export type { ConnectionObserver, ObservedCall } from './link.js';
export { CALL_GROUPS, FaultPlan, type CallGroup, type FaultRule } from './plan.js';
export { SimulatedProcess, type SimulatedProcessOptions } from './process.js';
export { seededRandom } from './random.js';
export { Scheduler, type Loop, type Phase } from './scheduler.js';
export { Story } from './story.js';
export { SimulatedServer, type SimulatedServerOptions } from './server.js';

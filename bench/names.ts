import { formatNumber } from './statistics.js';

/**
 * Names of contestants and groups in one place, so that a goal and the scenario that measures it
 * cannot drift apart.
 */
export const names = {
  list: 'hand-rolled list',
  bullmq: 'BullMQ',
  /** The server while no engine is connected: what is not the engines' doing. */
  serverAlone: 'the server alone',
  bullmqAdd: 'BullMQ, concurrency 100, add',
  bullmqBulkSmall: 'BullMQ, concurrency 16, addBulk',
  bullmqBulkLarge: 'BullMQ, concurrency 100, addBulk',
  bullmqOne: 'BullMQ, concurrency 1, addBulk',
  subjectCalls: 'flowfabric, single calls',
  subjectFused: 'flowfabric, complete and claim fused',
  subjectWorker: 'flowfabric, worker',
  subjectBatchCalls: 'flowfabric, batch calls',
  subjectBatchWorker: 'flowfabric, worker with claim-ahead',
} as const;

/** BullMQ's forms where many slots are allowed: a goal against "BullMQ's best" takes the best of them in each run. */
export const bullmqForms: readonly string[] = [names.bullmqAdd, names.bullmqBulkSmall, names.bullmqBulkLarge];

/** This engine's forms with one task in hand per worker and one round trip per task. */
export const singleForms: readonly string[] = [names.subjectFused, names.subjectWorker];

/** This engine's forms with claim-ahead and batched completion. */
export const batchForms: readonly string[] = [names.subjectBatchCalls, names.subjectBatchWorker];

/** Labels of the submit-and-drain scenarios. */
export const labels = {
  s1: 'S1, 4 KiB',
  s1Aof: 'S1, 4 KiB, AOF everysec',
  tiny: 'Tiny payload',
  oneWorker: 'Tiny payload, one worker',
} as const;

/** Groups that every submit-and-drain scenario has, by its label. */
export const lifecycleGroups = {
  submit: (label: string) => `${label}: submit`,
  drain: (label: string) => `${label}: drain`,
  lifecycle: (label: string) => `${label}: submit + drain`,
  nodeCpu: (label: string) => `${label}: Node CPU per lifecycle`,
  serverCpu: (label: string) => `${label}: server CPU per lifecycle`,
  completeP50: (label: string) => `${label}: complete call, p50`,
  completeP95: (label: string) => `${label}: complete call, p95`,
  completeP99: (label: string) => `${label}: complete call, p99`,
} as const;

/** Groups of the other scenarios. */
export const groups = {
  instructionsTiny: 'Server instructions per lifecycle, tiny payload',
  instructionsLarge: 'Server instructions per lifecycle, 4 KiB',
  serverCalls: 'Server work: server calls inside, per operation',
  serverUs: 'Server work: time inside FCALL, per operation',
  latencyP50: 'Idle latency, submit to completed: p50',
  latencyP99: 'Idle latency, submit to completed: p99',
  idleCommands: '100 idle worker slots: commands',
  idleCpu: '100 idle worker slots: server CPU',
  idleCpuAdded: '100 idle worker slots: server CPU beyond that of the server alone',
  idleClients: '100 idle worker slots: connections',
  memoryTiny: 'Memory per terminal execution beyond its payload, 1 byte',
  memoryLarge: 'Memory per terminal execution beyond its payload, 4 KiB',
  memoryKeys: 'Keys per terminal execution',
  decayStored: 'No decay: submit + drain, tiny, with terminal executions stored',
  decayLength: 'No decay: drain, 4 KiB, by the number of jobs',
  memoryBackendRate: 'Memory backend: lifecycles',
  memoryBackendCost: 'Memory backend: cost per lifecycle, by entities stored',
  coldImport: 'Cold import, beyond starting Node',
} as const;

/** Rows of the count of instructions, by the number of commands of a kind in a call. */
export const instructionRows = {
  create: (size: number) => `${size} a call: create`,
  completeAndClaim: (size: number) => `${size} a call: complete and claim`,
  lifecycle: (size: number) => `${size} a call: lifecycle`,
  inObject: (size: number, object: string) => `${size} a call: of it in ${object}`,
} as const;

/** The operations whose server work is counted. */
export const operations = {
  submit: 'submit',
  claim: 'claim',
  complete: 'complete',
  lifecycle: 'lifecycle (submit + claim + complete)',
  fused: 'complete and claim fused',
} as const;

/** The three crowds of scenario S5. */
export const routingModes = ['happy', 'partial', 'scarce'] as const;
export type RoutingMode = (typeof routingModes)[number];

/** Groups of scenario S5. */
export const routingGroups = {
  net: (mode: RoutingMode) => `S5 ${mode}: claims from the first submit`,
  wall: (mode: RoutingMode) => `S5 ${mode}: claims, the 250 ms of start-up included`,
  p50: (mode: RoutingMode) => `S5 ${mode}: submit to claim, p50`,
  p99: (mode: RoutingMode) => `S5 ${mode}: submit to claim, p99`,
  routed: (mode: RoutingMode) => `S5 ${mode}: routed right`,
} as const;

/** Row names of the decay scenario. */
export const decayRows = {
  empty: 'flowfabric, empty store',
  stored: 'flowfabric, 1 000 000 stored',
  short: 'flowfabric, 10 000 jobs',
  long: 'flowfabric, 100 000 jobs',
} as const;

/** Row name of the memory backend with so many entities stored. */
export const storedEntities = (count: number): string => `flowfabric, ${formatNumber(count)} entities`;

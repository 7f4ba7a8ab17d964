/**
 * Names of contestants and groups in one place, so that a goal and the scenario that measures it
 * cannot drift apart.
 */
export const names = {
  list: 'hand-rolled list',
  bullmqIovalkey: 'BullMQ on iovalkey',
  bullmqIoredis: 'BullMQ on ioredis',
  beeQueue: 'bee-queue',
  groupmq: 'groupmq',
  subject: 'flowfabric',
  subjectFused: 'flowfabric, complete and claim fused',
  subjectWorker: 'flowfabric, worker',
  subjectBatchCalls: 'flowfabric, batch calls',
  subjectBatchWorker: 'flowfabric, worker with claim-ahead',
  /** The server while no engine is connected: its own cost. */
  serverAlone: 'the server alone',
  emptyStore: 'flowfabric, empty store',
  fullStore: 'flowfabric, 1 000 000 terminal executions stored',
} as const;

/** How a contestant submits, as its name in a table says it. */
export const submitSuffix = { single: ', one by one', batched: ', in batches' } as const;

type Submit = keyof typeof submitSuffix;

/** The peers in the forms that a goal divides by; "the best" is the best of them in each run. */
export const peerForms = {
  bullmq: (submit: readonly Submit[]): string[] =>
    submit.flatMap((how) => [names.bullmqIovalkey + submitSuffix[how], names.bullmqIoredis + submitSuffix[how]]),
  others: (submit: readonly Submit[]): string[] =>
    submit.flatMap((how) => [names.beeQueue + submitSuffix[how], names.groupmq + submitSuffix[how]]),
} as const;

/** Labels of the submit-and-drain scenarios. */
export const labels = {
  drain: '10 000 × 4 KiB, 16 slots',
  aof: '10 000 × 4 KiB, 16 slots, AOF everysec',
  tiny: '20 000 tiny, 100 slots',
  tiny16: '20 000 tiny, 16 slots',
} as const;

/** Groups that every submit-and-drain scenario has, by its label. */
export const lifecycleGroups = {
  submit: (label: string) => `${label}: submit`,
  drain: (label: string) => `${label}: drain`,
  lifecycle: (label: string) => `${label}: submit + drain`,
  nodeCpu: (label: string) => `${label}: Node CPU per lifecycle`,
  serverCpu: (label: string) => `${label}: server CPU per lifecycle`,
} as const;

/** Where the worker is that a latency is measured with. */
const places = { here: 'worker in the same process', elsewhere: 'worker in another process' } as const;

type Place = keyof typeof places;

/** Groups of the other scenarios. */
export const groups = {
  instructionsTiny: 'Server instructions per lifecycle, tiny payload',
  instructionsLarge: 'Server instructions per lifecycle, 4 KiB',
  instructionsTask: 'Server instructions per lifecycle, with retries, an attempt timeout and a tag',
  latency: (place: Place, percentile: 'p50' | 'p99') =>
    `Idle latency, submit to completed, ${places[place]}: ${percentile}`,
  result: (percentile: 'p50' | 'p99') => `Result of work of another process, submit to result: ${percentile}`,
  bytes: 'Bytes per terminal execution beyond its payload, log trimmed',
  logBytes: 'Bytes of log per terminal execution',
  keys: 'Keys per terminal execution',
  memoryRate: 'Memory backend: lifecycles',
  memoryCost: 'Memory backend: cost of a transition, by executions stored',
  embeddedRate: 'Embedded, fsync everysec: lifecycles',
  embeddedOpen: 'Embedded: a million events read back',
  embeddedBytes: 'Embedded: bytes on the disk per terminal execution, compacted, log trimmed',
  stored: 'Submit + drain, tiny, with terminal executions stored',
  idleLanes: 'Idle worker of 100 lanes, 16 partitions: claims',
  idleLanesCommands: 'Idle worker of 100 lanes, 16 partitions: commands of the server',
  idleCommands: '100 idle worker slots: commands of the server',
  idleCpu: '100 idle worker slots: server CPU',
  idleClients: '100 idle worker slots: connections',
  coldImport: 'Cold import, beyond starting Node',
  usage: 'Reports of usage on one budget',
  lists: 'A page of 100 of 1 000 000 executions of one partition, p50',
  listsCpu: 'The same: CPU of the server for a page',
  listBytes: 'Bytes per terminal execution and list, by MEMORY USAGE',
  listCost: 'Server instructions per lifecycle of an execution with a tag',
  subscribers: 'An event appended, until 50 subscribers have it, p50',
  metered: 'Drain of 5 000 runs by a worker of 50 slots',
  tenants: 'From the creation of a run to its start, beside 1 000 tenants at their limits',
  aside: 'Claim and complete, 16 a call, with work aside',
  stepAlone: 'A step, one after the other',
  stepInFlight: 'A step, 16 in flight',
  stepsAtOnce: 'Steps begun together',
} as const;

/** Rows of the count of instructions, by the number of commands of a kind in a call. */
export const instructionRows = {
  create: (size: number) => `${size} a call: create`,
  completeAndClaim: (size: number) => `${size} a call: complete and claim`,
  lifecycle: (size: number) => `${size} a call: lifecycle`,
  inObject: (size: number, object: string) => `${size} a call: of it in ${object}`,
} as const;

/** Row name of the memory backend with so many executions stored. */
export const storedExecutions = { few: '1 000 executions', many: '1 000 000 executions' } as const;

/** Rows of the steps of handlers. */
export const stepRows = {
  step: 'a step of a handler',
  bare: 'a function of one HSET',
  ten: 'ten at once',
  one: 'one alone',
} as const;

/** Reports, so many under way at a time, and the bare function beside them. */
export const usageRows = {
  bare: (inFlight: number) => `one HINCRBY, ${inFlight} in flight`,
  reported: (inFlight: number) => `reportUsageAdmin, ${inFlight} in flight`,
};

/** Rows of metered work. */
export const meteredRows = {
  unmetered: 'without limits',
  metered: 'one quota with room',
  p50: 'p50',
  p99: 'p99',
} as const;

/** Rows of the claims beside work that nobody may claim. */
export const asideRows = { none: 'nothing aside', tenth: 'a tenth granted, held or blocked' } as const;

/** Rows of the pages of lists. */
export const listRows = {
  state: 'by state',
  lane: 'by lane, newest first',
  priority: 'by lane, by priority',
  tag: 'by an indexed tag',
  snapshot: 'whole, of a snapshot',
} as const;

/** Rows of the bytes of lists. */
export const listBytesRows = {
  all: 'all executions, by id',
  outcome: 'those that ended without success',
  tag: 'an indexed tag',
} as const;

/** Rows of what counts and an indexed tag cost, by the number of commands of a kind in a call. */
export const listCostRows = {
  without: (size: number) => `${size} a call: neither counted nor indexed`,
  kept: (size: number) => `${size} a call: counted, the tag indexed`,
} as const;

export const subscriberRows = { fifty: '50 subscribers' } as const;

/** The three crowds of the routing scenario. */
export const routingModes = ['happy', 'partial', 'scarce'] as const;
export type RoutingMode = (typeof routingModes)[number];

/** Groups of the routing scenario. */
export const routingGroups = {
  net: (mode: RoutingMode) => `Routing, ${mode}: claims from the first submit`,
  p50: (mode: RoutingMode) => `Routing, ${mode}: submit to claim, p50`,
  p99: (mode: RoutingMode) => `Routing, ${mode}: submit to claim, p99`,
  routed: (mode: RoutingMode) => `Routing, ${mode}: routed right`,
} as const;

/** Contestants and groups of the scenario of waits. */
export const waitRows = {
  subject: 'flowfabric, worker',
  bullmq: 'BullMQ on iovalkey, moveToDelayed and promote',
  cycle: 'suspend, signal, resume, complete',
  bare: 'four calls of a function of one HSET',
  single: 'a condition of one member',
  composite: 'a condition of 64 members',
} as const;
export const waitGroups = {
  woken: (percentile: 'p50' | 'p99') => `From a signal to the end of the work, worker waiting: ${percentile}`,
  cycle: 'Suspended and resumed, one after the other',
  deliver: 'A signal to suspended work',
} as const;

/** Contestants and groups of the scenario of streams. */
export const streamRows = {
  bare: 'a function with one XADD',
  durable: 'durable frame',
  summary: 'patch of a 4 KiB summary',
  readers: '200 readers of one stream',
} as const;
export const streamGroups = {
  one: 'Frames of 200 bytes, one in flight',
  sixteen: 'Frames of 200 bytes, 16 in flight',
  p50: 'From an append to its readers, p50',
  p99: 'From an append to its readers, p99',
  connections: 'Connections of the readers',
} as const;

/** Contestants and groups of the scenario of flows. */
export const flowRows = {
  subject: 'flowfabric, flow',
  bullmq: 'BullMQ on iovalkey, FlowProducer',
  race: (racers: number) => `a quorum of 3 of ${racers}`,
  created: 'a flow of 10 000 members and 20 000 edges created',
  cancelled: 'the same cancelled',
} as const;
export const flowGroups = {
  rate: 'Flows of a parent and ten children, submit to done',
  alone: 'One flow of a parent and ten children, submit to done: p50',
  race: 'From the ending that satisfies a quorum until the last sibling is cancelled: p99',
  large: 'A flow of 10 000 members and 20 000 edges',
  longest: 'Longest call on the server',
} as const;

/** How many loops do what becomes due at once. */
export const overdueLoops = [1, 2, 32] as const;
/** Rows of what becomes due at once, by the number of loops that do it. */
export const overdueRows = {
  purges: (loops: number) => `200 000 purges, ${loops === 1 ? 'one loop' : `${loops} loops`}`,
  delays: (loops: number) => `100 000 delays, ${loops === 1 ? 'one loop' : `${loops} loops`}`,
} as const;
export const overdueGroups = {
  seconds: 'Due at once, until the last is done',
  longest: 'Due at once: longest call on the server',
  slower: 'Due at once: lifecycles of another caller, alone / meanwhile',
} as const;

import {
  asideRows,
  flowGroups,
  flowRows,
  groups,
  instructionRows,
  labels,
  listBytesRows,
  listCostRows,
  listRows,
  lifecycleGroups,
  meteredRows,
  names,
  overdueGroups,
  overdueLoops,
  overdueRows,
  peerForms,
  routingGroups,
  routingModes,
  stepRows,
  storedExecutions,
  streamGroups,
  streamRows,
  subscriberRows,
  usageRows,
  waitGroups,
  waitRows,
} from './names.js';

/** Rows of one group, by name. */
export interface RowChoice {
  readonly group: string;
  readonly names: readonly string[];
}

/** A value to reach. */
export type Bound = { readonly atLeast: number } | { readonly atMost: number };

/** One goal of the project, as data. Every row that `subject` names is judged by itself. */
export interface Goal {
  /** The scenario that measures it. */
  readonly scenario: string;
  readonly title: string;
  readonly subject: RowChoice;
  /**
   * The rows whose best value divides the subject's value, run by run. Without them the subject's own value is judged.
   */
  readonly against?: RowChoice;
  /** Absent: the figure is reported and nothing is asked of it. */
  readonly bound?: Bound;
}

const { drain, lifecycle, nodeCpu } = lifecycleGroups;

/** Goals on one value of this engine. */
function absolute(scenario: string, title: string, group: string, name: string, bound: Bound): Goal {
  return { scenario, title, subject: { group, names: [name] }, bound };
}

/** Goals on a ratio to others within the same group. */
function ratio(
  scenario: string,
  title: string,
  group: string,
  name: string,
  against: readonly string[],
  bound?: Bound,
): Goal {
  const goal = { scenario, title, subject: { group, names: [name] }, against: { group, names: against } };
  return bound === undefined ? goal : { ...goal, bound };
}

const bothWays = ['single', 'batched'] as const;

/** A drain does not depend on how its work was submitted: the best of both is what ours is compared with. */
const bullmqDrain = peerForms.bullmq(bothWays);

/** One row per peer, for a drain. */
function againstOthers(scenario: string, label: string, group: (label: string) => string, name: string): Goal[] {
  const what = group === drain ? 'drain' : 'submit + drain';
  const submit = name === names.subjectBatchCalls || name === names.subjectBatchWorker ? 'batched' : 'single';
  const peers = peerForms.others(group === drain ? bothWays : [submit]);
  return [names.beeQueue, names.groupmq].map((peer) =>
    ratio(
      scenario,
      `${label}: ${what} / ${peer}`,
      group(label),
      name,
      peers.filter((form) => form.startsWith(peer)),
      { atLeast: 1 },
    ),
  );
}

const drains: readonly Goal[] = [
  ...(
    [
      ['drain', labels.drain, names.subjectFused, 2],
      ['drain', labels.drain, names.subjectWorker, 1.6],
      ['drain', labels.drain, names.subjectBatchCalls, 2.7],
      ['drain', labels.drain, names.subjectBatchWorker, 2.7],
      ['tiny', labels.tiny, names.subjectBatchCalls, 3.5],
      ['tiny', labels.tiny, names.subjectBatchWorker, 3.5],
      ['aof', labels.aof, names.subjectFused, 1.4],
      ['aof', labels.aof, names.subjectWorker, 1.4],
      ['aof', labels.aof, names.subjectBatchCalls, 2],
      ['aof', labels.aof, names.subjectBatchWorker, 2],
    ] as const
  ).map(([scenario, label, name, atLeast]) =>
    ratio(scenario, `${label}: drain / BullMQ’s best`, drain(label), name, bullmqDrain, { atLeast }),
  ),
  ...againstOthers('drain', labels.drain, drain, names.subjectFused),
  ...againstOthers('drain', labels.drain, drain, names.subjectWorker),
];

const lifecycles: readonly Goal[] = [
  ...(
    [
      ['drain', labels.drain, names.subjectFused, 'single', 1.8],
      ['drain', labels.drain, names.subjectWorker, 'single', 1.8],
      ['drain', labels.drain, names.subjectBatchCalls, 'batched', 2.5],
      ['drain', labels.drain, names.subjectBatchWorker, 'batched', 2.5],
    ] as const
  ).map(([scenario, label, name, submit, atLeast]) =>
    ratio(
      scenario,
      `${label}: submit + drain, ${submit} / BullMQ’s best`,
      lifecycle(label),
      name,
      peerForms.bullmq(submit === 'single' ? ['single'] : bothWays),
      { atLeast },
    ),
  ),
  ratio(
    'tiny',
    `${labels.tiny}: submit + drain, single / BullMQ’s best`,
    lifecycle(labels.tiny),
    names.subjectWorker,
    peerForms.bullmq(['single']),
  ),
  ...againstOthers('tiny', labels.tiny, lifecycle, names.subjectWorker).map(({ bound: _bound, ...goal }) => goal),
];

const cpu: readonly Goal[] = [
  absolute('tiny-16', 'Node CPU per lifecycle, tiny, 16 slots, µs', nodeCpu(labels.tiny16), names.subjectWorker, {
    atMost: 20,
  }),
  ...[names.subjectBatchCalls, names.subjectBatchWorker].map((name) =>
    absolute('tiny', 'Node CPU per lifecycle, tiny, batches of 100, µs', nodeCpu(labels.tiny), name, { atMost: 7 }),
  ),
];

const bullmq = [names.bullmqIovalkey, names.bullmqIoredis];

const latencies: readonly Goal[] = (
  [
    ['latency', 'here', 0.5],
    ['latency-elsewhere', 'elsewhere', 0.7],
  ] as const
).flatMap(([scenario, place, atMost]) => {
  const group = groups.latency(place, 'p50');
  const title = `submit to completed, worker ${place === 'here' ? 'in the same' : 'in another'} process, p50`;
  return [
    ratio(scenario, `${title} / BullMQ’s best`, group, names.subjectWorker, bullmq, { atMost }),
    {
      scenario,
      title: `${title} / BullMQ’s best`,
      subject: { group, names: [names.beeQueue, names.groupmq] },
      against: { group, names: bullmq },
    },
  ];
});

const storage: readonly Goal[] = [
  absolute('bytes', 'bytes per terminal execution, log trimmed', groups.bytes, names.subject, { atMost: 400 }),
  absolute('bytes', 'bytes of its log', groups.logBytes, names.subject, { atMost: 220 }),
  absolute('memory-backend', 'memory backend, lifecycles/s', groups.memoryRate, names.subject, { atLeast: 250_000 }),
  ratio(
    'memory-backend',
    'memory backend, transition with 1 000 000 stored / 1 000',
    groups.memoryCost,
    storedExecutions.many,
    [storedExecutions.few],
    { atMost: 2 },
  ),
  absolute('embedded', 'embedded, everysec, lifecycles/s', groups.embeddedRate, names.subject, { atLeast: 60_000 }),
  absolute('embedded', 'embedded, a million events read back, s', groups.embeddedOpen, names.subject, { atMost: 4 }),
  absolute('embedded', 'embedded, bytes per stored execution', groups.embeddedBytes, names.subject, { atMost: 400 }),
  ratio('stored', 'rate with 1 000 000 terminal stored / empty', groups.stored, names.fullStore, [names.emptyStore], {
    atLeast: 0.9,
  }),
];

const routing: readonly Goal[] = routingModes.flatMap((mode) => [
  absolute('routing', `${mode}: routed right, %`, routingGroups.routed(mode), names.subjectWorker, { atLeast: 100 }),
  absolute('routing', `${mode}: submit to claim, p99, ms`, routingGroups.p99(mode), names.subjectWorker, {
    atMost: 40,
  }),
]);

const steps: readonly Goal[] = [
  ratio('steps', 'a step / a function of one HSET', groups.stepAlone, stepRows.step, [stepRows.bare], { atMost: 1.5 }),
  ratio('steps', 'the same, 16 in flight', groups.stepInFlight, stepRows.step, [stepRows.bare], { atMost: 2.5 }),
  ratio('steps', 'ten steps at once / one', groups.stepsAtOnce, stepRows.ten, [stepRows.one], { atMost: 3 }),
];

const waits: readonly Goal[] = [
  ratio('waits', 'signal to completed, p50 / BullMQ', waitGroups.woken('p50'), waitRows.subject, [waitRows.bullmq], {
    atMost: 0.9,
  }),
  ratio('waits', 'signal to completed, p99 / BullMQ', waitGroups.woken('p99'), waitRows.subject, [waitRows.bullmq]),
  ratio('waits', 'a signal to 64 members / to one', waitGroups.deliver, waitRows.composite, [waitRows.single], {
    atMost: 2,
  }),
  ratio('waits', 'a cycle / four calls of one HSET', waitGroups.cycle, waitRows.cycle, [waitRows.bare]),
];

const races: readonly Goal[] = (
  [
    [10, 0.6],
    [100, 1.5],
    [1_000, 10],
  ] as const
).flatMap(([racers, atMost]) => [
  absolute(
    'flows',
    `quorum of 3 of ${racers}: last sibling cancelled, p99, ms`,
    flowGroups.race,
    flowRows.race(racers),
    {
      atMost,
    },
  ),
  absolute('flows', `quorum of 3 of ${racers}: longest call, ms`, flowGroups.longest, flowRows.race(racers), {
    atMost: 1,
  }),
]);

const flows: readonly Goal[] = [
  ratio('flows', 'flows of 1 + 10 / BullMQ', flowGroups.rate, flowRows.subject, [flowRows.bullmq], { atLeast: 3.5 }),
  ratio('flows', 'one flow of 1 + 10 alone, p50 / BullMQ', flowGroups.alone, flowRows.subject, [flowRows.bullmq], {
    atMost: 0.167,
  }),
  ...races,
  ...[flowRows.created, flowRows.cancelled].flatMap((name) => [
    absolute('flows', `${name}, s`, flowGroups.large, name, { atMost: 1 }),
    absolute('flows', `${name}: longest call, ms`, flowGroups.longest, name, { atMost: 5 }),
  ]),
];

const overdue: readonly Goal[] = (['purges', 'delays'] as const).flatMap((kind) =>
  overdueLoops.flatMap((loops) => {
    const name = overdueRows[kind](loops);
    return [
      absolute('overdue', `${name}: s`, overdueGroups.seconds, name, { atMost: 30 }),
      absolute('overdue', `${name}: longest call, ms`, overdueGroups.longest, name, { atMost: 5 }),
      absolute('overdue', `${name}: claims alone / meanwhile`, overdueGroups.slower, name, { atMost: 2 }),
    ];
  }),
);

/** The goals. Throughput and latency are judged in a warm process. */
export const goals: readonly Goal[] = [
  ...(
    [
      [16, '16 a call (stretch 150 000)', 170_000],
      [1, 'single (stretch 290 000)', 330_000],
    ] as const
  ).map(([size, how, atMost]) =>
    absolute(
      'instructions',
      `server instructions per lifecycle, ${how}`,
      groups.instructionsTiny,
      instructionRows.lifecycle(size),
      { atMost },
    ),
  ),
  ...overdue,
  ...drains,
  ...lifecycles,
  ...cpu,
  ...latencies,
  absolute('result', 'run.result() of work of another process, p50, ms', groups.result('p50'), names.subjectWorker, {
    atMost: 3,
  }),
  ...storage,
  absolute('idle-lanes', 'idle: 100 lanes, 16 partitions, claims/s', groups.idleLanes, names.subjectWorker, {
    atMost: 20,
  }),
  absolute('cold-import', 'cold import, ms', groups.coldImport, 'flowfabric', { atMost: 90 }),
  absolute('idle-slots', '100 idle slots: commands/s', groups.idleCommands, names.subjectWorker, { atMost: 25 }),
  absolute('idle-slots', '100 idle slots: connections', groups.idleClients, names.subjectWorker, { atMost: 2 }),
  ...routing,
  ...steps,
  ...waits,
  ...flows,
  ...(
    [
      [1, 0.8],
      [16, 0.4],
    ] as const
  ).map(([inFlight, atLeast]) =>
    ratio(
      'usage',
      `reports of usage / one HINCRBY, ${inFlight} in flight`,
      groups.usage,
      usageRows.reported(inFlight),
      [usageRows.bare(inFlight)],
      { atLeast },
    ),
  ),
  ratio('metered', 'metered runs / unmetered ones', groups.metered, meteredRows.metered, [meteredRows.unmetered], {
    atLeast: 0.8,
  }),
  absolute('metered', 'a tenant with room beside 1 000 at their limits, p99, ms', groups.tenants, meteredRows.p99, {
    atMost: 10,
  }),
  ratio(
    'aside',
    'claims, a tenth granted, held or blocked / nothing aside',
    groups.aside,
    asideRows.tenth,
    [asideRows.none],
    {
      atLeast: 0.95,
    },
  ),
  ...Object.values(listBytesRows).map((name) =>
    absolute('list-bytes', `bytes per terminal execution and list: ${name}`, groups.listBytes, name, { atMost: 24 }),
  ),
  ...(
    [
      [16, 1.05],
      [1, 1.12],
    ] as const
  ).map(([size, atMost]) =>
    ratio(
      'list-cost',
      `counts and an indexed tag, ${size === 1 ? 'single' : `${size} a call`}, instructions / without`,
      groups.listCost,
      listCostRows.kept(size),
      [listCostRows.without(size)],
      { atMost },
    ),
  ),
  ...Object.values(listRows).map((name) =>
    absolute('lists', `a page of 100 of a million, ${name}, ms`, groups.lists, name, { atMost: 3 }),
  ),
  absolute('subscribers', 'an event seen by 50 subscribers, p50, ms', groups.subscribers, subscriberRows.fifty, {
    atMost: 2,
  }),
  ratio(
    'streams',
    'a durable frame of 200 bytes / one XADD, one in flight',
    streamGroups.one,
    streamRows.durable,
    [streamRows.bare],
    { atLeast: 0.8 },
  ),
  ratio(
    'streams',
    'a durable frame of 200 bytes / one XADD, 16 in flight',
    streamGroups.sixteen,
    streamRows.durable,
    [streamRows.bare],
    { atLeast: 0.5 },
  ),
  ratio(
    'streams',
    'a patch of a 4 KiB summary / a durable frame, 16 in flight',
    streamGroups.sixteen,
    streamRows.summary,
    [streamRows.durable],
    { atLeast: 0.25 },
  ),
  absolute('streams', 'an append seen by 200 readers, p50, ms', streamGroups.p50, streamRows.readers, { atMost: 3 }),
  absolute('streams', '200 readers: connections', streamGroups.connections, streamRows.readers, { atMost: 2 }),
];

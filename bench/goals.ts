import {
  batchForms,
  bullmqForms,
  decayRows,
  groups,
  labels,
  lifecycleGroups,
  names,
  operations,
  routingGroups,
  routingModes,
  singleForms,
  storedEntities,
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
  /** Number of the goal, `P1` to `P19`. */
  readonly id: string;
  readonly title: string;
  readonly subject: RowChoice;
  /**
   * What the subject is divided by, run by run; the best of these rows in each run. Without it
   * the subject's own value is judged.
   */
  readonly against?: RowChoice;
  readonly bound: Bound;
  /** Judge the worst run and not the median. Default: the median. */
  readonly everyRun?: boolean;
  /** Reported but not judged, with the reason. */
  readonly reportOnly?: string;
}

const { drain, lifecycle, nodeCpu } = lifecycleGroups;

/** Shorthand for the commonest shape: this engine's forms in a group against others in the same group. */
function ratio(
  id: string,
  title: string,
  group: string,
  forms: readonly string[],
  against: readonly string[],
  bound: Bound,
): Goal {
  return { id, title, subject: { group, names: forms }, against: { group, names: against }, bound };
}

function absolute(id: string, title: string, group: string, rowNames: readonly string[], bound: Bound): Goal {
  return { id, title, subject: { group, names: rowNames }, bound };
}

const list = [names.list];
const idleSubject = [names.subjectWorker];

/**
 * The goals. P10 to P12 and P14 (signals, steady state, flows, quorum cancel) and P19 (the test loop) are
 * measured elsewhere.
 */
export const goals: readonly Goal[] = [
  ratio('P1', 'drain, one task in hand, against the list', drain(labels.s1), singleForms, list, { atLeast: 0.8 }),
  ratio('P1', 'drain, one task in hand, against BullMQ’s best', drain(labels.s1), singleForms, bullmqForms, {
    atLeast: 1.8,
  }),
  ratio('P2', 'drain with claim-ahead, against the list', drain(labels.s1), batchForms, list, { atLeast: 1.2 }),
  ratio('P2', 'drain with claim-ahead, against BullMQ’s best', drain(labels.s1), batchForms, bullmqForms, {
    atLeast: 2.7,
  }),
  ratio('P3', 'submit + drain, single, against BullMQ’s best', lifecycle(labels.s1), singleForms, bullmqForms, {
    atLeast: 2,
  }),
  ratio('P3', 'submit + drain, batched, against BullMQ’s best', lifecycle(labels.s1), batchForms, bullmqForms, {
    atLeast: 2.8,
  }),
  ratio('P4', 'tiny drain, one task in hand, against BullMQ’s best', drain(labels.tiny), singleForms, bullmqForms, {
    atLeast: 2.2,
  }),
  ratio('P4', 'tiny drain, batches of 100, against BullMQ’s best', drain(labels.tiny), batchForms, bullmqForms, {
    atLeast: 4.5,
  }),
  {
    ...ratio('P5', 'one worker, one in hand, against BullMQ', drain(labels.oneWorker), singleForms, [names.bullmqOne], {
      atLeast: 1.4,
    }),
    everyRun: true,
    reportOnly: 'a sequential round trip is bimodal on small virtual machines',
  },
  ratio('P6', 'AOF: drain, one task in hand, against BullMQ’s best', drain(labels.s1Aof), singleForms, bullmqForms, {
    atLeast: 1.4,
  }),
  ratio('P6', 'AOF: drain with claim-ahead, against BullMQ’s best', drain(labels.s1Aof), batchForms, bullmqForms, {
    atLeast: 2.2,
  }),
  absolute('P7', 'server calls per lifecycle', groups.serverCalls, [operations.lifecycle], { atMost: 18 }),
  absolute('P7', 'server time per lifecycle, µs', groups.serverUs, [operations.lifecycle], { atMost: 24 }),
  absolute('P7', 'server calls, submit', groups.serverCalls, [operations.submit], { atMost: 6 }),
  absolute('P7', 'server calls, claim', groups.serverCalls, [operations.claim], { atMost: 7 }),
  absolute('P7', 'server calls, complete', groups.serverCalls, [operations.complete], { atMost: 5 }),
  absolute('P7', 'server time, submit, µs', groups.serverUs, [operations.submit], { atMost: 7 }),
  absolute('P7', 'server time, claim, µs', groups.serverUs, [operations.claim], { atMost: 10 }),
  absolute('P7', 'server time, complete, µs', groups.serverUs, [operations.complete], { atMost: 7 }),
  absolute('P8', 'Node CPU, tiny, unbatched, µs', nodeCpu(labels.tiny), singleForms, { atMost: 25 }),
  absolute('P8', 'Node CPU, 4 KiB, unbatched, µs', nodeCpu(labels.s1), singleForms, { atMost: 45 }),
  absolute('P8', 'Node CPU, tiny, batched, µs', nodeCpu(labels.tiny), batchForms, { atMost: 6 }),
  absolute('P8', 'Node CPU, 4 KiB, batched, µs', nodeCpu(labels.s1), batchForms, { atMost: 18 }),
  ratio('P9', 'idle latency p50, against BullMQ', groups.latencyP50, idleSubject, [names.bullmq], { atMost: 0.35 }),
  ratio('P9', 'idle latency p99, against BullMQ', groups.latencyP99, idleSubject, [names.bullmq], { atMost: 0.4 }),
  ...routingModes.flatMap((mode): Goal[] => {
    const forms = [names.subjectCalls, names.subjectWorker];
    return [
      {
        ...absolute('P13', `S5 ${mode}: routed right, %`, routingGroups.routed(mode), forms, { atLeast: 100 }),
        everyRun: true,
      },
      absolute('P13', `S5 ${mode}: p99 submit to claim, ms`, routingGroups.p99(mode), forms, { atMost: 40 }),
    ];
  }),
  ...(['partial', 'scarce'] as const).flatMap((mode) =>
    [names.subjectCalls, names.subjectWorker].map(
      (form): Goal => ({
        id: 'P13',
        title: `S5 ${mode} against happy`,
        subject: { group: routingGroups.net(mode), names: [form] },
        against: { group: routingGroups.net('happy'), names: [form] },
        bound: { atLeast: 0.8 },
      }),
    ),
  ),
  absolute(
    'P13',
    'S5 happy: start-up included, claims/s',
    routingGroups.wall('happy'),
    [names.subjectCalls, names.subjectWorker],
    { atLeast: 3_200 },
  ),
  absolute('P15', 'memory per terminal execution, B', groups.memoryTiny, [names.subjectFused], { atMost: 400 }),
  absolute('P15', 'keys per terminal execution', groups.memoryKeys, [names.subjectFused], { atMost: 2 }),
  absolute('P16', '100 idle slots: commands/s', groups.idleCommands, idleSubject, { atMost: 25 }),
  absolute('P16', '100 idle slots: server CPU, %', groups.idleCpu, idleSubject, { atMost: 0.2 }),
  absolute('P16', '100 idle slots: server CPU beyond the server alone, %', groups.idleCpuAdded, idleSubject, {
    atMost: 0.2,
  }),
  absolute('P16', '100 idle slots: connections', groups.idleClients, idleSubject, { atMost: 2 }),
  absolute('P17', 'memory backend, lifecycles/s', groups.memoryBackendRate, ['flowfabric'], { atLeast: 250_000 }),
  ratio(
    'P17',
    'memory backend, cost at 1 000 000 against 1 000',
    groups.memoryBackendCost,
    [storedEntities(1_000_000)],
    [storedEntities(1_000)],
    { atMost: 2 },
  ),
  ratio('P18', '100 000 jobs against 10 000', groups.decayLength, [decayRows.long], [decayRows.short], {
    atLeast: 0.9,
  }),
  ratio('P18', '1 000 000 stored against empty', groups.decayStored, [decayRows.stored], [decayRows.empty], {
    atLeast: 0.9,
  }),
];

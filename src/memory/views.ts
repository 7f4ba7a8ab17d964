/** What decisions read of a partition in memory, found by its indexes. */
import { budgetsByDefinition } from '../../model/budget/view.js';
import type { LoggedEvent } from '../../model/events.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { idempotencyId, isValid } from '../../model/execution/idempotency.js';
import { wholeOf, type ExecutionView } from '../../model/execution/view.js';
import { compareBytes } from '../../model/ids.js';
import { lostByDefinition } from '../../model/lease/expired.js';
import { leastUrgentFrom } from '../../model/metering/line.js';
import { placed, type MeteringView } from '../../model/metering/view.js';
import { quarantineByDefinition } from '../../model/partition/quarantine.js';
import type { LogView } from '../../model/partition/view.js';
import { quotasByDefinition } from '../../model/quota/view.js';
import { headOf, lanesAfter, type ScheduleView } from '../../model/schedule/view.js';
import { signingByDefinition } from '../../model/signing/view.js';
import type { Partition } from '../../model/state.js';
import { stepsByDefinition } from '../../model/step/view.js';
import { streamsByDefinition } from '../../model/stream/view.js';
import { workersByDefinition } from '../../model/worker/view.js';
import type { View } from '../../model/view.js';
import type { BoundedLog } from './bounded-log.js';
import { headsOf, type ExecutionIndexes } from './execution-indexes.js';
import { ID_ALONE, listedPage, possiblyLost, queuedPage, suspendedPage } from './lists.js';
import { NONE } from './standing.js';

/** Copies bytes, because callers may change theirs. */
export const copyOf = (bytes: Uint8Array | undefined): Buffer | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes);

/** Whether a lane gives work: it is not paused. */
export const givesWork = ({ state }: Partition, laneId: string): boolean =>
  state.tables.lane.get(laneId)?.laneState !== 'paused';

export const viewOf = (partition: Partition, indexes: ExecutionIndexes, log: BoundedLog): View => ({
  // A partition has a few keys.
  signing: signingByDefinition(partition),
  executions: executionView(partition, indexes),
  schedule: scheduleView(partition, indexes),
  streams: streamsByDefinition(partition),
  steps: stepsByDefinition(partition),
  log: logView(partition, log),
  // Found by id; only their list scans all of them.
  budgets: budgetsByDefinition(partition),
  quarantine: quarantineByDefinition(),
  metering: meteringView(partition, indexes),
  workers: workersByDefinition(partition),
  quotas: quotasByDefinition(partition),
  flows: indexes.flows.view(partition.state),
});

function executionView(
  { state, bytes, payloads }: Partition,
  { ids: all, queues, suspended, timers }: ExecutionIndexes,
): ExecutionView {
  const { execution: executions, idempotency_key: keys } = state.tables;
  const get = (executionId: string): ReadonlyExecution | undefined => executions.get(executionId);
  const ids = (after: string | undefined, limit: number): readonly string[] => {
    const page = after === undefined ? all.head(limit) : all.after(ID_ALONE, after, limit);
    return page.map(({ executionId }) => executionId);
  };
  return {
    get,
    ids,
    whole: (after, limit) => wholeOf({ ids, get }, after, limit),
    listed: (filter, before, limit) => listedPage(all, filter, before, limit),
    queued: (filter, after, limit) => queuedPage(queues, filter, after, limit),
    lost: (namespace, asOf, after, limit) =>
      lostByDefinition(possiblyLost(timers, queues, asOf), namespace, asOf, after, limit),
    suspended: (filter, after, limit) => suspendedPage(suspended, filter, after, limit),
    ofKey(namespace, key, now) {
      const entry = keys.get(idempotencyId(namespace, key));
      const first = entry && get(entry.executionId);
      return first && isValid(entry, first, now) ? first.executionId : undefined;
    },
    input: (executionId) => copyOf(bytes.input.get(executionId)),
    result: (executionId) => copyOf(bytes.result.get(executionId)),
    payload: (executionId, signalId) => copyOf(payloads.get(executionId)?.get(signalId)),
  };
}

function scheduleView(partition: Partition, { queues, timers, slots, counts }: ExecutionIndexes): ScheduleView {
  const lanes = partition.state.tables.lane;
  let names: readonly string[] = [];
  /** Lanes are never removed, so as many names are the same names. */
  const inOrder = (): readonly string[] => {
    if (names.length !== lanes.size) names = [...lanes.keys()].sort(compareBytes);
    return names;
  };
  return {
    lane: (laneId) => lanes.get(laneId),
    claimable: (laneId, terms, limit) => (givesWork(partition, laneId) ? queues.claimable(laneId, terms, limit) : []),
    heads: (laneId) => (givesWork(partition, laneId) ? Array.from(headsOf(queues.unmetered(laneId)), headOf) : []),
    eligible: (laneId, wanted, among, limit) =>
      givesWork(partition, laneId) ? queues.eligible(laneId, wanted, among, limit) : [],
    due: (now, limit, after) => timers.due(now, limit, after),
    purgeable: (now, limit) => slots.due(now, limit),
    nextDueAt(passed) {
      const timer = passed === undefined ? timers.firstAt : timers.firstAfter(passed);
      const next = Math.min(timer, slots.first ?? NONE);
      return next === NONE ? undefined : next;
    },
    lanes: (after, limit) => lanesAfter(inOrder(), after, limit),
    tallies: () => counts.entries(),
  };
}

function meteringView(partition: Partition, { queues }: ExecutionIndexes): MeteringView {
  const { admission: admissions } = partition.state.tables;
  return {
    admission: (admissionId) => admissions.get(admissionId),
    heads: (laneId, after, limit) =>
      givesWork(partition, laneId) ? placed([...headsOf(queues.metered(laneId))], after, limit) : [],
    line: (queue, now) => {
      const known = queues.queueOf(queue)?.work;
      const from = leastUrgentFrom(known?.lastScore, now);
      // Scores are whole numbers, so entries after `from + 0.5` have greater scores.
      const oldest = from === undefined ? undefined : known?.after(from + 0.5, '', 1)[0];
      return { waiting: known?.size ?? 0, oldest };
    },
  };
}

const logView = ({ header, state }: Partition, log: BoundedLog): LogView => ({
  header,
  readers: state.tables.reader,
  read: (after, limit): readonly LoggedEvent[] => log.read(after, limit),
});

import { budget, budgetBill, budgetList, budgetUsage } from './budgets.js';
import type { ReadonlyExecution } from '../../../model/execution/facts.js';
import { compareBytes, executionIdIn, memberOf, partitionOfExecution } from '../../../model/ids.js';
import { entityNameIn, type Quarantined } from '../../../model/partition/quarantine.js';
import type { ParsedArgsOf, QueryName } from '../../../model/machine.js';
import { LIMITS } from '../../../model/limits.js';
import { decodeCursor, NOW } from '../../../model/partition/cursor.js';
import { NO_NOTICES } from '../../../model/partition/notices.js';
import { emptyHeader } from '../../../model/state.js';
import { lanesToRead } from '../../../model/metering/reads.js';
import { partsOfQueue } from '../../../model/schedule/queue.js';
import type { QueueHead } from '../../../model/schedule/queue-heads.js';
import { decodeEntry } from '../records/log-entries.js';
import { decodeEntity, decodeRecord, readersOf, unlessDamaged } from '../records/record.js';
import { viewOf, type Fetch } from './fetch.js';
import { describeEdge, describeFlow, listEdges, listFlowMembers, listFlows } from './flows.js';
import { listExecutionSummaries, listExpiredLeases, listQueued } from './execution-lists.js';
import { recordedSteps } from './steps.js';
import { streamFrames, streamSummary } from './streams.js';
import { policyAnswered } from '../records/quotas.js';
import { readSnapshot } from './snapshot.js';
import { decodeTally } from '../records/tally.js';
import { bytesOf, listOf, numberOf, pairsOf, repliesOf, rowsOf, textOf, textsOf } from '../wire/reply.js';
import { listWaitpointHmacKids, readWaitpointToken } from './signing.js';
import { listWorkers } from './workers.js';
import { listPendingWaitpoints, listSuspended, signalPage } from './waiting.js';
import { decodeWaits } from '../records/waits.js';

/** The head of a queue, from its lane, name and priority. */
function headOf([laneId = '', name = '', priority = '']: readonly string[]): QueueHead {
  const { needs, executionKind } = partsOfQueue(name);
  const requiredCapabilities = needs === '' ? [] : needs.split(',');
  return { laneId, requiredCapabilities, executionKind, priority: Number(priority) };
}

/** The facts of the head of a metered queue, from its lane, name and priority. */
function meteredHeadOf(row: readonly string[]): MeteredHeadFacts {
  return { ...headOf(row), meters: partsOfQueue(row[1] ?? '').meters.split(',') };
}

/** An entry of the quarantine: its name in the API, the time, and the reason. */
function quarantinedOf(partition: string, member: string, value: string): Quarantined {
  const tab = value.indexOf('\t');
  return { name: entityNameIn(partition, member), at: Number(value.slice(0, tab)) || 0, reason: value.slice(tab + 1) };
}
type MeteredHeadFacts = Pick<
  ReadonlyExecution,
  'laneId' | 'requiredCapabilities' | 'executionKind' | 'priority' | 'meters'
>;

type Fetches = { [Name in QueryName]: Fetch<ParsedArgsOf<Name>> };

function executionFetch(
  input: boolean,
  result: boolean,
): Fetch<{ readonly executionId: string; readonly withResult?: boolean }> {
  const flag = (wanted: boolean): string => (wanted ? '1' : '0');
  return {
    request: ({ executionId, withResult = result }) => {
      return ['read_execution', memberOf(executionId), flag(input), flag(withResult)];
    },
    bytesAt: 2,
    view(reply, { executionId }) {
      const [core, details, bytes] = repliesOf(reply, 3);
      const [payload, output] = repliesOf(bytes, 2);
      const execution = decodeRecord(executionId, { core: pairsOf(core), details: pairsOf(details) });
      return viewOf({
        executions: { get: () => execution, input: () => bytesOf(payload), result: () => bytesOf(output) },
      });
    },
  };
}

const facts = executionFetch(false, false);

/** An execution with its waits. */
const waiting: Fetch<{ executionId: string }> = {
  request: ({ executionId }) => ['read_waiting', memberOf(executionId)],
  view(reply, { executionId }) {
    const [core, details, waits] = repliesOf(reply, 3);
    const execution = decodeRecord(executionId, { core: pairsOf(core), details: pairsOf(details) });
    const whole = execution && { ...execution, waiting: decodeWaits(pairsOf(waits)) };
    return viewOf({ executions: { get: () => whole } });
  },
};

/** Sorts after every short id. */
const AFTER_ALL = '~';

/** Where a listing continues inside a partition; the cursor may be in another one. */
function memberAfter(partition: string, cursor: string | undefined): string {
  if (cursor === undefined) return '';
  if (partitionOfExecution(cursor) === partition) return memberOf(cursor);
  return compareBytes(cursor, partition) < 0 ? '' : AFTER_ALL;
}

export const FETCHES: Fetches = {
  describeExecution: facts,
  readExecutionInfo: facts,
  readExecutionState: facts,
  readExecutionContext: executionFetch(true, false),
  getExecutionResult: executionFetch(false, true),
  getExecutionTags: facts,
  readWaitpointToken,
  listWaitpointHmacKids,
  describeSuspension: waiting,
  observeSignals: signalPage('observe_signals'),
  listSignals: signalPage('list_signals'),
  listSuspended,
  listPendingWaitpoints,
  readWaits: waiting,
  findExecution: {
    request: ({ namespace, idempotencyKey }) => ['find_execution', namespace, idempotencyKey],
    // The library has checked by the server's clock whether the key is valid.
    view: (reply, { partition }) =>
      viewOf({ executions: { ofKey: () => (reply === null ? undefined : executionIdIn(partition, textOf(reply))) } }),
  },
  listExecutions: {
    request: ({ partition, cursor, limit }) => ['list_executions', memberAfter(partition, cursor), String(limit + 1)],
    view: (reply, { partition }) =>
      viewOf({ executions: { ids: () => textsOf(reply).map((id) => executionIdIn(partition, id)) } }),
  },
  listExecutionSummaries,
  listQueued,
  listExpiredLeases,
  listPartitionLanes: {
    request: ({ cursor, limit }) => ['list_lanes', cursor ?? '', String(limit + 1)],
    view: (reply) => viewOf({ schedule: { lanes: () => textsOf(reply) } }),
  },
  listQuarantined: {
    request: ({ cursor, limit }) => ['list_quarantined', cursor ?? '', String(Math.max(1, limit))],
    view(reply, { partition }) {
      const [next, pairs] = repliesOf(reply, 2);
      const entries = [...pairsOf(pairs)].map(([name, value]) => quarantinedOf(partition, name, value));
      const cursor = textOf(next);
      return viewOf({ quarantine: { list: () => ({ entries, nextCursor: cursor === '0' ? undefined : cursor }) } });
    },
  },
  readCounts: {
    request: ({ cursor, limit }) => ['read_counts', cursor ?? '', String(limit + 1)],
    view(reply) {
      const lanes = listOf(reply).map((row) => {
        const [lane, counts] = repliesOf(row, 2);
        return [textOf(lane), counts] as const;
      });
      return viewOf({
        schedule: {
          lanes: () => lanes.map(([lane]) => lane),
          tallies: () =>
            new Map(
              lanes.map(([lane, counts]) => {
                const tally = counts === null ? undefined : unlessDamaged(() => decodeTally(lane, pairsOf(counts)));
                return [lane, tally ?? 'damaged'];
              }),
            ),
        },
      });
    },
  },
  readLane: {
    request: ({ laneId }) => ['read_lane', laneId],
    view(reply, { laneId }) {
      const [core, details] = repliesOf(reply, 2);
      const lane = decodeEntity('lane', laneId, { core: pairsOf(core), details: pairsOf(details) });
      return viewOf({ schedule: { lane: () => lane } });
    },
  },
  listQueueHeads: {
    request: ({ laneIds }) => ['list_queue_heads', ...laneIds],
    view(reply) {
      const heads = rowsOf(textsOf(reply), 3).map(headOf);
      return viewOf({ schedule: { heads: (laneId) => heads.filter((head) => head.laneId === laneId) } });
    },
  },
  readQuotaPolicyLimits: {
    request: ({ quotaPolicyId }) => ['read_quota_policy_limits', quotaPolicyId],
    view: (reply, { quotaPolicyId }) =>
      viewOf({ quotas: { policy: () => (reply === null ? undefined : policyAnswered(quotaPolicyId, reply)) } }),
  },
  listMeteredHeads: {
    request({ laneIds, cursor, limit }) {
      const rest = lanesToRead(laneIds, cursor);
      return ['list_metered_heads', rest.after, String(limit), ...rest.laneIds];
    },
    view(reply) {
      const heads = rowsOf(textsOf(reply), 3).map(meteredHeadOf);
      return viewOf({
        metering: {
          heads: (laneId) =>
            heads.filter(
              (head) => head.laneId === laneId,
            ) as readonly MeteredHeadFacts[] as readonly ReadonlyExecution[],
        },
      });
    },
  },
  scanEligibleExecutions: {
    // A sign before the capabilities tells an empty list from an absent one.
    request: ({ laneId, among, workerCapabilities, kinds, limit }) => [
      'scan_eligible_executions',
      laneId,
      among,
      workerCapabilities === undefined ? '*' : `=${workerCapabilities.join(',')}`,
      (kinds ?? []).join('\t'),
      String(limit),
    ],
    view: (reply, { partition }) =>
      viewOf({
        schedule: { eligible: () => textsOf(reply).map((id) => executionIdIn(partition, id)) },
      }),
  },
  getBudgetStatus: budget,
  readBudgetRoom: budget,
  readBudgetBill: budgetBill,
  readBudgetUsage: budgetUsage,
  listBudgets: budgetList,
  readStream: streamFrames,
  readSummary: streamSummary,
  readSteps: recordedSteps,
  readLog: {
    request({ after, limit }) {
      if (after === NOW) return ['read_log', String(LIMITS.maxInteger), '1'];
      const known = after === undefined ? 0 : decodeCursor(after).sequence;
      // The entry of the cursor is read too, to check that it is the one that the reader saw.
      return ['read_log', String(Math.max(0, known - 1)), String(limit + 1)];
    },
    view(reply, { partition }) {
      const [entries, generation, sequence, time] = repliesOf(reply, 4);
      const events = listOf(entries).map((entry) => decodeEntry(entry, partition));
      const header = {
        generation: textOf(generation),
        sequence: numberOf(sequence),
        time: numberOf(time),
        applier: undefined,
        notices: NO_NOTICES,
      };
      return viewOf({ log: { header, readers: new Map(), read: () => events } });
    },
  },
  readSnapshot,
  listWorkers,
  describeFlow,
  getFlowTag: describeFlow,
  describeEdge,
  listEdges,
  listFlows,
  listFlowMembers,
  resolveExecutionFlowId: facts,
  evaluateFlowEligibility: facts,
  listReaders: {
    request: () => ['list_readers'],
    view(reply) {
      const [places, generation, sequence] = repliesOf(reply, 3);
      const header = { ...emptyHeader(), generation: textOf(generation), sequence: numberOf(sequence) };
      return viewOf({ log: { header, readers: readersOf(pairsOf(places)), read: () => [] } });
    },
  },
};

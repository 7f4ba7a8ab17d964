/**
 * Reads on the server. A read of the model runs on a view; here the view holds just what the read needs, fetched in
 * one call. So both backends share one meaning of every read.
 */
import { EngineError } from '../../model/errors.js';
import type { LoggedEvent } from '../../model/events.js';
import type { Execution, ReadonlyExecution } from '../../model/execution/execution.js';
import { executionPolicy } from '../../model/execution/policy.js';
import { isActive, SITUATIONS, type NextAttempt, type Situation } from '../../model/execution/situation.js';
import { compareBytes, partitionOfExecution } from '../../model/ids.js';
import type { ParsedArgsOf, QueryName } from '../../model/machine.js';
import { dueCommand, purgeCommand, type TimerKind } from '../../model/schedule/timers.js';
import type { View } from '../../model/view.js';
import { CORE_FIELDS, DETAIL_FIELDS } from '../../lua/layout.js';
import { decodeEntry, pairsOf, sequenceOf, textOf, type WireArgument, type WireReply } from './wire.js';

/** What the library is asked, and the view made of its answer. */
interface Fetch<Args> {
  request(args: Args): readonly WireArgument[];
  view(reply: WireReply, args: Args): Partial<View>;
}

type Fetches = { [Name in Exclude<QueryName, 'listDue'>]: Fetch<ParsedArgsOf<Name>> };

function executionFetch(payload: boolean, result: boolean): Fetch<{ executionId: string }> {
  const flag = (wanted: boolean): string => (wanted ? '1' : '0');
  return {
    request: ({ executionId }) => ['read_execution', executionId, flag(payload), flag(result)],
    view(reply, { executionId }) {
      const [core, details, input, output] = reply as [WireReply, WireReply, Buffer | null, Buffer | null];
      const execution = decodeExecution(executionId, pairsOf(core), pairsOf(details));
      return { execution: () => execution, payload: () => input ?? undefined, result: () => output ?? undefined };
    },
  };
}

const facts = executionFetch(false, false);

/** Sorts after every UUID. */
const AFTER_ALL = 'g';

/** Where a listing goes on inside a partition; the cursor may be of another one. */
function uuidAfter(partition: string, cursor: string | undefined): string {
  if (cursor === undefined) return '';
  if (partitionOfExecution(cursor) === partition) return cursor.slice(partition.length + 1);
  return compareBytes(cursor, partition) < 0 ? '' : AFTER_ALL;
}

export const FETCHES: Fetches = {
  describeExecution: facts,
  readExecutionInfo: facts,
  readExecutionState: facts,
  readExecutionContext: executionFetch(true, false),
  getExecutionResult: executionFetch(false, true),
  findExecution: {
    request: ({ namespace, idempotencyKey }) => ['find_execution', namespace, idempotencyKey],
    // The library has judged by its own clock whether the key lives.
    view: (reply) => ({ idempotent: () => (reply === null ? undefined : textOf(reply)) }),
  },
  listExecutions: {
    request: ({ partition, cursor, limit }) => ['list_executions', uuidAfter(partition, cursor), String(limit + 1)],
    view: (reply, { partition }) => ({
      executionIds: () => (reply as WireReply[]).map((uuid) => `${partition}:${textOf(uuid)}`),
    }),
  },
  listPartitionLanes: {
    request: () => ['list_lanes'],
    view: (reply) => ({ lanes: () => (reply as WireReply[]).map(textOf).sort(compareBytes) }),
  },
  readLog: {
    request: ({ after, limit }) => ['read_log', String(after), String(limit)],
    view(reply) {
      const [entries, last] = reply as [[WireReply, WireReply[]][], WireReply];
      const events: readonly LoggedEvent[] = entries.map(decodeEntry);
      return { log: () => events, logEnd: () => sequenceOf(textOf(last)) };
    },
  },
};

/** Due work as the library found it: it names the kind of each timer itself. */
export function decodeDue(
  partition: string,
  reply: WireReply,
): { commands: ReturnType<typeof dueCommand>[]; nextDueAt: number | undefined } {
  const [due, purgeable, next] = reply as [WireReply[], WireReply[], WireReply];
  const commands: ReturnType<typeof dueCommand>[] = [];
  for (let i = 0; i + 1 < due.length; i += 2)
    commands.push(
      dueCommand(`${partition}:${textOf(due[i] as WireReply)}`, textOf(due[i + 1] as WireReply) as TimerKind),
    );
  for (const id of purgeable) commands.push(purgeCommand(`${partition}:${textOf(id)}`));
  return { commands, nextDueAt: next === null ? undefined : Number(textOf(next)) };
}

/** An execution as the model knows it, from its two hashes. @throws EngineError `corruption` */
export function decodeExecution(
  executionId: string,
  core: ReadonlyMap<string, string>,
  details: ReadonlyMap<string, string>,
): ReadonlyExecution | undefined {
  if (core.size === 0) return undefined;
  const text = (name: keyof typeof CORE_FIELDS): string | undefined => core.get(CORE_FIELDS[name]) || undefined;
  const number = (name: keyof typeof CORE_FIELDS): number | undefined => {
    const value = text(name);
    return value === undefined ? undefined : wholeNumber(executionId, name, value);
  };
  const required = <Value>(name: keyof typeof CORE_FIELDS, value: Value | undefined): Value => {
    if (value === undefined) throw new EngineError('corruption', `${executionId}: ${name}: is missing.`);
    return value;
  };
  const situation = required('situation', text('situation'));
  if (!Object.hasOwn(SITUATIONS, situation))
    throw new EngineError('corruption', `${executionId}: situation: "${situation}" is unknown.`);
  const active = isActive(situation as Situation);
  const ofLease = <Value>(value: Value): Value | undefined => (active ? value : undefined);
  const [workerId, workerInstanceId] = ofLease(text('currentWorker'))?.split(':') ?? [];
  const createdAt = required('createdAt', number('createdAt'));
  const policy = details.get(DETAIL_FIELDS.policy);
  const tags = details.get(DETAIL_FIELDS.tags);
  const execution: Execution = {
    executionId,
    namespace: required('namespace', text('namespace')),
    laneId: required('laneId', text('laneId')),
    executionKind: required('executionKind', text('executionKind')),
    creatorIdentity: required('creatorIdentity', text('creatorIdentity')),
    requiredCapabilities: text('requiredCapabilities')?.split(',') ?? [],
    tags: tags === undefined ? {} : (JSON.parse(tags) as Record<string, string>),
    policy: policy === undefined ? undefined : executionPolicy.parse(JSON.parse(policy)),
    payloadBytes: number('payloadBytes') ?? 0,
    payloadEncoding: text('payloadEncoding'),
    createdAt,
    executionDeadlineAt: number('executionDeadlineAt'),
    priority: number('priority') ?? 0,
    situation: situation as Situation,
    nextAttempt: (text('nextAttempt') ?? 'first') as NextAttempt,
    dueAt: number('dueAt'),
    lastTransitionAt: number('lastTransitionAt') ?? createdAt,
    startedAt: number('startedAt'),
    totalAttemptCount: number('totalAttemptCount') ?? 0,
    currentAttemptId: text('currentAttemptId'),
    attemptTimeoutAt: ofLease(number('attemptTimeoutAt')),
    attemptTimeoutRemainingMs: number('attemptTimeoutRemainingMs'),
    currentLeaseId: ofLease(text('currentLeaseId')),
    currentLeaseEpoch: number('currentLeaseEpoch') ?? 0,
    currentWorkerId: workerId,
    currentWorkerInstanceId: workerInstanceId,
    leaseLastRenewedAt: ofLease(number('leaseLastRenewedAt')),
    leaseRevokeReason: details.get(DETAIL_FIELDS.leaseRevokeReason),
    retryCount: number('retryCount') ?? 0,
    leaseReclaimCount: number('leaseReclaimCount') ?? 0,
    leaseReleaseCount: number('leaseReleaseCount') ?? 0,
    failureReason: details.get(DETAIL_FIELDS.failureReason),
    failureCategory: text('failureCategory'),
    cancellationReason: details.get(DETAIL_FIELDS.cancellationReason),
    cancelledBy: text('cancelledBy'),
    progressPct: number('progressPct'),
    progressMessage: details.get(DETAIL_FIELDS.progressMessage),
    progressUpdatedAt: number('progressUpdatedAt'),
    resultBytes: number('resultBytes'),
    resultEncoding: text('resultEncoding'),
  };
  return execution;
}

function wholeNumber(executionId: string, name: string, value: string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number))
    throw new EngineError('corruption', `${executionId}: ${name}: "${value}" is not an integer.`);
  return number;
}

/** The workers of a namespace, in all processes. */
import { capabilities as capabilityField, workerInstanceId } from '../../../model/core/fields.js';
import { LIMITS } from '../../../model/limits.js';
import type { WorkerInfo } from '../../../model/worker/reads.js';
import type { Backend } from '../../backend/backend.js';
import { livingWorkers, markDead, takes, type DeadWorkerReport } from '../../engine/workers.js';
import { checkBoolean, checkField, checkList, needField } from '../../shared/checks.js';
import { knownOnly } from '../../shared/known-only.js';
import { laneIdOf, laneNameOf } from '../../shared/lane-names.js';
import { boundText } from '../../util/text.js';
import { askedBy } from './asked-by.js';
import type { TaskReference } from '../tasks/task.js';
import { kindOf } from './run-list.js';

/** Selects workers; an absent member matches all. */
export interface WorkerFilter {
  /** A lane that the worker serves. */
  readonly lane?: string | undefined;
  /** A task that the worker runs, or its name. */
  readonly task?: TaskReference | string | undefined;
  /** The same, as the engine calls it: give one of the two. */
  readonly kind?: string | undefined;
  /** Capabilities, all of which the worker must have. */
  readonly capabilities?: readonly string[] | undefined;
}

const FILTER = { lane: true, task: true, kind: true, capabilities: true } as const;

/** A live worker. Times are ms since the epoch. */
export interface WorkerRow {
  /** Its `workerInstanceId`: `app.runs({ worker: id })` lists the runs that it holds. */
  readonly id: string;
  /** Its pool: the `workerId`. */
  readonly pool: string;
  /** The lanes that it serves, as named by tasks. */
  readonly lanes: readonly string[];
  /** The capabilities that it offers to tasks with `needs`. */
  readonly capabilities: readonly string[];
  /** The names of the tasks that it runs; absent if it takes work of any task. */
  readonly kinds: readonly string[] | undefined;
  /** Handlers that it runs at once; absent if it did not say. */
  readonly slots: number | undefined;
  /** Runs that it held at its last heartbeat. */
  readonly running: number;
  /** Whether it only finishes its runs and takes no more. */
  readonly draining: boolean;
  /** When it started. */
  readonly since: number;
  /** When its last heartbeat came. */
  readonly heardAt: number;
  /** When it counts as dead, unless there is a heartbeat before. */
  readonly expiresAt: number;
}

const rowOf = (worker: WorkerInfo): WorkerRow => ({
  id: worker.workerInstanceId,
  pool: worker.workerId,
  lanes: worker.lanes.map(laneNameOf),
  capabilities: worker.capabilities,
  kinds: worker.kinds,
  slots: worker.slots,
  running: worker.running,
  draining: worker.draining,
  since: worker.registeredAt,
  heardAt: worker.lastHeartbeatAt,
  expiresAt: worker.expiresAt,
});

export interface WorkerSource {
  readonly namespace: string;
  backend(): Promise<Backend>;
  call<T>(command: () => Promise<T>): Promise<T>;
}

/** The matching workers, by id. With a filter, draining workers are left out: they take no work. */
export async function* workerRows(
  source: WorkerSource,
  filter: WorkerFilter,
): AsyncGenerator<WorkerRow, void, undefined> {
  const where = 'workers';
  knownOnly<WorkerFilter>(where, filter, FILTER);
  const { lane, capabilities } = filter;
  const kind = kindOf(where, filter);
  checkList(where, 'capabilities', capabilities);
  checkField(where, 'capabilities', capabilityField, capabilities);
  const laneId = lane === undefined ? undefined : laneIdOf(lane, where);
  const isAny = [lane, kind, capabilities].every((given) => given === undefined);
  const wanted = { laneId, executionKind: kind, requiredCapabilities: capabilities };
  const backend = await source.backend();
  for await (const worker of livingWorkers(backend, source.namespace, (read) => source.call(read)))
    if (isAny || takes(worker, wanted)) yield rowOf(worker);
}

export interface MarkDeadOptions {
  /** Revokes its leases, so that other workers continue its runs at once. Default false: the leases lapse. */
  readonly revoke?: boolean | undefined;
  /** Why, for the log. Truncated after 256 bytes, and marked with "…"; control characters become spaces. */
  readonly reason?: string | undefined;
  /** The requester, for the log. Default `operator`. */
  readonly requestedBy?: string | undefined;
}

/** Control characters, which the log has in no reason of a worker's death. */
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g;

const MARK_OPTIONS = { revoke: true, reason: true, requestedBy: true } as const;

export async function markWorkerDead(
  source: WorkerSource,
  id: string,
  options: MarkDeadOptions,
): Promise<DeadWorkerReport> {
  const where = 'markWorkerDead';
  knownOnly<MarkDeadOptions>(where, options, MARK_OPTIONS);
  const { revoke = false } = options;
  checkBoolean('markWorkerDead', 'revoke', revoke);
  needField(where, 'the id', workerInstanceId, id);
  const { reason, requestedBy } = askedBy(where, options);
  const dead = {
    ...{ namespace: source.namespace, workerInstanceId: id, requestedBy, revoke },
    reason: boundText(reason.replaceAll(CONTROL, ' '), LIMITS.maxDeathReasonBytes),
  };
  return markDead(await source.backend(), dead, (command) => source.call(command));
}

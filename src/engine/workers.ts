/**
 * Workers of a namespace for people and schedulers: which are alive, whether any of them can take some work, and what
 * to do about a dead one (rulings 43 and 44).
 */
import { coversCapabilities } from '../../model/vocabulary/capabilities.js';
import { partitionsOf } from '../../model/families.js';
import { compareBytes } from '../../model/ids.js';
import { LIMITS } from '../../model/limits.js';
import type { Command } from '../../model/machine.js';
import type { ExecutionSummary, SummariesPage } from '../../model/listing/list.js';
import type { WorkerInfo } from '../../model/worker/reads.js';
import type { Backend } from '../backend/backend.js';
import { needBackend, needObject } from '../backend/settings.js';

/** Makes a call that can be repeated. */
type Call = <T>(command: () => Promise<T>) => Promise<T>;
const once: Call = (command) => command();

/** The live workers, by instance id; reads a page at a time. */
export async function* livingWorkers(
  backend: Backend,
  namespace: string,
  call: Call = once,
): AsyncGenerator<WorkerInfo, void, undefined> {
  needBackend('livingWorkers()', backend, 'listWorkers');
  let cursor: string | undefined;
  do {
    const args = { namespace, cursor, limit: LIMITS.maxListPage };
    const page = await call(() => backend.listWorkers(args));
    yield* page.workers;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
}

/** The requirements of work; an absent member matches all workers. */
export interface WantedWork {
  readonly laneId?: string | undefined;
  readonly executionKind?: string | undefined;
  readonly requiredCapabilities?: readonly string[] | undefined;
}

/** Whether a worker takes such work. One that drains takes nothing. */
export function takes(worker: WorkerInfo, { laneId, executionKind, requiredCapabilities = [] }: WantedWork): boolean {
  return (
    !worker.draining &&
    (laneId === undefined || worker.lanes.includes(laneId)) &&
    (executionKind === undefined || worker.kinds === undefined || worker.kinds.includes(executionKind)) &&
    coversCapabilities(worker.capabilities, requiredCapabilities)
  );
}

/**
 * How many workers could take some work: each number counts those of the previous one that also meet the next
 * requirement.
 */
export interface Takers {
  /** Live workers that are not draining. */
  readonly live: number;
  /** Those that also serve the lane. */
  readonly onLane: number;
  /** Those that also run the kind. */
  readonly ofKind: number;
  /** Those that also have all required capabilities: they can take it. */
  readonly capable: number;
  /** Required capabilities that no worker with the lane and the kind has. */
  readonly missing: readonly string[];
}

/** Heartbeats of the workers of an app in one time to live: two may be lost. */
export const HEARTBEATS_PER_TTL = 3;

/** When the next heartbeat of a worker of an app is late: one that is on its way is no sign of death. */
const overdueFrom = ({ lastHeartbeatAt, expiresAt }: WorkerInfo): number =>
  lastHeartbeatAt + (1.2 * (expiresAt - lastHeartbeatAt)) / HEARTBEATS_PER_TTL;

/** How many workers can take some work, and the heartbeats of those. */
export interface Survey {
  readonly takers: Takers;
  /** The last heartbeat of any capable worker, ms since the epoch; `-Infinity` without one. */
  readonly heardAt: number;
  /** From then on, the next heartbeats of all capable workers are overdue; `-Infinity` without one. */
  readonly overdueAt: number;
}

/**
 * How many registered workers can take some work, and which requirement the others miss. Workers need not register:
 * `capable` 0 means that no registered worker can.
 */
export async function takersOf(backend: Backend, namespace: string, work: WantedWork, call?: Call): Promise<Takers> {
  return (await surveyOf(backend, namespace, work, call)).takers;
}

/** The same, with the heartbeats of the capable workers. */
export async function surveyOf(backend: Backend, namespace: string, work: WantedWork, call?: Call): Promise<Survey> {
  const { laneId, executionKind, requiredCapabilities = [] } = work;
  let [live, onLane, ofKind, capable] = [0, 0, 0, 0];
  let [heardAt, overdueAt] = [-Infinity, -Infinity];
  const found = new Set<string>();
  for await (const worker of livingWorkers(backend, namespace, call)) {
    if (!takes(worker, {})) continue;
    live++;
    if (!takes(worker, { laneId })) continue;
    onLane++;
    if (!takes(worker, { laneId, executionKind })) continue;
    ofKind++;
    for (const capability of worker.capabilities) found.add(capability);
    if (!takes(worker, work)) continue;
    capable++;
    heardAt = Math.max(heardAt, worker.lastHeartbeatAt);
    overdueAt = Math.max(overdueAt, overdueFrom(worker));
  }
  const missing = requiredCapabilities.filter((needed) => !found.has(needed));
  return { takers: { live, onLane, ofKind, capable, missing }, heardAt, overdueAt };
}

/**
 * The capabilities that exist in a namespace, ascending, and how many live workers offer each. Workers that drain take
 * nothing, and do not count.
 * @throws what `call` throws
 * @example (await capabilitiesIn(backend, { namespace: 'shop' })).get('gpu') // 2
 */
export async function capabilitiesIn(
  backend: Backend,
  options: { readonly namespace: string },
  call?: Call,
): Promise<ReadonlyMap<string, number>> {
  needBackend('capabilitiesIn()', backend, 'listWorkers');
  needObject('capabilitiesIn()', 'options', options);
  const counts = new Map<string, number>();
  for await (const worker of livingWorkers(backend, options.namespace, call)) {
    if (worker.draining) continue;
    for (const capability of worker.capabilities) counts.set(capability, (counts.get(capability) ?? 0) + 1);
  }
  return new Map([...counts].sort(([a], [b]) => compareBytes(a, b)));
}

export interface DeadWorkerReport {
  /** Whether it was registered. */
  readonly wasRegistered: boolean;
  /** Number of revoked leases: other workers take over their executions. */
  readonly revoked: number;
  /** Whether all partitions were reached. If not, repeat the call, which continues where it failed. */
  readonly complete: boolean;
}

export interface DeadWorker {
  readonly namespace: string;
  readonly workerInstanceId: string;
  readonly reason: string;
  readonly requestedBy?: string | undefined;
  /** Whether to revoke its leases, so that others take over its work at once. Otherwise they lapse. */
  readonly revoke: boolean;
}

/** Partitions processed concurrently. */
const TOGETHER = 16;

/**
 * Marks a worker dead, and optionally revokes its leases. Its running work is searched partition by partition, a page
 * at a time. @throws what `call` throws when the worker cannot be marked
 */
export async function markDead(backend: Backend, dead: DeadWorker, call: Call = once): Promise<DeadWorkerReport> {
  needBackend('markDead()', backend, 'markWorkerDead');
  needObject('markDead()', 'dead', dead);
  const { namespace, workerInstanceId, reason, requestedBy, revoke } = dead;
  const { kind } = await call(() => backend.markWorkerDead({ namespace, workerInstanceId, reason, requestedBy }));
  const wasRegistered = kind === 'marked';
  if (!revoke) return { wasRegistered, revoked: 0, complete: true };
  let [revoked, complete] = [0, true];
  const partitions = partitionsOf('flow', backend.partitions);
  for (let at = 0; at < partitions.length; at += TOGETHER) {
    const some = partitions.slice(at, at + TOGETHER);
    const counts = await Promise.allSettled(some.map((partition) => revokeIn(backend, partition, dead, call)));
    for (const count of counts) {
      if (count.status === 'fulfilled') revoked += count.value;
      else complete = false;
    }
  }
  return { wasRegistered, revoked, complete };
}

/**
 * Revokes a worker's leases in a partition, in every namespace. A lease that another worker has taken over is left
 * alone.
 */
async function revokeIn(backend: Backend, partition: string, dead: DeadWorker, call: Call): Promise<number> {
  const { workerInstanceId, reason } = dead;
  let cursor: string | undefined;
  let revoked = 0;
  do {
    const args = { partition, workerInstanceId, cursor, limit: LIMITS.maxListPage };
    const page: SummariesPage = await call(() => backend.listExecutionSummaries(args));
    const commands = page.executions.map(
      ({ executionId, leaseId }: ExecutionSummary): Command => ({
        name: 'revokeLease',
        args: { executionId, expectedLeaseId: leaseId, reason },
      }),
    );
    if (commands.length > 0) {
      const results = await call(() => backend.execute(commands));
      revoked += results.filter((result) => result.ok && result.outcome.kind === 'revoked').length;
    }
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return revoked;
}

/** The part of a worker's registration that decides which work it can take. */
export type RouteOffer = Pick<WorkerInfo, 'lanes' | 'capabilities' | 'kinds'>;

/**
 * Lifts the blocks of work that waited for a capable worker (`blockRoute`) and that this worker can take. Call it after
 * a registration; workers of an app do so themselves. Returns the number of lifted blocks. Work that another scheduler
 * has unblocked, or blocked for another reason, is left alone.
 * @throws what `call` throws
 */
export async function liftRouteBlocks(
  backend: Backend,
  namespace: string,
  offer: RouteOffer,
  call: Call = once,
): Promise<number> {
  const partitions = partitionsOf('flow', backend.partitions);
  let lifted = 0;
  for (let at = 0; at < partitions.length; at += TOGETHER) {
    const some = partitions.slice(at, at + TOGETHER);
    const counts = await Promise.all(some.map((partition) => liftIn(backend, { partition, namespace }, offer, call)));
    lifted += counts.reduce((sum, count) => sum + count, 0);
  }
  return lifted;
}

async function liftIn(
  backend: Backend,
  of: { readonly partition: string; readonly namespace: string },
  { lanes, capabilities, kinds }: RouteOffer,
  call: Call,
): Promise<number> {
  const expectedBlockingReason = 'waiting_for_capable_worker';
  let cursor: string | undefined;
  let lifted = 0;
  do {
    const args = { ...of, blockedBy: expectedBlockingReason, cursor, limit: LIMITS.maxListPage } as const;
    const page: SummariesPage = await call(() => backend.listExecutionSummaries(args));
    const near = page.executions.filter(
      ({ laneId, executionKind }) => lanes.includes(laneId) && (kinds === undefined || kinds.includes(executionKind)),
    );
    const infos = await Promise.all(
      near.map(({ executionId }) => call(() => backend.readExecutionInfo({ executionId }))),
    );
    const commands = infos.flatMap((info): Command[] =>
      info !== undefined && coversCapabilities(capabilities, info.requiredCapabilities)
        ? [{ name: 'unblockExecution', args: { executionId: info.executionId, expectedBlockingReason } }]
        : [],
    );
    if (commands.length > 0) lifted += (await call(() => backend.execute(commands))).filter(({ ok }) => ok).length;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return lifted;
}

/**
 * The end of a run: all faults are healed, all work ends, and then nothing may be left: no open run, no occupied room,
 * no timer, no listener, no call under way. The log must be explained by the actions of handlers and callers.
 */
import type { Event } from '../../src/engine/index.js';
import { WALKER } from '../../model/flow/cancellation.js';
import { DEFAULTS, LIMITS } from '../../model/limits.js';
import { quotasOf, quotasOfRun, usesOf } from '../../src/app/metering/quota.js';
import type { ExecutionFacts, HandlerCall, RunFacts } from './facts.js';
import type { Result } from './handlers.js';
import { CALL_TIMEOUT_MS, CHILD, taskName, type Node, type NodeWorker } from './node.js';
import type { WorkerSetup } from './program.js';
import { said } from './said.js';
import { short } from './story.js';
import type { Endings } from './checks/calls.js';
import type { World } from './world.js';

/** A worker that can do everything, for work that no other worker can do. */
const RESCUER: WorkerSetup = {
  slots: 4,
  claimAhead: 0,
  leaseTtlMs: 10_000,
  sweepMs: 1_000,
  drainMs: 25_000,
  gpu: true,
  without: undefined,
  loop: true,
};
/** Time for everything to end once all is well, ms: retries, delays and lapses, one after another. */
const END_MS = 15 * 60_000;
const STEP_MS = 5_000;
const QUIET_MS = 2 * CALL_TIMEOUT_MS;
const CLOSE_MS = 60_000;
/** Longest pause between two tries of a call, ms. */
const MAX_BACKOFF_MS = 10_000;

/** Brings a played world to its end, and checks it. @throws Broken */
export async function finish(world: World): Promise<void> {
  world.tell('world', 'all is well from here on');
  for (const node of world.living) world.heal(node);
  world.release();
  world.hurries = true;
  // Calls and messages under way arrive.
  await world.pass(QUIET_MS);
  await untilEnded(world);
  await world.pass(QUIET_MS);
  for (const execution of world.facts.executions.values()) await explained(world, execution);
  for (const execution of world.facts.executions.values()) await said(world, execution);
  for (const executionId of world.facts.executions.keys()) {
    await world.waits.check(executionId);
    await world.callbacks.check(executionId);
  }
  for (const run of world.facts.runs) promiseSettled(world, run);
  world.flows.check();
  for (const endings of world.checks.calls.endings.entries()) repeated(world, endings);
  for (const call of world.facts.calls) reported(world, call);
  for (const node of world.living) for (const each of node.workers) atRest(world, node, each);
  await slotsAreFree(world);
  await roomIsFree(world);
  await closed(world);
  await world.pass(0);
}

async function untilEnded(world: World): Promise<void> {
  for (let passedMs = 0; passedMs < END_MS; passedMs += STEP_MS) {
    const working = world.facts.calls.some((call) => call.endedAt === undefined && isLiving(world, call.process));
    const blocked = world.living.some(({ process }) => process.blockedUntil > world.scheduler.now());
    const strays = world.nodes.some(({ connection }) => connection.strays > 0);
    if (
      !working &&
      !blocked &&
      !strays &&
      world.facts.open.length === 0 &&
      world.facts.runs.every((run) => isSettled(world, run)) &&
      world.flows.asked.every((flow) => world.flows.isSettled(flow))
    )
      return;
    if (!canDoAll(world)) world.start(RESCUER);
    world.release();
    await world.pass(STEP_MS);
  }
  const [left] = world.facts.open;
  if (left !== undefined)
    world.broken(
      'everything ends',
      `${short(left.executionId)} is ${left.situation} since +${left.since - left.createdAt} ms after its creation`,
    );
}

/** Whether the live workers have handlers for all tasks, and one of them runs the loop. */
function canDoAll(world: World): boolean {
  const working = world.living.filter(
    ({ workers }) => workers.length === 0 || workers.some(({ drain }) => drain === undefined),
  );
  return (
    working.some(({ setup }) => setup.loop) &&
    world.program.setup.tasks.every((task, which) =>
      working.some((node) => node.handles(taskName(which)) && (node.setup.gpu || !task.needsGpu)),
    )
  );
}

function isSettled(world: World, { process, created, result }: RunFacts): boolean {
  return !isLiving(world, process) || (created !== 'pending' && result !== 'pending');
}

const isLiving = ({ living }: World, process: string): boolean => living.some(({ name }) => name === process);

function promiseSettled(world: World, run: RunFacts): void {
  if (!isSettled(world, run))
    world.broken("every run's promise settles", `run ${run.number}: creation ${run.created}, result ${run.result}`);
  const executions = [...world.facts.executions.values()].filter(({ run: number }) => number === run.number);
  if (executions.length > 1) world.broken('one run is one execution', `run ${run.number} has ${executions.length}`);
  const ended = executions[0]?.events.findLast(({ type }) => END_TYPES.has(type))?.type;
  if (run.created !== 'created' || run.result === 'pending') return;
  if ((ended === 'execution_completed') !== (run.result === 'resolved'))
    world.broken(
      "a run's promise says how it ended",
      `run ${run.number}: ${ended}, and its result ${run.result} (${String(run.value)})`,
    );
  if (run.result === 'resolved' && (run.value as Result).run !== run.number)
    world.broken(
      "a run's promise says how it ended",
      `run ${run.number} got the result of run ${(run.value as Result).run}`,
    );
}

const END_TYPES: ReadonlySet<Event['type']> = new Set<Event['type']>([
  'execution_completed',
  'execution_failed',
  'execution_cancelled',
  'execution_expired',
]);

/** An ending with an unknown result is reported again until the result is known, or its lease is over. */
function repeated(world: World, [leaseId, endings]: [string, Endings]): void {
  const lease = world.facts.leases.get(leaseId);
  const { last, unknown, lastSettledAt, firstSentAt, node } = endings;
  if (last !== 'unknown' || lease === undefined || !node.alive || node.workers.some(({ drain }) => drain !== undefined))
    return;
  const backoffMs = Math.min(MAX_BACKOFF_MS, 100 * 2 ** (unknown - 1));
  const endsAt = lease.endedAt ?? lease.expiresAt;
  if (node.troubleWithin(lastSettledAt, endsAt).blockedMs > 0) return;
  if (lastSettledAt + backoffMs < Math.min(endsAt, lease.expiresAt) && lastSettledAt - firstSentAt < 2 * MAX_BACKOFF_MS)
    world.broken(
      'an ending whose fate is unknown is repeated',
      `${[...endings.names].join()} of ${short(lease.executionId)} was given up after ${unknown} tries`,
    );
}

/** The result of a handler is reported if it still owned its work. */
function reported(world: World, call: HandlerCall): void {
  const { end, endedAt, leaseId } = call;
  const node = world.nodes.find(({ name }) => name === call.process);
  const lease = world.facts.leases.get(leaseId);
  const deadlineAt = world.facts.executions.get(call.executionId)?.deadlineAt;
  if (
    !node?.alive ||
    lease === undefined ||
    endedAt === undefined ||
    end === undefined ||
    end === 'heeded' ||
    call.toldAt() !== undefined
  )
    return;
  // The frames of a handler are stored before its ending is sent, and that takes time of its attempt.
  const canEndAt = Math.max(endedAt, world.checks.calls.framesSettledAt.get(leaseId) ?? endedAt);
  if (
    canEndAt + 100 >=
    Math.min(lease.endedAt ?? Infinity, lease.expiresAt, lease.attemptTimeoutAt ?? Infinity, deadlineAt ?? Infinity)
  )
    return;
  if (world.checks.leases.isExcused(node, lease, canEndAt)) return;
  const expected = {
    returned: ['completeExecution'],
    threw: ['failExecution'],
    delayed: ['delayExecution'],
    suspended: ['suspendExecution', 'moveToWaitingChildren'],
  }[end];
  const { names } = world.checks.calls.endings.get(leaseId) ?? {};
  if (!expected.some((name) => names?.has(name)) && !names?.has('releaseLease'))
    world.broken(
      'what a handler ended with is reported',
      `call ${call.number} ${end}, and no ${expected.join(' or ')} was sent`,
    );
}

function atRest(world: World, node: Node, each: NodeWorker): void {
  const { worker, claimed, finished, drain, missedEvents } = each;
  const { running, ahead, ...counts } = worker.stats();
  const { completed, failed, delayed, suspended, released, cancelled, timedOut, lost } = counts;
  const settled = completed + failed + delayed + suspended + released + cancelled + timedOut + lost;
  if (running !== 0 || ahead !== 0 || counts.claimed !== settled)
    world.broken(
      'every attempt settles exactly once',
      `${node.name}: ${counts.claimed} claimed, ${settled} settled, ${running} running, ${ahead} ahead`,
    );
  for (const [executionId, times] of claimed)
    if (!missedEvents && finished.get(executionId) !== times)
      world.broken(
        'every attempt settles exactly once',
        `${short(executionId)} on ${node.name}: claimed ${times} times, finished ${finished.get(executionId) ?? 0} times`,
      );
  if (drain === undefined && !each.saidIdle)
    world.broken('a worker without work says so', `${node.name} has nothing in hand and did not say that it is idle`);
  if (drain === undefined && counts.claiming === 'full')
    world.broken('when all is quiet all room is free', `${node.name} is ${counts.claiming}`);
}

/** Every slot of every limit is free again: none outlives its holder. */
async function slotsAreFree(world: World): Promise<void> {
  if (world.program.setup.tasks.every(({ quota }) => quota === undefined)) return;
  // The loop tells the policies. The use of a silent slot is confirmed after its time to live.
  if (!canDoAll(world)) world.start(RESCUER);
  await world.pass(3 * DEFAULTS.slotTtlMs);
  for (const [which, { quota }] of world.program.setup.tasks.entries()) {
    if (quota === undefined) continue;
    const definitions = quotasOf('', taskName(which), { concurrency: quota });
    const [use] = await usesOf(world.server.store, 'default', quotasOfRun(taskName(which), definitions, undefined));
    if (use?.held !== 0) world.broken('no slot outlives its holder', `${use?.held} of ${taskName(which)} are held`);
  }
}

/** All slots can be taken again at once. */
async function roomIsFree(world: World): Promise<void> {
  const nodes = world.living.filter(({ workers }) => workers.some(({ drain }) => drain === undefined));
  const slots = nodes.map(
    ({ setup, workers }) => setup.slots * workers.filter(({ drain }) => drain === undefined).length,
  );
  nodes.forEach((node, index) => {
    // Work claimed ahead occupies no slot.
    const probes = (slots[index] as number) + node.setup.claimAhead * node.workers.length;
    for (let probe = 0; probe < probes; probe++)
      node.probe
        .run(undefined)
        .result()
        .catch(() => undefined);
  });
  await world.pass(RESCUER.sweepMs * 7);
  nodes.forEach((node, index) => {
    if (node.probing !== slots[index])
      world.broken(
        'when all is quiet all room is free',
        `${node.name} has ${slots[index]} slots, and ${node.probing} can be taken`,
      );
    node.openForGood();
  });
  await world.pass(QUIET_MS);
  for (const node of nodes) for (const each of node.workers) atRest(world, node, each);
}

async function closed(world: World): Promise<void> {
  const nodes = world.living;
  const closing = nodes.map(async (node) => {
    node.closing = true;
    await node.app.close();
    node.closed = true;
    nothingLeft(world, node);
  });
  await world.pass(CLOSE_MS);
  for (const node of nodes)
    if (!node.closed) world.broken('an app that is closed comes to its end', node.name);
    else nothingLeft(world, node);
  await world.pass(0);
  await Promise.all(closing);
}

/** At once, if the app says that it is closed. */
function nothingLeft(world: World, { name, connection, process }: Node): void {
  const left = {
    'listeners of wakes': connection.leftAtClose,
    timers: process.timers,
    calls: connection.inFlight.size,
  };
  for (const [what, count] of Object.entries(left))
    if (count > 0) world.broken('nothing is left behind', `${name}: ${count} ${what}`);
}

// The reasons for all endings.

async function explained(world: World, execution: ExecutionFacts): Promise<void> {
  execution.events.forEach((event, index) => {
    const problem = problemWith(world, execution, event, execution.events.slice(0, index));
    if (problem !== undefined)
      world.broken('every end is explained', `${short(execution.executionId)}: ${event.type}, and ${problem}`);
  });
  if (execution.events.at(-1)?.type !== 'execution_completed') return;
  if (world.grants.endOf(execution.leases.at(-1)?.leaseId) === 'complete') return;
  const bytes = await world.server.store.getExecutionResult({ executionId: execution.executionId });
  const result = bytes === undefined ? undefined : (JSON.parse(new TextDecoder().decode(bytes)) as Result);
  const call = world.facts.calls[result?.call ?? -1];
  if (
    call?.executionId !== execution.executionId ||
    call.end !== 'returned' ||
    call.leaseId !== execution.leases.at(-1)?.leaseId
  )
    world.broken(
      'every end is explained',
      `${short(execution.executionId)} completed with ${JSON.stringify(result)}, which its last owner did not return`,
    );
}

/** A mismatch between an event and the actions of handlers and callers, in words. */
function problemWith(
  world: World,
  execution: ExecutionFacts,
  event: Event,
  before: readonly Event[],
): string | undefined {
  const lease = execution.leases.find(({ leaseId }) => leaseId === lastLeaseOf(before));
  const call = world.facts.calls.find(({ leaseId }) => leaseId === lease?.leaseId);
  const granted = world.grants.endOf(lease?.leaseId);
  switch (event.type) {
    case 'execution_completed':
      return call?.end === 'returned' || granted === 'complete' ? undefined : 'its handler did not return';
    case 'execution_suspended':
    case 'children_awaited':
      return call?.end === 'suspended' ? undefined : 'its handler did not wait';
    case 'execution_delayed':
      return call?.end === 'delayed' || call?.end === 'suspended' || call === undefined
        ? undefined
        : 'its handler did not ask for it';
    case 'retry_scheduled':
    case 'execution_failed':
      return granted === 'fail' ? undefined : failureProblem(event, call, lease?.attemptTimeoutAt);
    case 'execution_cancelled':
      // A child is cancelled with its parent, or when its group is decided by others.
      if (execution.kind === CHILD && event.cancelledBy === WALKER) return undefined;
      return world.facts.runs[execution.run]?.cancelled ? undefined : 'nobody cancelled it';
    case 'execution_expired':
      return event.at >=
        Math.min(execution.deadlineAt ?? LIMITS.maxInteger, lease?.attemptTimeoutAt ?? LIMITS.maxInteger)
        ? undefined
        : 'its time was not over';
    default:
      return undefined;
  }
}

function failureProblem(
  { failureReason, failureCategory, at }: Extract<Event, { type: 'retry_scheduled' | 'execution_failed' }>,
  call: HandlerCall | undefined,
  attemptTimeoutAt: number | undefined,
): string | undefined {
  if (failureCategory === 'max_reclaims_exceeded') return undefined;
  // One frame of a call met a fault, and later ones are stored: its position is gone.
  if (failureCategory === 'stream_refused' && (call?.frames ?? 0) > 1) return undefined;
  // What the engine refused a handler has the category of its code.
  if (call?.end === 'threw' && failureReason.includes(call.reason ?? '')) return undefined;
  if (failureCategory === 'handler_error') return `its handler did not throw (${failureReason})`;
  return attemptTimeoutAt !== undefined && attemptTimeoutAt <= at
    ? undefined
    : `nothing explains "${failureReason}" (${failureCategory})`;
}

function lastLeaseOf(events: readonly Event[]): string | undefined {
  const taken = events.findLast(({ type }) => type === 'execution_claimed' || type === 'execution_resumed');
  return taken !== undefined && 'leaseId' in taken ? taken.leaseId : undefined;
}

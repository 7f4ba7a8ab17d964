/** Every possible move in a state: all operations, with every fence that a caller could hold or invent, and time. */
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { isTerminal } from '../../model/execution/situation.js';
import { LIMITS } from '../../model/limits.js';
import type { Command } from '../../model/machine.js';
import { executionOf, idOf, PARTITION, START_AT, type Node } from './node.js';
import { outsideMoves, watches } from './outside-moves.js';
import type { Scenario } from './scenarios.js';
import { streamMoves } from './stream-moves.js';
import { stepMoves } from './step-moves.js';

const WORKERS = ['A', 'B'] as const;

/** How long a worker delays its attempt, ms. */
const DELAY_MS = 400;

/**
 * The newest fence; its epoch and attempt with another lease, which is valid once the lease is gone; or an older one.
 */
export type Proof = 'newest' | 'another_lease' | 'none';

export interface CommandMove {
  readonly kind: 'command';
  readonly words: string;
  readonly command: Command;
  /** The caller's fence, compared with the newest one that a claim returned for this execution. */
  readonly proof: Proof;
  /** Whether the caller is an owner with a fence (and not an operator or the engine). */
  readonly fenced: boolean;
  /** The worker of a claim. */
  readonly worker?: string;
}

export type Move = CommandMove | { readonly kind: 'time'; readonly words: string; readonly to: number };

const OTHER_ID = idOf(0xffff);

/** The moves of a state. Ids of new leases follow from the number of ids made so far. */
export function* movesOf(node: Node, scenario: Scenario): Generator<Move> {
  yield* creations(node, scenario);
  yield* claims(node, scenario);
  for (let n = 1; n <= Math.max(1, node.created); n++) yield* movesOn(node, n, suffixOf(scenario, n), scenario);
  yield* outside(node, scenario);
  yield* passes(scenario);
  yield* times(node);
}

const suffixOf = ({ creations }: Scenario, n: number): string => (creations.length > 1 ? ` ${n}` : '');

/** Moves of schedulers, operators and readers. */
function* outside(node: Node, scenario: Scenario): Generator<Move> {
  const { outside = [] } = scenario;
  for (let n = 1; n <= Math.max(1, node.created); n++) {
    for (const { words, command, worker } of outsideMoves(node, n, outside)) {
      const move = engine(`${words}${suffixOf(scenario, n)}`, command);
      yield worker === undefined ? move : { ...move, worker };
    }
  }
  if (outside.includes('watches')) for (const { words, command } of watches(node)) yield engine(words, command);
}

const engine = (words: string, command: Command): CommandMove => ({
  kind: 'command',
  words,
  command,
  proof: 'none',
  fenced: false,
});

function* creations(node: Node, { creations }: Scenario): Generator<Move> {
  // A new claim, and a repetition of the last one.
  for (const n of [node.created + 1, node.created]) {
    const wanted = creations[n - 1];
    if (wanted === undefined) continue;
    const args = {
      executionId: executionOf(n),
      namespace: 'explore',
      laneId: 'main',
      executionKind: 'kind',
      creatorIdentity: 'explorer',
      ...wanted,
    };
    yield engine(n > node.created ? `create ${n}` : `create ${n} again`, { name: 'createExecution', args });
  }
}

function* claims(node: Node, scenario: Scenario): Generator<Move> {
  yield* claimsOf(node, scenario, false);
  if (scenario.ahead === true) yield* claimsOf(node, scenario, true);
}

function* claimsOf(node: Node, { creations, capabilities, kinds }: Scenario, ahead: boolean): Generator<Move> {
  for (const [i, worker] of WORKERS.entries()) {
    for (let count = 1; count <= creations.length; count++) {
      const ids = Array.from({ length: count }, (_, k) => ({
        leaseId: idOf(node.minted + 2 * k + 1),
        attemptId: idOf(node.minted + 2 * k + 2),
      }));
      yield {
        ...engine(`${worker} claims${ahead ? ' ahead' : ''}${count > 1 ? ` ${count}` : ''}`, {
          name: 'claimForWorker',
          args: {
            partition: PARTITION,
            laneId: 'main',
            workerId: 'pool',
            workerInstanceId: worker,
            workerCapabilities: [...(capabilities[i] as readonly string[])],
            kinds: kinds === undefined ? undefined : [...(kinds[i] as readonly string[])],
            leaseTtlMs: LIMITS.minLeaseTtlMs,
            ahead,
            claims: ids,
          },
        }),
        worker,
      };
    }
  }
}

interface Claim {
  readonly words: string;
  readonly fence: { leaseId?: string; leaseEpoch?: number; attemptId?: string } | undefined;
  readonly attemptIndex?: number;
  readonly proof: Proof;
}

/** All fences that a caller could present. */
function claimantsOf(node: Node, executionId: string, execution: ReadonlyExecution | undefined): Claim[] {
  const given = node.fences.get(executionId) ?? [];
  const newest = given.at(-1);
  const older = given.at(-2);
  const claimants: Claim[] = [{ words: 'nobody', fence: undefined, proof: 'none' }];
  if (newest === undefined) {
    claimants.push({
      words: 'somebody who never claimed',
      fence: { leaseId: OTHER_ID, leaseEpoch: 1, attemptId: OTHER_ID },
      proof: 'none',
    });
  } else {
    const { fence, worker } = newest;
    claimants.push(
      { words: worker, fence, proof: 'newest' },
      {
        words: `${worker}, of another attempt,`,
        fence,
        attemptIndex: execution?.totalAttemptCount ?? 0,
        proof: 'newest',
      },
      {
        words: `${worker} with half a fence`,
        fence: { leaseId: fence.leaseId, attemptId: fence.attemptId },
        proof: 'none',
      },
      { words: 'somebody with the wrong lease', fence: { ...fence, leaseId: OTHER_ID }, proof: 'another_lease' },
      { words: 'somebody with the next epoch', fence: { ...fence, leaseEpoch: fence.leaseEpoch + 1 }, proof: 'none' },
      { words: 'somebody with the wrong attempt', fence: { ...fence, attemptId: OTHER_ID }, proof: 'none' },
    );
  }
  if (older !== undefined)
    claimants.push({ words: `${older.worker}, the owner before,`, fence: older.fence, proof: 'none' });
  return claimants;
}

function* movesOn(node: Node, n: number, suffix: string, { outside = [] }: Scenario): Generator<Move> {
  const executionId = executionOf(n);
  const execution = node.state.tables.execution.get(executionId);
  const current = Math.max(0, (execution?.totalAttemptCount ?? 0) - 1);
  for (const { words, fence, attemptIndex, proof } of claimantsOf(node, executionId, execution)) {
    const by = (doing: string, command: Command): Move => ({
      kind: 'command',
      words: `${words} ${doing}${suffix}`,
      command,
      proof,
      fenced: true,
    });
    const args = { executionId, fence, attemptIndex };
    yield by('renews', { name: 'renewLease', args: { ...args, leaseTtlMs: LIMITS.minLeaseTtlMs } });
    yield by('completes', { name: 'completeExecution', args });
    yield by('fails', {
      name: 'failExecution',
      args: { ...args, failureReason: 'it broke', failureClass: 'transient' },
    });
    yield by('fails for good', {
      name: 'failExecution',
      args: { ...args, failureReason: 'it broke', failureClass: 'permanent' },
    });
    yield by('parks', {
      name: 'delayExecution',
      args: { ...args, delayUntil: repeatedDelay(execution) ?? node.now + DELAY_MS },
    });
    yield by('hands back', { name: 'releaseLease', args });
    if (outside.includes('streams') && fence !== undefined)
      for (const [doing, command] of streamMoves(executionId, fence, attemptIndex ?? current)) yield by(doing, command);
    if (attemptIndex !== undefined) continue;
    if (outside.includes('steps'))
      for (const [doing, command] of stepMoves(executionId, fence)) yield by(doing, command);
    yield by('begins', { name: 'beginAttempt', args: { executionId, fence } });
    yield by('cancels', { name: 'cancelExecution', args: { executionId, reason: 'no need', ...fence } });
    if (fence?.leaseId === undefined || fence.leaseEpoch === undefined || fence.attemptId === undefined) continue;
    const { leaseId, leaseEpoch, attemptId } = fence;
    yield by('reports', {
      name: 'updateProgress',
      args: { executionId, leaseId, leaseEpoch, attemptId, progressPct: 50 },
    });
  }
  const operator = { executionId, source: 'operator_override' } as const;
  yield engine(`an operator completes${suffix}`, { name: 'completeExecution', args: operator });
  yield engine(`an operator fails${suffix}`, {
    name: 'failExecution',
    args: { ...operator, failureReason: 'by hand' },
  });
  yield engine(`somebody else chooses the retries${suffix}`, {
    name: 'failExecution',
    args: { executionId, failureReason: 'it broke', retryPolicy: { maxRetries: 9 } },
  });
  yield engine(`an operator parks${suffix}`, { name: 'delayExecution', args: { ...operator, delayUntil: node.now } });
  yield engine(`an operator cancels${suffix}`, { name: 'cancelExecution', args: { ...operator, reason: 'by hand' } });
  yield engine(`an operator revokes${suffix}`, { name: 'revokeLease', args: { executionId } });
  yield engine(`an operator revokes the wrong lease${suffix}`, {
    name: 'revokeLease',
    args: { executionId, expectedLeaseId: OTHER_ID },
  });
  yield engine(`the engine marks the lease${suffix}`, { name: 'markLeaseExpiredIfDue', args: { executionId } });
  yield engine(`the engine promotes${suffix}`, { name: 'promoteDelayed', args: { executionId } });
  yield engine(`the engine ends the attempt${suffix}`, {
    name: 'expireExecution',
    args: { executionId, expireReason: 'attempt_timeout' },
  });
  yield engine(`the engine applies the deadline${suffix}`, {
    name: 'expireExecution',
    args: { executionId, expireReason: 'execution_deadline' },
  });
  yield engine(`the engine purges${suffix}`, { name: 'purgeExecution', args: { executionId } });
}

/** Moves of the loops that apply due work. */
function* passes({ loops = { owners: ['L1'], limit: 100 } }: Scenario): Generator<Move> {
  for (const owner of loops.owners) {
    const args = { partition: PARTITION, limit: loops.limit, jitter: 1, owner };
    yield engine(`${owner} applies what is due`, { name: 'applyDue', args });
  }
}

/** A worker that delays again asks for the same time. */
const repeatedDelay = (execution: ReadonlyExecution | undefined): number | undefined =>
  execution?.situation === 'delayed' && execution.nextAttempt === 'resume' ? execution.dueAt : undefined;

/** Future times of timers, ascending. */
function momentsOf({ state, now }: Pick<Node, 'state' | 'now'>): number[] {
  const running = [...state.tables.execution.values()].filter(({ situation }) => !isTerminal(situation));
  const times = running.flatMap(({ dueAt, attemptTimeoutAt, executionDeadlineAt, grantExpiresAt }) => [
    grantExpiresAt === undefined ? undefined : grantExpiresAt + 1,
    dueAt,
    attemptTimeoutAt,
    executionDeadlineAt,
  ]);
  for (const { expiresAt } of state.tables.idempotency_key.values()) times.push(expiresAt);
  const ahead = [...new Set(times)].filter((at): at is number => at !== undefined && at > now).sort((a, b) => a - b);
  // Purges wait until nothing else can happen: they are far in the future, and their order does not matter.
  return ahead.length > 0
    ? ahead
    : [...state.tables.execution.values()]
        .flatMap(({ dueAt }) => (dueAt !== undefined && dueAt > now ? [dueAt] : []))
        .slice(0, 1);
}

/** Time advances to the next timer, to just before it, or past it to the one after, as with a late engine. */
function* times(node: Node): Generator<Move> {
  const [next, later] = momentsOf(node);
  for (const to of [next === undefined ? undefined : next - 1, next, later]) {
    if (to !== undefined && to > node.now) yield { kind: 'time', words: `time passes, it is +${to - START_AT} ms`, to };
  }
}

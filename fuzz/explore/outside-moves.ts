/**
 * Moves from outside the workers: a scheduler that grants, workers that claim with grants, an operator who holds,
 * takes, blocks and replays. A world has only the ones that it names, so that other worlds stay small.
 */
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { LIMITS } from '../../model/limits.js';
import type { Command } from '../../model/machine.js';
import { encodeCursor } from '../../model/partition/cursor.js';
import { executionOf, idOf, PARTITION, type Node } from './node.js';

/** Moves of outside callers. */
export type Outside = 'steps' | 'streams' | 'grants' | 'holds' | 'blocks' | 'edits' | 'replays' | 'watches';

/** A call: its description, and the worker of a claim. */
export interface OutsideMove {
  readonly words: string;
  readonly command: Command;
  readonly worker?: string;
}

const WORKERS = ['A', 'B'] as const;

/** Lifetime of grants, ms: shorter than the shortest lease. */
const GRANT_TTL_MS = 500;

/** The calls on one execution. */
export function* outsideMoves(node: Node, n: number, outside: readonly Outside[]): Generator<OutsideMove> {
  const executionId = executionOf(n);
  const execution = node.state.tables.execution.get(executionId);
  if (outside.includes('grants')) {
    yield* grants(executionId, n);
    yield* claims(node, executionId, execution);
  }
  if (outside.includes('holds')) {
    yield { words: 'an operator holds', command: { name: 'holdExecution', args: { executionId } } };
    yield { words: 'an operator lets go', command: { name: 'releaseHold', args: { executionId } } };
  }
  if (outside.includes('blocks')) yield* blocks(executionId);
  if (outside.includes('replays')) {
    yield { words: 'an operator replays', command: { name: 'replayExecution', args: { executionId } } };
    const once = { executionId, expectedReplayCount: 0 };
    yield { words: 'an operator replays once', command: { name: 'replayExecution', args: once } };
    const anew = { executionId, steps: 'discard' } as const;
    yield { words: 'an operator replays from the beginning', command: { name: 'replayExecution', args: anew } };
  }
  if (outside.includes('edits')) yield* edits(executionId);
}

function* grants(executionId: string, n: number): Generator<OutsideMove> {
  for (const worker of WORKERS) {
    const args = {
      executionId,
      grantId: idOf(0x8000 + n),
      workerId: worker,
      workerInstanceId: worker,
      grantTtlMs: GRANT_TTL_MS,
    };
    yield { words: `the scheduler grants to ${worker}`, command: { name: 'issueClaimGrant', args } };
    yield { words: `the scheduler grants what was lost to ${worker}`, command: { name: 'issueReclaimGrant', args } };
    if (worker !== 'A') continue;
    const elsewhere = { ...args, laneId: 'elsewhere' };
    const unable = { ...args, kinds: ['other'] };
    yield { words: 'the scheduler grants in another lane', command: { name: 'issueClaimGrant', args: elsewhere } };
    yield {
      words: 'the scheduler grants a loss in another lane',
      command: { name: 'issueReclaimGrant', args: elsewhere },
    };
    yield {
      words: 'the scheduler grants to a worker that cannot do it',
      command: { name: 'issueClaimGrant', args: unable },
    };
  }
}

function* claims(node: Node, executionId: string, execution: ReadonlyExecution | undefined): Generator<OutsideMove> {
  const [leaseId, attemptId] = [idOf(node.minted + 1), idOf(node.minted + 2)];
  const ids = { leaseId, attemptId, leaseTtlMs: LIMITS.minLeaseTtlMs };
  for (const worker of WORKERS) {
    const who = { executionId, workerId: worker, workerInstanceId: worker };
    const { leaseTtlMs } = ids;
    const lease = { ...who, leaseId, leaseTtlMs };
    yield { words: `${worker} uses a grant`, command: { name: 'claimExecution', args: { ...who, ...ids } }, worker };
    yield { words: `${worker} goes on by a grant`, command: { name: 'claimResumedExecution', args: lease }, worker };
    yield {
      words: `${worker} reclaims by a grant`,
      command: { name: 'reclaimExecution', args: { ...who, ...ids } },
      worker,
    };
    if (worker !== 'A') continue;
    const wrong = { laneId: 'elsewhere' };
    yield {
      words: 'A uses a grant elsewhere',
      command: { name: 'claimExecution', args: { ...who, ...ids, ...wrong } },
    };
    yield { words: 'A goes on elsewhere', command: { name: 'claimResumedExecution', args: { ...lease, ...wrong } } };
    yield { words: 'A reclaims elsewhere', command: { name: 'reclaimExecution', args: { ...who, ...ids, ...wrong } } };
    const { currentLeaseId, currentAttemptId } = execution ?? {};
    if (currentLeaseId === undefined || currentAttemptId === undefined) continue;
    const again = { ...who, leaseId: currentLeaseId, attemptId: currentAttemptId, leaseTtlMs };
    yield { words: 'the claim comes again', command: { name: 'claimExecution', args: again } };
  }
  const taking = { executionId, leaseId, attemptId, leaseDurationMs: LIMITS.minLeaseTtlMs };
  yield { words: 'an operator takes', command: { name: 'issueGrantAndClaim', args: taking }, worker: 'O' };
  const elsewhere = { ...taking, laneId: 'elsewhere' };
  yield { words: 'an operator takes elsewhere', command: { name: 'issueGrantAndClaim', args: elsewhere } };
}

function* blocks(executionId: string): Generator<OutsideMove> {
  for (const blockingReason of ['waiting_for_budget', 'waiting_for_quota', 'paused_by_policy'] as const) {
    yield {
      words: `the scheduler blocks: ${blockingReason}`,
      command: { name: 'blockExecutionForAdmission', args: { executionId, blockingReason } },
    };
  }
  yield { words: 'the scheduler blocks the route', command: { name: 'blockRoute', args: { executionId } } };
  yield { words: 'the scheduler unblocks', command: { name: 'unblockExecution', args: { executionId } } };
}

function* edits(executionId: string): Generator<OutsideMove> {
  yield { words: 'its priority changes', command: { name: 'changePriority', args: { executionId, newPriority: 5 } } };
  yield {
    words: 'a tag changes',
    command: { name: 'setExecutionTags', args: { executionId, tags: { 'tag.t0': 'new' } } },
  };
  yield {
    words: 'a tag too many',
    command: { name: 'setExecutionTags', args: { executionId, tags: { 'tag.new': '' } } },
  };
}

/** Calls of readers of the log. */
export function* watches({ log, state }: Node): Generator<OutsideMove> {
  const last = log.at(-1);
  if (last === undefined || state.tables.execution.size === 0) return;
  const generation = (log[0]?.event.at ?? 0).toString(36);
  const end = encodeCursor({ generation, sequence: last.sequence, time: last.event.at });
  for (const [words, after] of [
    ['watches the log', end],
    ['watches from too far back', '.0.0'],
  ] as const) {
    yield { words: `a reader ${words}`, command: { name: 'watchLog', args: { partition: PARTITION, after } } };
  }
  yield {
    words: 'a reader watches ends',
    command: { name: 'watchEnds', args: { partition: PARTITION, ttlMs: 1_000 } },
  };
}

/**
 * Using a grant from a scheduler: one call for every kind of grant. Scheduler and worker may be different processes,
 * because a grant is plain data and can travel as JSON.
 */
import { EngineError, type ErrorCode } from '../../model/errors.js';
import type { Grant } from '../../model/grant/grant.js';
import { handleOf } from '../../model/handle.js';
import { DEFAULTS } from '../../model/limits.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import type { Backend } from '../backend/backend.js';
import { needBackend, needObject } from '../backend/settings.js';
import { propertyOf } from '../util/thrown.js';
import { newId } from './ids.js';

/** A grant, and the worker that it is for. */
export interface GrantToken {
  /** What `issueClaimGrant` or `issueReclaimGrant` answered. */
  readonly grant: Grant;
  readonly workerId: string;
  readonly workerInstanceId: string;
  /** Length of the lease, ms. Default 10 s. */
  readonly leaseTtlMs?: number;
}

/** What the worker now owns. */
export interface GrantedWork {
  readonly execution: ClaimedExecution;
  /** Identifies the execution and its fence in calls of the owner. */
  readonly handle: string;
}

const hasCode = (error: unknown, ...codes: readonly ErrorCode[]): boolean =>
  error instanceof EngineError && codes.includes(error.code);

/** The ids in it are checked by the call. @throws EngineError `invalid_input` for what is no token */
function checkToken(where: string, backend: unknown, token: unknown): void {
  needBackend(where, backend);
  needObject(where, 'token', token);
  needObject(where, 'grant', propertyOf(token, 'grant'));
}

/**
 * Claims the execution that was granted: a new attempt, an interrupted one that continues, or a reclaim.
 *
 * @throws EngineError `invalid_claim_grant` or `claim_grant_expired`: the grant is not good any more;
 *   `execution_not_leaseable` or `execution_not_found`: the work is gone; and what the backend throws
 * @example
 * const { execution, handle } = await claimFromGrant(backend, { grant, workerId: 'mailer', workerInstanceId: 'mailer-1' });
 * await backend.completeExecution({ handle });
 */
export async function claimFromGrant(backend: Backend, token: GrantToken): Promise<GrantedWork> {
  checkToken('claimFromGrant()', backend, token);
  const { grant, workerId, workerInstanceId, leaseTtlMs = DEFAULTS.leaseTtlMs } = token;
  const { executionId, grantId, laneId, claimKind } = grant;
  const claimant = { executionId, grantId, laneId, workerId, workerInstanceId, leaseTtlMs, leaseId: newId() };
  const execution =
    claimKind === 'reclaimed'
      ? await reclaim(backend, { ...claimant, attemptId: newId() })
      : await claim(backend, { ...claimant, attemptId: newId() }, claimKind);
  return { execution, handle: handleOf(execution, { backend: backend.label, laneId, workerInstanceId, leaseTtlMs }) };
}

/**
 * Claims the execution whose interrupted attempt was granted; undefined when it has no interrupted attempt any more.
 * @throws EngineError `invalid_claim_grant` or `claim_grant_expired`: the grant is not good any more; and what the
 * backend throws
 */
export async function claimFromResumeGrant(backend: Backend, token: GrantToken): Promise<GrantedWork | undefined> {
  checkToken('claimFromResumeGrant()', backend, token);
  const { grant, workerId, workerInstanceId, leaseTtlMs = DEFAULTS.leaseTtlMs } = token;
  const { executionId, grantId, laneId } = grant;
  const args = { executionId, grantId, laneId, workerId, workerInstanceId, leaseTtlMs, leaseId: newId() };
  try {
    const execution = await backend.claimResumedExecution(args);
    return { execution, handle: handleOf(execution, { backend: backend.label, laneId, workerInstanceId, leaseTtlMs }) };
  } catch (error) {
    if (hasCode(error, 'execution_not_found', 'execution_not_leaseable', 'not_a_resumed_execution')) return undefined;
    throw error;
  }
}

type ClaimArgs = Parameters<Backend['claimExecution']>[0];

/** The grant describes the execution at its issue; it may have been interrupted or replayed since. */
async function claim(
  backend: Backend,
  { attemptId, ...args }: ClaimArgs,
  claimKind: 'fresh' | 'resumed',
): Promise<ClaimedExecution> {
  const fresh = (): Promise<ClaimedExecution> => backend.claimExecution({ ...args, attemptId });
  const resumed = (): Promise<ClaimedExecution> => backend.claimResumedExecution(args);
  const [first, second] = claimKind === 'fresh' ? [fresh, resumed] : [resumed, fresh];
  try {
    return await first();
  } catch (error) {
    if (hasCode(error, 'use_claim_resumed_execution', 'not_a_resumed_execution')) return second();
    throw error;
  }
}

async function reclaim(backend: Backend, args: ClaimArgs): Promise<ClaimedExecution> {
  const outcome = await backend.reclaimExecution(args);
  switch (outcome.kind) {
    case 'claimed':
      return outcome;
    case 'grant_not_found':
      throw new EngineError('invalid_claim_grant', `${args.executionId} is not granted to ${args.workerId}.`);
    default:
      throw new EngineError('execution_not_leaseable', `${args.executionId}: ${outcome.kind}.`);
  }
}

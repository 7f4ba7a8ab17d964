/** The registry: every operation and every read, once. Backends, boundary, fuzzer and docs are loops over it. */
import type { z } from 'zod';
import type { Accepted, Decision, Operation, Query } from './operation.js';
import { createBudget, releaseBudget, resetBudget, updateBudgetLimits } from './budget/budget.js';
import { getBudgetStatus, listBudgets, readBudgetBill, readBudgetRoom, readBudgetUsage } from './budget/reads.js';
import { recordSpend, reportUsage, reportUsageAdmin } from './budget/report.js';
import { releaseReservation, renewReservation, reserveBudget, settleReservation } from './budget/reservation.js';
import { keysOf } from './core/tables.js';
import { blockExecutionForAdmission, blockRoute, unblockExecution } from './execution/block.js';
import { cancelExecution } from './execution/cancel.js';
import { completeExecution } from './execution/complete.js';
import type { FamilyCounts } from './families.js';
import { createExecution } from './execution/create.js';
import { delayExecution } from './execution/delay.js';
import { expireExecution } from './execution/expire.js';
import { failExecution } from './execution/fail.js';
import { findExecution } from './execution/find.js';
import { changePriority } from './execution/priority.js';
import { updateProgress } from './execution/progress.js';
import { promoteDelayed } from './execution/promote.js';
import { holdExecution, releaseHold } from './execution/hold.js';
import { purgeExecution } from './execution/purge.js';
import {
  describeExecution,
  getExecutionResult,
  readExecutionContext,
  readExecutionInfo,
  readExecutionState,
} from './execution/reads.js';
import { replayExecution } from './execution/replay.js';
import { getExecutionTags, setExecutionTags } from './execution/tags.js';
import { addExecutionToFlow } from './flow/add-member.js';
import { cancelFlowHeader } from './flow/cancel.js';
import { moveToWaitingChildren } from './flow/waiting.js';
import { createFlow } from './flow/create.js';
import { growFlow } from './flow/grow.js';
import { addDependency, applyDependencyToChild, stageDependencyEdge } from './flow/dependency.js';
import { setEdgeGroupPolicy } from './flow/policy.js';
import {
  describeEdge,
  describeFlow,
  evaluateFlowEligibility,
  listEdges,
  listFlowMembers,
  listFlows,
  resolveExecutionFlowId,
} from './flow/reads.js';
import { closeFlow, sealFlow } from './flow/seal.js';
import { spawnChildren } from './flow/spawn.js';
import { getFlowTag, setFlowTags } from './flow/tags.js';
import { listExecutionSummaries } from './listing/list.js';
import { listQueued } from './listing/queued.js';
import { listExpiredLeases } from './lease/expired.js';
import { claimExecution, claimResumedExecution } from './grant/claim.js';
import { issueClaimGrant, issueReclaimGrant } from './grant/issue.js';
import { issueGrantAndClaim } from './grant/operator-claim.js';
import { reclaimExecution } from './grant/reclaim.js';
import { scanEligibleExecutions } from './grant/scan.js';
import { beginAttempt } from './lease/begin.js';
import { markLeaseExpiredIfDue } from './lease/mark-expired.js';
import { releaseLease } from './lease/release.js';
import { renewLease } from './lease/renew.js';
import { revokeLease } from './lease/revoke.js';
import { listExecutions, listPartitionLanes, readLog } from './partition/reads.js';
import { readSnapshot } from './partition/snapshot.js';
import { watchEnds, watchLog } from './partition/watch.js';
import { commitReader } from './reader/commit.js';
import { forgetReader } from './reader/forget.js';
import { listReaders } from './reader/reads.js';
import { dropQuarantined, listQuarantined, retryQuarantined } from './partition/quarantine.js';
import { closeWaitpoint } from './suspension/close-waitpoint.js';
import { listPendingWaitpoints, listSuspended } from './suspension/listings.js';
import { createPendingWaitpoint } from './suspension/create-pending.js';
import { expirePendingWaitpoint } from './suspension/expire-pending.js';
import { deliverApprovalSignal } from './suspension/approve.js';
import { expireSuspension } from './suspension/expire.js';
import { signalExecution } from './suspension/send.js';
import { readWaits } from './suspension/read-waits.js';
import { describeSuspension, listSignals, observeSignals } from './suspension/reads.js';
import { resumeExecution } from './suspension/resume.js';
import { listWaitpointHmacKids, readWaitpointToken } from './signing/reads.js';
import { rotateWaitpointHmacSecret } from './signing/rotate.js';
import { deliverSignal } from './suspension/signal.js';
import { suspendExecution } from './suspension/suspend.js';
import { readSteps } from './step/reads.js';
import { recordStep } from './step/record.js';
import { appendFrame } from './stream/append.js';
import { readStream, readSummary } from './stream/reads.js';
import { watchStream } from './stream/watch.js';
import { heartbeatWorker } from './worker/heartbeat.js';
import { markWorkerDead } from './worker/mark-dead.js';
import { listWorkers } from './worker/reads.js';
import { registerWorker } from './worker/register.js';
import { applyDue } from './schedule/apply-due.js';
import { checkAdmission } from './quota/check.js';
import { createQuotaPolicy } from './quota/create.js';
import { readQuotaPolicyLimits } from './quota/reads.js';
import { releaseAdmission } from './quota/release.js';
import { listMeteredHeads } from './metering/reads.js';
import { settleAdmissions } from './metering/settle.js';
import { voidAdmission } from './metering/void.js';
import { claimForWorker } from './schedule/claim.js';
import { drainLane, pauseLane, readLane, resumeLane } from './lane/state.js';
import { listQueueHeads } from './schedule/queue-heads.js';
import { readCounts } from './schedule/read-counts.js';

/** Operations change state; each is one command of one partition. */
export const OPERATIONS = {
  createExecution,
  claimForWorker,
  voidAdmission,
  settleAdmissions,
  createQuotaPolicy,
  checkAdmission,
  releaseAdmission,
  renewLease,
  markLeaseExpiredIfDue,
  revokeLease,
  releaseLease,
  updateProgress,
  completeExecution,
  failExecution,
  cancelExecution,
  delayExecution,
  promoteDelayed,
  expireExecution,
  purgeExecution,
  beginAttempt,
  applyDue,
  retryQuarantined,
  dropQuarantined,
  holdExecution,
  releaseHold,
  watchLog,
  watchEnds,
  commitReader,
  forgetReader,
  pauseLane,
  drainLane,
  resumeLane,
  appendFrame,
  watchStream,
  recordStep,
  changePriority,
  replayExecution,
  setExecutionTags,
  blockExecutionForAdmission,
  blockRoute,
  unblockExecution,
  issueClaimGrant,
  issueReclaimGrant,
  claimExecution,
  claimResumedExecution,
  reclaimExecution,
  issueGrantAndClaim,
  createPendingWaitpoint,
  closeWaitpoint,
  expirePendingWaitpoint,
  suspendExecution,
  deliverApprovalSignal,
  resumeExecution,
  expireSuspension,
  deliverSignal,
  signalExecution,
  rotateWaitpointHmacSecret,
  registerWorker,
  heartbeatWorker,
  markWorkerDead,
  createFlow,
  growFlow,
  addExecutionToFlow,
  stageDependencyEdge,
  addDependency,
  applyDependencyToChild,
  setEdgeGroupPolicy,
  sealFlow,
  closeFlow,
  cancelFlowHeader,
  setFlowTags,
  createBudget,
  updateBudgetLimits,
  reportUsage,
  reportUsageAdmin,
  recordSpend,
  releaseBudget,
  resetBudget,
  reserveBudget,
  renewReservation,
  settleReservation,
  releaseReservation,
  spawnChildren,
  moveToWaitingChildren,
} as const;

/** Reads of one execution or one partition. */
export const QUERIES = {
  describeExecution,
  readExecutionInfo,
  readExecutionState,
  readExecutionContext,
  getExecutionResult,
  getExecutionTags,
  readWaitpointToken,
  listWaitpointHmacKids,
  describeSuspension,
  observeSignals,
  listSignals,
  listSuspended,
  listPendingWaitpoints,
  readWaits,
  findExecution,
  listExecutions,
  listExecutionSummaries,
  listQueued,
  listExpiredLeases,
  readStream,
  readSummary,
  readSteps,
  listPartitionLanes,
  readCounts,
  readLane,
  listQueueHeads,
  listMeteredHeads,
  readQuotaPolicyLimits,
  scanEligibleExecutions,
  listQuarantined,
  readLog,
  readSnapshot,
  listReaders,
  listWorkers,
  describeFlow,
  getFlowTag,
  describeEdge,
  listEdges,
  listFlows,
  listFlowMembers,
  resolveExecutionFlowId,
  evaluateFlowEligibility,
  getBudgetStatus,
  readBudgetRoom,
  readBudgetBill,
  readBudgetUsage,
  listBudgets,
} as const;

export type OperationName = keyof typeof OPERATIONS;
export type QueryName = keyof typeof QUERIES;
export const OPERATION_NAMES = keysOf(OPERATIONS);
export const QUERY_NAMES = keysOf(QUERIES);
type Declarations = typeof OPERATIONS & typeof QUERIES;

/** Arguments as a caller writes them. */
export type ArgsOf<Name extends keyof Declarations> = z.input<Declarations[Name]['args']>;
/** Arguments after validation: defaults filled in, sets sorted, numbers clamped. */
export type ParsedArgsOf<Name extends keyof Declarations> = z.output<Declarations[Name]['args']>;
export type OutcomeOf<Name extends OperationName> = z.output<(typeof OPERATIONS)[Name]['outcome']>;
export type AnswerOf<Name extends QueryName> =
  Extract<ReturnType<(typeof QUERIES)[Name]['read']>, { ok: true }> extends Accepted<infer Answer> ? Answer : never;

/** A command as data: an operation's name and its arguments. */
export type Command = { [Name in OperationName]: { readonly name: Name; readonly args: ArgsOf<Name> } }[OperationName];
/** A command whose arguments went through validation. */
export type ParsedCommand = {
  [Name in OperationName]: { readonly name: Name; readonly args: ParsedArgsOf<Name> };
}[OperationName];
export type AnyDecision = Decision<OutcomeOf<OperationName>>;

/** The declaration of an operation by name, with its types widened for generic code. */
export function operationNamed(name: OperationName): Operation {
  return OPERATIONS[name] as unknown as Operation;
}

/** The declaration of a read by name, with its types widened for generic code. */
export function queryNamed(name: QueryName): Query {
  return QUERIES[name] as unknown as Query;
}

/** The partition in which a command runs. */
export function partitionOfCommand(command: ParsedCommand, counts: FamilyCounts): string {
  return operationNamed(command.name).partition(command.args as never, counts);
}

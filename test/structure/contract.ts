/**
 * The original contracts as data: for each operation its arguments (`?`: optional) and the members of its outcomes, in
 * the names of this project: camelCase, kinds and other literals in snake_case. `now` and `partitionId` are left out
 * everywhere.
 */
interface Shape {
  readonly args: string;
  /** Members by the kind of the outcome. */
  readonly outcomes: Readonly<Record<string, string>>;
}

export const CONTRACT: Readonly<Record<string, Shape>> = {
  createExecution: {
    args: 'executionId namespace laneId executionKind inputPayload payloadEncoding? priority creatorIdentity idempotencyKey? tags? policy? delayUntil? executionDeadlineAt?',
    outcomes: { created: 'executionId publicState', duplicate: 'executionId' },
  },
  issueClaimGrant: {
    args: 'executionId laneId workerId workerInstanceId partition capabilityHash? routeSnapshotJson? admissionSummary? workerCapabilities grantTtlMs',
    outcomes: { granted: 'executionId' },
  },
  blockRoute: {
    args: 'executionId laneId partition reasonCode reasonDetail',
    outcomes: { blocked: 'executionId', lua_rejected: 'message' },
  },
  claimExecution: {
    args: 'executionId workerId workerInstanceId laneId leaseId leaseTtlMs attemptId expectedAttemptIndex attemptPolicyJson? attemptTimeoutMs? executionDeadlineAt?',
    outcomes: { claimed: 'executionId leaseId leaseEpoch attemptIndex attemptId attemptType leaseExpiresAt handle' },
  },
  completeExecution: {
    args: 'executionId fence? attemptIndex resultPayload? resultEncoding? source?',
    outcomes: { completed: 'executionId publicState' },
  },
  renewLease: {
    args: 'executionId attemptIndex fence? leaseTtlMs leaseHistoryGraceMs?',
    outcomes: { renewed: 'expiresAt' },
  },
  markLeaseExpiredIfDue: {
    args: 'executionId',
    outcomes: { marked_expired: '', already_satisfied: 'reason' },
  },
  cancelExecution: {
    args: 'executionId reason source? leaseId? leaseEpoch? attemptId?',
    outcomes: { cancelled: 'executionId publicState' },
  },
  revokeLease: {
    args: 'executionId expectedLeaseId? workerInstanceId reason',
    outcomes: { revoked: 'leaseId leaseEpoch', already_satisfied: 'reason' },
  },
  delayExecution: {
    args: 'executionId fence? attemptIndex delayUntil source?',
    outcomes: { delayed: 'executionId publicState' },
  },
  moveToWaitingChildren: {
    args: 'executionId fence? attemptIndex source?',
    outcomes: { moved: 'executionId publicState' },
  },
  changePriority: {
    args: 'executionId newPriority laneId',
    outcomes: { changed: 'executionId' },
  },
  updateProgress: {
    args: 'executionId leaseId leaseEpoch attemptId progressPct? progressMessage?',
    outcomes: { updated: '' },
  },
  failExecution: {
    args: 'executionId fence? attemptIndex failureReason failureCategory retryPolicyJson? nextAttemptPolicyJson? source?',
    outcomes: { retry_scheduled: 'delayUntil nextAttemptIndex', terminal_failed: '' },
  },
  issueReclaimGrant: {
    args: 'executionId workerId workerInstanceId laneId capabilityHash? grantTtlMs routeSnapshotJson? admissionSummary? workerCapabilities?',
    outcomes: {
      granted: 'executionId partitionKey grantKey expiresAtMs laneId',
      not_reclaimable: 'executionId detail',
      reclaim_cap_exceeded: 'executionId reclaimCount',
    },
  },
  reclaimExecution: {
    args: 'executionId workerId workerInstanceId laneId capabilityHash? leaseId leaseTtlMs attemptId attemptPolicyJson? maxReclaimCount? oldWorkerInstanceId currentAttemptIndex',
    outcomes: {
      claimed: 'handle',
      not_reclaimable: 'executionId detail',
      reclaim_cap_exceeded: 'executionId reclaimCount',
      grant_not_found: 'executionId',
    },
  },
  expireExecution: {
    args: 'executionId expireReason',
    outcomes: { expired: 'executionId', already_terminal: '' },
  },
  suspendExecution: {
    args: 'suspensionId waitpoints resumeCondition resumePolicy reasonCode requestedBy timeoutAt? timeoutBehavior continuationMetadataPointer? idempotencyKey?',
    outcomes: {
      suspended: 'suspensionId waitpointId waitpointKey waitpointToken additionalWaitpoints handle',
      already_satisfied: 'suspensionId waitpointId waitpointKey waitpointToken additionalWaitpoints',
    },
  },
  resumeExecution: {
    args: 'executionId triggerType? resumeDelayMs?',
    outcomes: { resumed: 'publicState' },
  },
  createPendingWaitpoint: {
    args: 'executionId leaseId leaseEpoch attemptIndex attemptId waitpointId waitpointKey expiresInMs',
    outcomes: { created: 'waitpointId waitpointKey waitpointToken' },
  },
  closeWaitpoint: {
    args: 'waitpointId reason',
    outcomes: { closed: '' },
  },
  deliverSignal: {
    args: 'executionId waitpointId signalId signalName signalCategory sourceType sourceIdentity payload? payloadEncoding? correlationId? idempotencyKey? targetScope createdAt? dedupTtlMs? resumeDelayMs? maxSignalsPerExecution? signalMaxlen? waitpointToken',
    outcomes: { accepted: 'signalId effect', duplicate: 'existingSignalId' },
  },
  expireSuspension: {
    args: 'executionId',
    outcomes: { expired: 'behaviorApplied', already_satisfied: 'reason' },
  },
  claimResumedExecution: {
    args: 'executionId workerId workerInstanceId laneId leaseId leaseTtlMs currentAttemptIndex remainingAttemptTimeoutMs?',
    outcomes: { claimed: 'executionId leaseId leaseEpoch attemptIndex attemptId leaseExpiresAt handle' },
  },
  appendFrame: {
    args: 'executionId attemptIndex leaseId leaseEpoch attemptId frameType timestamp payload encoding? metadataJson? correlationId? source? retentionMaxlen? maxPayloadBytes?',
    outcomes: { appended: 'entryId frameCount' },
  },
  createBudget: {
    args: 'budgetId scopeType scopeId enforcementMode onHardLimit onSoftLimit resetIntervalMs dimensions hardLimits softLimits',
    outcomes: { created: 'budgetId', already_satisfied: 'budgetId' },
  },
  createQuotaPolicy: {
    args: 'quotaPolicyId windowSeconds maxRequestsPerWindow maxConcurrent',
    outcomes: { created: 'quotaPolicyId', already_satisfied: 'quotaPolicyId' },
  },
  reportUsage: {
    args: 'dimensions deltas dedupKey?',
    outcomes: {
      ok: '',
      soft_breach: 'dimension currentUsage softLimit',
      hard_breach: 'dimension currentUsage hardLimit',
      already_applied: '',
    },
  },
  reportUsageAdmin: {
    args: 'dimensions deltas dedupKey?',
    outcomes: {
      ok: '',
      soft_breach: 'dimension currentUsage softLimit',
      hard_breach: 'dimension currentUsage hardLimit',
      already_applied: '',
    },
  },
  recordSpend: {
    args: 'budgetId executionId deltas idempotencyKey',
    outcomes: {
      ok: '',
      soft_breach: 'dimension currentUsage softLimit',
      hard_breach: 'dimension currentUsage hardLimit',
      already_applied: '',
    },
  },
  releaseBudget: {
    args: 'budgetId executionId',
    outcomes: {},
  },
  resetBudget: {
    args: 'budgetId',
    outcomes: { reset: 'nextResetAt' },
  },
  checkAdmission: {
    args: 'executionId windowSeconds rateLimit concurrencyCap jitterMs?',
    outcomes: { admitted: '', already_admitted: '', rate_exceeded: 'retryAfterMs', concurrency_exceeded: '' },
  },
  releaseAdmission: {
    args: 'executionId',
    outcomes: { released: '' },
  },
  blockExecutionForAdmission: {
    args: 'executionId blockingReason blockingDetail?',
    outcomes: { blocked: '' },
  },
  unblockExecution: {
    args: 'executionId expectedBlockingReason?',
    outcomes: { unblocked: '' },
  },
  createFlow: {
    args: 'flowId flowKind namespace',
    outcomes: { created: 'flowId', already_satisfied: 'flowId' },
  },
  addExecutionToFlow: {
    args: 'flowId executionId',
    outcomes: { added: 'executionId newNodeCount', already_member: 'executionId nodeCount' },
  },
  cancelFlowHeader: {
    args: 'flowId reason cancellationPolicy',
    outcomes: {
      cancelled: 'cancellationPolicy memberExecutionIds',
      already_terminal: 'storedCancellationPolicy storedCancelReason memberExecutionIds',
    },
  },
  stageDependencyEdge: {
    args: 'flowId edgeId upstreamExecutionId downstreamExecutionId dependencyKind? dataPassingRef? expectedGraphRevision',
    outcomes: { staged: 'edgeId newGraphRevision' },
  },
  applyDependencyToChild: {
    args: 'flowId edgeId downstreamExecutionId upstreamExecutionId graphRevision dependencyKind? dataPassingRef?',
    outcomes: { applied: 'unsatisfiedCount', already_applied: '' },
  },
  setEdgeGroupPolicy: {
    args: 'flowId downstreamExecutionId policy',
    outcomes: { set: '', already_set: '' },
  },
  replayExecution: {
    args: 'executionId',
    outcomes: { replayed: 'publicState' },
  },
  setExecutionTags: {
    args: 'executionId tags',
    outcomes: { ok: 'count' },
  },
  setFlowTags: {
    args: 'flowId tags',
    outcomes: { ok: 'count' },
  },
  rotateWaitpointHmacSecret: {
    args: 'newKid newSecretHex graceMs',
    outcomes: { rotated: 'previousKid newKid gcCount', noop: 'kid' },
  },
  claimForWorker: {
    args: 'laneId workerId workerInstanceId workerCapabilities grantTtlMs',
    outcomes: { no_work: '', granted: 'executionId partitionKey grantKey expiresAtMs' },
  },
  deliverApprovalSignal: {
    args: 'executionId laneId waitpointId signalName idempotencySuffix signalDedupTtlMs maxlen? maxSignalsPerExecution?',
    outcomes: { accepted: 'signalId effect', duplicate: 'existingSignalId' },
  },
  issueGrantAndClaim: {
    args: 'executionId laneId leaseDurationMs',
    outcomes: { claimed: 'leaseId leaseEpoch attemptIndex' },
  },
};

interface ReadShape {
  /** Absent for the rows of an answer, and for a read that takes a handle. */
  readonly args?: string;
  readonly answer: string;
}

/** Reads by name; after a dot, the member of the answer that is meant: of a list, its first row. */
export const READS: Readonly<Record<string, ReadShape>> = {
  describeExecution: {
    args: 'executionId',
    answer:
      'executionId flowId laneId namespace publicState blockingReason blockingDetail currentAttempt currentLease currentWaitpoint createdAt lastMutationAt totalAttemptCount tags',
  },
  'describeExecution.currentAttempt': { answer: 'attemptId attemptIndex' },
  'describeExecution.currentLease': {
    answer: 'leaseEpoch workerInstanceId expiresAt leaseId attemptIndex lastHeartbeatAt',
  },
  readExecutionInfo: {
    args: 'executionId',
    answer:
      'executionId namespace laneId priority executionKind stateVector publicState createdAt startedAt completedAt currentAttemptIndex flowId blockingDetail',
  },
  readExecutionState: { args: 'executionId', answer: '' },
  readExecutionContext: { args: 'executionId', answer: 'inputPayload executionKind tags' },
  getExecutionResult: { args: 'executionId', answer: '' },
  describeFlow: {
    args: 'flowId',
    answer:
      'flowId flowKind namespace publicFlowState graphRevision nodeCount edgeCount createdAt lastMutationAt cancelledAt cancelReason cancellationPolicy tags edgeGroups',
  },
  'listFlowMembers.members.group': {
    answer: 'downstreamExecutionId policy totalDeps satisfiedCount failedCount skippedCount runningCount groupState',
  },
  describeEdge: {
    args: 'flowId edgeId',
    answer:
      'edgeId flowId upstreamExecutionId downstreamExecutionId dependencyKind satisfactionCondition dataPassingRef edgeState createdAt createdBy',
  },
  listEdges: { args: 'flowId direction', answer: '' },
  resolveExecutionFlowId: { args: 'executionId', answer: '' },
  evaluateFlowEligibility: { args: 'executionId', answer: '' },
  listFlows: { args: 'partition cursor? limit', answer: 'flows nextCursor' },
  'listFlows.flows': { answer: 'flowId createdAt status' },
  listExecutions: { args: 'partition cursor? limit', answer: 'executions nextCursor' },
  'listExecutionSummaries.executions': {
    answer: 'executionId namespace laneId executionKind publicState priority createdAt',
  },
  listSuspended: { args: 'partition cursor? limit', answer: 'entries nextCursor' },
  'listSuspended.entries': { answer: 'executionId suspendedAtMs reason' },
  listPendingWaitpoints: { args: 'executionId after? limit?', answer: 'entries nextCursor' },
  'listPendingWaitpoints.entries': {
    answer:
      'waitpointId waitpointKey state requiredSignalNames createdAt activatedAt expiresAt executionId tokenKid tokenFingerprint',
  },
  listWaitpointHmacKids: { args: '', answer: 'currentKid verifying' },
  'listWaitpointHmacKids.verifying': { answer: 'kid expiresAtMs' },
  'observeSignals.signals': {
    answer: 'signalId signalName signalCategory sourceType sourceIdentity correlationId acceptedAt payload',
  },
  scanEligibleExecutions: { args: 'laneId partition limit', answer: '' },
  getBudgetStatus: {
    args: 'budgetId',
    answer:
      'budgetId scopeType scopeId enforcementMode usage hardLimits softLimits breachCount softBreachCount lastBreachAt lastBreachDim nextResetAt createdAt',
  },
  readStream: { args: 'executionId attemptIndex from to countLimit', answer: 'frames closedAt closedReason' },
  'readStream.frames': { answer: 'id fields' },
  readSummary: {
    args: 'executionId attemptIndex',
    answer: 'documentJson version patchKind lastUpdatedMs firstAppliedMs',
  },
};

/** Literals that an argument accepts, by `operation.argument`; it may accept others too. */
export const LITERALS: Readonly<Record<string, string>> = {
  'suspendExecution.timeoutBehavior': 'fail cancel expire auto_resume_with_timeout_signal escalate',
  'suspendExecution.reasonCode':
    'waiting_for_signal waiting_for_approval waiting_for_callback waiting_for_tool_result waiting_for_operator_review paused_by_policy paused_by_budget step_boundary manual_pause',
  'suspendExecution.requestedBy': 'worker operator policy system_timeout_policy',
  'suspendExecution.resumeCondition':
    'single operator_only timeout_only all_of count by_name wildcard distinct_waitpoints distinct_signals distinct_sources',
  'suspendExecution.resumePolicy': 'runnable',
  'setEdgeGroupPolicy.policy': 'all_of any_of quorum cancel_remaining let_run',
  'stageDependencyEdge.dependencyKind': 'success_only',
  'cancelFlowHeader.cancellationPolicy': 'flow_only cancel_all cancel_pending',
  'failExecution.failureClass': 'transient permanent infra_crash timeout cancelled',
  'completeExecution.source': 'lease_holder operator_override',
  'readStream.visibility': 'all exclude_best_effort',
};

/**
 * For any input of a caller, both backends answer with the same typed error, write nothing, neither crash nor hang, and
 * put no secret into a message. Odd but valid input must work alike on both.
 */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EngineError } from '../model/errors.js';
import { encodeHandle, type BackendLabel } from '../model/handle.js';
import { OPERATIONS, QUERIES, type Command, type OperationName, type QueryName } from '../model/machine.js';
import { meterSetOf, metersOf } from '../model/metering/meters.js';
import { meaningOfCode } from '../model/vocabulary/errors.js';
import { memory } from '../src/memory/index.js';
import type { CanonicalState } from '../src/testing/canonical/index.js';
import { testEngine, type TestEngine } from '../src/testing/index.js';
import { sharedValkey } from '../test/support/valkey/index.js';
import { revealed } from './plain.js';
import { fuzzEnvironment } from './environment.js';
import { pathsOf, SECRET, spoil, spoiling, type Spoiling } from './spoil.js';

const { seed } = fuzzEnvironment(0);
const PARTITION = '{fp:0}';
const BUDGET = 'b0b0b0b0-0000-4000-a000-000000000001';
const LIMIT_MS = 10_000;
/** Tries for every member of the arguments of an operation. */
const RUNS_PER_MEMBER = Number(process.env['FUZZ_BAD_INPUT'] ?? 2);
/** Longest message of an error. */
const MAX_MESSAGE = 1_000;

const uuid = (n: number): string => `00000000-0000-4000-a000-${String(n).padStart(12, '0')}`;
const idOf = (n: number): string => `${PARTITION}:${uuid(n)}`;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

let engines: readonly { label: BackendLabel; engine: TestEngine }[];

const RUNNING = idOf(1);
const FENCE = { leaseId: uuid(901), leaseEpoch: 1, attemptId: uuid(902) };

/** The same small world on both backends: one running execution, one ready, one delayed, one cancelled. */
async function populate({ backend }: TestEngine): Promise<void> {
  const base = { namespace: 'n', laneId: 'lane', executionKind: 'k', creatorIdentity: 'c' };
  await backend.createExecution({ ...base, executionId: RUNNING, inputPayload: text(SECRET), tags: { 'a.b': SECRET } });
  await backend.claimForWorker({
    partition: PARTITION,
    laneId: 'lane',
    workerId: 'w',
    workerInstanceId: 'w-1',
    claims: [{ leaseId: FENCE.leaseId, attemptId: FENCE.attemptId }],
  });
  await backend.createExecution({
    ...base,
    executionId: idOf(2),
    policy: { routingRequirements: { requiredCapabilities: [SECRET] } },
  });
  await backend.createExecution({ ...base, executionId: idOf(3), delayUntil: 1_800_000_000_000 });
  await backend.createExecution({ ...base, executionId: idOf(4) });
  await backend.cancelExecution({ executionId: idOf(4), reason: 'r', source: 'operator_override' });
  await backend.createExecution({ ...base, laneId: 'waits', executionId: SUSPENDED });
  await backend.claimForWorker({
    partition: PARTITION,
    laneId: 'waits',
    workerId: 'w',
    workerInstanceId: 'w-1',
    claims: [{ leaseId: uuid(105), attemptId: uuid(205) }],
  });
  await backend.suspendExecution({ ...suspension, executionId: SUSPENDED, fence: SUSPENDER } as never);
  await backend.createQuotaPolicy(VALID.createQuotaPolicy as never);
  await backend.createBudget(VALID.createBudget as never);
}

const SUSPENDED = idOf(5);
const SUSPENDER = { leaseId: uuid(105), leaseEpoch: 1, attemptId: uuid(205) };
const suspension = {
  suspensionId: uuid(300),
  waitpoints: [{ waitpointId: uuid(301), waitpointKey: 'wpk:a' }],
  resumeCondition: { type: 'single', waitpointKey: 'wpk:a', matcher: { type: 'by_name', name: 'go' } },
  reasonCode: 'waiting_for_approval',
  requestedBy: 'worker',
  timeoutAt: 1_900_000_000_000,
  timeoutBehavior: 'fail',
  resumePolicy: {
    resumeTarget: 'runnable',
    resumeDelayMs: 5,
    consumeMatchedSignals: true,
    retainSignalBufferUntilClosed: true,
    closeWaitpointOnResume: true,
  },
  continuationMetadataPointer: SECRET,
};

const owner = { executionId: RUNNING, fence: FENCE, attemptIndex: 0 };

const GRANT = {
  grantId: uuid(80),
  laneId: 'lane',
  workerId: 'w',
  workerInstanceId: 'w-1',
  strict: true,
  workerCapabilities: [SECRET],
  kinds: ['k'],
  grantTtlMs: 1_000,
  capabilityHash: 'hash',
  routeSnapshotJson: '{}',
  admissionSummary: 'admitted',
};
const CLAIM = {
  grantId: uuid(80),
  laneId: 'lane',
  workerId: 'w',
  workerInstanceId: 'w-1',
  leaseId: uuid(81),
  leaseTtlMs: 5_000,
};

const METERS = meterSetOf(metersOf({ quotaPolicyIds: [uuid(400)] }));

/** Two members; the second depends on the first. */
const GRAPH = {
  members: [
    { executionId: idOf(61), laneId: 'lane', executionKind: 'k', inputPayload: text(SECRET), priority: 3 },
    { executionId: idOf(62), laneId: 'lane', executionKind: 'k', tags: { 'a.b': SECRET } },
  ],
  edges: [
    {
      edgeId: uuid(63),
      upstreamExecutionId: idOf(61),
      downstreamExecutionId: idOf(62),
      dataPassingRef: 'result',
    },
  ],
  groups: [{ downstreamExecutionId: idOf(62), policy: { kind: 'quorum', k: 1, onSatisfied: 'let_run' } }],
} as const;

/** Valid arguments of every operation and read. */
const VALID: { [Name in OperationName | QueryName]: object } = {
  suspendExecution: { ...owner, ...suspension },
  createPendingWaitpoint: {
    ...owner,
    waitpointId: uuid(304),
    waitpointKey: SECRET,
    expiresInMs: 1_000,
    maxWaitpointsPerExecution: 5,
  },
  closeWaitpoint: { ...owner, waitpointId: uuid(304), reason: SECRET },
  expirePendingWaitpoint: { executionId: RUNNING, waitpointId: uuid(304) },
  deliverApprovalSignal: {
    executionId: SUSPENDED,
    waitpointId: uuid(301),
    signalId: uuid(302),
    signalName: 'go',
    idempotencySuffix: SECRET,
    signalDedupTtlMs: 1_000,
    maxSignalsPerExecution: 5,
    decidedBy: 'ann',
  },
  deliverSignal: {
    executionId: SUSPENDED,
    waitpointId: uuid(301),
    waitpointToken: `k1:${SECRET}`,
    signalId: uuid(303),
    signalName: 'go',
    signalCategory: 'external',
    sourceType: 'external',
    sourceIdentity: 'web',
    idempotencyKey: SECRET,
    dedupTtlMs: 1_000,
    maxSignalsPerExecution: 5,
    resumeDelayMs: 5,
    correlationId: SECRET,
    createdAt: 7,
    targetScope: 'execution',
    payloadEncoding: 'json',
    payload: text(SECRET),
  },
  signalExecution: {
    executionId: SUSPENDED,
    signalId: uuid(304),
    signalName: 'go',
    signalCategory: 'external',
    sourceType: 'external',
    sourceIdentity: 'web',
    maxSignalsPerExecution: 5,
    correlationId: SECRET,
    createdAt: 7,
    payloadEncoding: 'json',
    payload: text(SECRET),
  },
  rotateWaitpointHmacSecret: {
    partition: PARTITION,
    newKid: 'k1',
    newSecret: text(SECRET.padEnd(32, 's')),
    graceMs: 5,
    onlyFirst: true,
  },
  registerWorker: {
    namespace: 'n',
    workerInstanceId: 'w-1',
    workerId: 'w',
    livenessTtlMs: 1_000,
    lanes: ['lane'],
    capabilities: [SECRET],
    kinds: ['k'],
    slots: 3,
  },
  heartbeatWorker: { namespace: 'n', workerInstanceId: 'w-1', running: 1, draining: true },
  markWorkerDead: { namespace: 'n', workerInstanceId: 'w-1', reason: SECRET, requestedBy: 'ann' },
  listWorkers: { namespace: 'n', cursor: 'w-0', limit: 5 },
  readWaitpointToken: { executionId: RUNNING, waitpointId: uuid(301) },
  listWaitpointHmacKids: { partition: PARTITION },
  resumeExecution: { executionId: SUSPENDED, resumeDelayMs: 0 },
  expireSuspension: { executionId: SUSPENDED },
  describeSuspension: { executionId: SUSPENDED },
  observeSignals: { executionId: SUSPENDED, attemptIndex: 0, cursor: uuid(303), limit: 5 },
  listSuspended: {
    partition: PARTITION,
    reason: 'manual_pause',
    namespace: 'n',
    laneId: 'lane',
    cursor: `5:${SUSPENDED}`,
    limit: 5,
  },
  listPendingWaitpoints: { executionId: SUSPENDED, after: uuid(303), limit: 5 },
  listSignals: { executionId: SUSPENDED, cursor: uuid(303), limit: 5 },
  readWaits: { executionId: SUSPENDED },
  createExecution: {
    executionId: idOf(50),
    namespace: 'n',
    laneId: 'lane',
    executionKind: 'k',
    creatorIdentity: 'c',
    inputPayload: text(SECRET),
    payloadEncoding: 'json',
    priority: 3,
    idempotencyKey: 'key',
    tags: { 'a.b': SECRET },
    delayUntil: 1_800_000_000_000,
    executionDeadlineAt: 1_900_000_000_000,
    initialBlock: { blockingReason: 'paused_by_operator', blockingDetail: SECRET },
    policy: {
      priority: 4,
      delayUntil: 5,
      retryPolicy: {
        maxRetries: 3,
        backoff: { type: 'exponential', initialDelayMs: 1, maxDelayMs: 9, multiplier: 2, jitter: true },
        retryableCategories: ['io'],
      },
      timeoutPolicy: { attemptTimeoutMs: 1_000, executionDeadlineMs: 5_000 },
      maxReclaimCount: 3,
      maxReleaseCount: 3,
      maxReplayCount: 3,
      routingRequirements: { requiredCapabilities: [SECRET] },
      dedupWindowMs: 10,
      suspensionPolicy: { defaultTimeoutMs: 5_000, timeoutBehavior: 'cancel' },
      maxSignalsPerExecution: 5,
      streamPolicy: { retentionTtlMs: 60_000 },
    },
  },
  claimForWorker: {
    partition: PARTITION,
    laneId: 'nothing',
    workerId: 'w',
    workerInstanceId: 'w-1',
    workerCapabilities: [SECRET],
    leaseTtlMs: 5_000,
    handles: true,
    meters: METERS,
    claims: [{ leaseId: uuid(7), attemptId: uuid(8) }],
  },
  createQuotaPolicy: {
    quotaPolicyId: uuid(500),
    windowSeconds: 1,
    maxRequestsPerWindow: 1,
    maxConcurrent: 5,
  },
  checkAdmission: {
    quotaPolicyId: uuid(500),
    admissionIds: [uuid(501)],
    partition: PARTITION,
    limits: { maxConcurrent: 5 },
    laneId: 'nothing',
    workerInstanceId: 'w-1',
    meters: METERS,
    waiterTtlMs: 50,
    jitter: 0.5,
  },
  releaseAdmission: { quotaPolicyId: uuid(500), admissionIds: [uuid(502)], unused: true },
  readQuotaPolicyLimits: { quotaPolicyId: uuid(500) },
  voidAdmission: { partition: PARTITION, admissionId: uuid(401) },
  settleAdmissions: { partition: PARTITION, admissionIds: [uuid(402)] },
  listMeteredHeads: { partition: PARTITION, laneIds: ['nothing'], cursor: 'a', limit: 5 },
  renewLease: { ...owner, leaseTtlMs: 5_000 },
  beginAttempt: { executionId: RUNNING, fence: FENCE },
  applyDue: {
    partition: PARTITION,
    limit: 5,
    jitter: 0.5,
    owner: 'loop',
    filter: { namespace: 'n', laneId: 'l', executionKind: 'k', tags: { 'team.name': 'core' } },
    after: `5:${RUNNING}`,
  },
  watchLog: { partition: PARTITION, after: 'g.1.1' },
  watchEnds: { partition: PARTITION, ttlMs: 1_000 },
  watchStream: { executionId: RUNNING, ttlMs: 1_000 },
  commitReader: { partition: PARTITION, readerId: 'reader', position: '.0.0' },
  forgetReader: { partition: PARTITION, readerId: 'reader' },
  listReaders: { partition: PARTITION },
  markLeaseExpiredIfDue: { executionId: RUNNING },
  revokeLease: { executionId: RUNNING, expectedLeaseId: uuid(77), reason: 'r' },
  releaseLease: { ...owner, fence: { ...FENCE, leaseId: uuid(77) } },
  updateProgress: { executionId: RUNNING, ...FENCE, progressPct: 5, progressMessage: 'half' },
  completeExecution: {
    ...owner,
    fence: { ...FENCE, leaseId: uuid(77) },
    resultPayload: text(SECRET),
    resultEncoding: 'json',
    source: 'lease_holder',
  },
  failExecution: {
    ...owner,
    fence: { ...FENCE, leaseId: uuid(77) },
    failureReason: 'r',
    failureDetail: text(SECRET),
    failureCategory: 'io',
    failureClass: 'transient',
    jitter: 0.5,
    retryAfterMs: 5,
    source: 'lease_holder',
  },
  cancelExecution: { executionId: idOf(4), reason: 'r', source: 'lease_holder', ...FENCE },
  delayExecution: { ...owner, fence: { ...FENCE, leaseId: uuid(77) }, delayUntil: 5, source: 'lease_holder' },
  promoteDelayed: { executionId: idOf(3) },
  expireExecution: { executionId: idOf(4), expireReason: 'attempt_timeout', jitter: 0.5 },
  purgeExecution: { executionId: idOf(4) },
  describeExecution: { executionId: RUNNING },
  blockExecutionForAdmission: { executionId: idOf(4), blockingReason: 'waiting_for_budget', blockingDetail: 'd' },
  blockRoute: { executionId: idOf(4), reasonDetail: 'd' },
  unblockExecution: { executionId: idOf(4), expectedBlockingReason: 'waiting_for_quota' },
  changePriority: { executionId: idOf(4), newPriority: 5, requestedBy: 'ann' },
  replayExecution: { executionId: RUNNING, reason: 'r', requestedBy: 'ann', expectedReplayCount: 0, steps: 'keep' },
  setExecutionTags: { executionId: RUNNING, tags: { 'a.b': SECRET } },
  getExecutionTags: { executionId: RUNNING },
  holdExecution: { executionId: idOf(4), reason: 'r', requestedBy: 'ann' },
  releaseHold: { executionId: RUNNING, reason: 'r', requestedBy: 'ann' },
  issueClaimGrant: { executionId: RUNNING, ...GRANT },
  issueReclaimGrant: { executionId: RUNNING, ...GRANT },
  claimExecution: { executionId: idOf(3), ...CLAIM, attemptId: uuid(82) },
  claimResumedExecution: { executionId: idOf(3), ...CLAIM },
  reclaimExecution: { executionId: RUNNING, ...CLAIM, attemptId: uuid(82), maxReclaimCount: 3 },
  issueGrantAndClaim: {
    executionId: idOf(4),
    laneId: 'lane',
    leaseDurationMs: 5_000,
    leaseId: uuid(81),
    attemptId: uuid(82),
  },
  scanEligibleExecutions: {
    partition: PARTITION,
    laneId: 'lane',
    among: 'lost',
    workerCapabilities: [SECRET],
    kinds: ['k'],
    limit: 5,
  },
  pauseLane: { partition: PARTITION, laneId: 'still', reason: 'r', requestedBy: 'ann' },
  drainLane: { partition: PARTITION, laneId: 'still', reason: 'r', requestedBy: 'ann' },
  resumeLane: { partition: PARTITION, laneId: 'still', reason: 'r', requestedBy: 'ann' },
  readLane: { partition: PARTITION, laneId: 'still' },
  readExecutionInfo: { executionId: RUNNING },
  readExecutionState: { executionId: RUNNING },
  readExecutionContext: { executionId: RUNNING },
  getExecutionResult: { executionId: RUNNING },
  findExecution: { partition: PARTITION, namespace: 'n', idempotencyKey: 'key' },
  listExecutions: { partition: PARTITION, cursor: idOf(1), limit: 5 },
  listPartitionLanes: { partition: PARTITION },
  listQuarantined: { partition: PARTITION, cursor: '0', limit: 5 },
  retryQuarantined: { partition: PARTITION, name: `execution:${RUNNING}` },
  dropQuarantined: { partition: PARTITION, name: `execution:${RUNNING}`, reason: SECRET, requestedBy: 'ann' },
  listExecutionSummaries: {
    partition: PARTITION,
    namespace: 'n',
    laneId: 'lane',
    executionKind: 'k',
    publicState: 'failed',
    blockedBy: 'waiting_for_budget',
    failureCategory: 'c',
    held: true,
    tags: { 'a.b': SECRET },
    cursor: idOf(1),
    limit: 5,
  },
  listQueued: {
    partition: PARTITION,
    laneId: 'lane',
    namespace: 'n',
    executionKind: 'k',
    tags: { 'a.b': SECRET },
    cursor: `5:${idOf(1)}`,
    limit: 5,
  },
  listExpiredLeases: { partition: PARTITION, asOf: 5, namespace: 'n', cursor: `5:${idOf(1)}`, limit: 5 },
  readCounts: { partition: PARTITION, cursor: 'lane', limit: 5 },
  readLog: { partition: PARTITION, after: '.0.0', limit: 5 },
  readSnapshot: { partition: PARTITION, cursor: `execution:${idOf(1)}`, limit: 5 },
  appendFrame: { executionId: RUNNING, fence: FENCE, attemptIndex: 0, payload: text(SECRET), frameType: 'chunk' },
  readStream: { executionId: RUNNING, attemptIndex: 0, from: 'start', to: 'end', limit: 5 },
  readSummary: { executionId: RUNNING, attemptIndex: 0 },
  recordStep: {
    executionId: RUNNING,
    fence: FENCE,
    stepName: 'pay',
    stepIndex: 0,
    stepKind: 'step',
    failed: false,
    value: text(SECRET),
    encoding: 'json',
  },
  readSteps: { executionId: RUNNING, from: 0, limit: 5, values: true },
  listQueueHeads: { partition: PARTITION, laneIds: ['lane', 'other'] },
  createFlow: {
    flowId: idOf(60),
    flowKind: 'race',
    namespace: 'n',
    creatorIdentity: 'c',
    building: true,
    closed: true,
    tags: { 'a.b': SECRET },
    graph: GRAPH,
  },
  growFlow: {
    flowId: idOf(60),
    creatorIdentity: 'c',
    graph: GRAPH,
  },
  addExecutionToFlow: { flowId: idOf(60), executionId: idOf(1) },
  stageDependencyEdge: {
    flowId: idOf(60),
    edgeId: uuid(64),
    upstreamExecutionId: idOf(1),
    downstreamExecutionId: idOf(2),
    dependencyKind: 'success_only',
    dataPassingRef: 'result',
    expectedGraphRevision: 0,
  },
  addDependency: {
    flowId: idOf(60),
    edgeId: uuid(64),
    upstreamExecutionId: idOf(1),
    downstreamExecutionId: idOf(2),
    expectedGraphRevision: 0,
  },
  applyDependencyToChild: {
    flowId: idOf(60),
    edgeId: uuid(64),
    upstreamExecutionId: idOf(1),
    downstreamExecutionId: idOf(2),
  },
  setEdgeGroupPolicy: { flowId: idOf(60), downstreamExecutionId: idOf(2), policy: { kind: 'all_of' } },
  sealFlow: { flowId: idOf(60) },
  closeFlow: { flowId: idOf(60) },
  moveToWaitingChildren: { ...owner },
  spawnChildren: {
    ...owner,
    flowId: idOf(65),
    policy: { kind: 'any_of', onSatisfied: 'let_run' },
    children: [{ executionId: idOf(66), laneId: 'lane', executionKind: 'k', edgeId: uuid(67), dataPassingRef: 'r' }],
  },
  setFlowTags: { flowId: idOf(60), tags: { 'a.b': SECRET } },
  getFlowTag: { flowId: idOf(60), key: 'a.b' },
  describeFlow: { flowId: idOf(60) },
  describeEdge: { flowId: idOf(60), edgeId: uuid(63) },
  listEdges: { executionId: idOf(2), direction: 'incoming', cursor: uuid(1), limit: 5 },
  listFlows: { partition: PARTITION, cursor: idOf(59), limit: 5, status: 'open' },
  listFlowMembers: { flowId: idOf(60), cursor: 0, limit: 5 },
  resolveExecutionFlowId: { executionId: RUNNING },
  evaluateFlowEligibility: { executionId: RUNNING },
  cancelFlowHeader: { flowId: idOf(60), reason: SECRET, cancellationPolicy: 'cancel_pending' },
  createBudget: {
    budgetId: BUDGET,
    scopeType: 'tenant',
    scopeId: SECRET,
    enforcementMode: 'strict',
    onHardLimit: 'fail',
    onSoftLimit: 'warn',
    resetIntervalMs: 1_000,
    limits: { tokens: { hard: 10, soft: 5 } },
  },
  updateBudgetLimits: { budgetId: BUDGET, limits: { tokens: { hard: 20, soft: 5 } }, requestedBy: 'ann' },
  reportUsage: {
    budgetId: BUDGET,
    executionId: RUNNING,
    leaseEpoch: 1,
    usage: { inputTokens: 1, outputTokens: 2, wallMs: 3, custom: { tokens: 1 } },
    dedupKey: SECRET,
  },
  reportUsageAdmin: { budgetId: BUDGET, deltas: { tokens: 1 }, dedupKey: SECRET },
  recordSpend: { budgetId: BUDGET, executionId: RUNNING, leaseEpoch: 1, deltas: { tokens: 1 }, idempotencyKey: SECRET },
  releaseBudget: { budgetId: BUDGET, executionId: RUNNING },
  resetBudget: { budgetId: BUDGET, expectedNextResetAt: 5, requestedBy: 'ann' },
  reserveBudget: {
    budgetId: BUDGET,
    reservationId: uuid(901),
    amounts: { tokens: 1 },
    ttlMs: 5_000,
    executionId: RUNNING,
    leaseEpoch: 1,
  },
  renewReservation: { budgetId: BUDGET, reservationId: uuid(901), ttlMs: 5_000 },
  settleReservation: { budgetId: BUDGET, reservationId: uuid(901), usage: { tokens: 1 }, leaseEpoch: 1 },
  releaseReservation: { budgetId: BUDGET, reservationId: uuid(901) },
  getBudgetStatus: { budgetId: BUDGET },
  readBudgetRoom: { budgetId: BUDGET },
  readBudgetBill: { budgetId: BUDGET, fromDay: 1, days: 2 },
  readBudgetUsage: { budgetId: BUDGET, executionId: RUNNING },
  listBudgets: { partition: '{b:0}', cursor: BUDGET, limit: 5 },
};

const NAMES = [...Object.keys(OPERATIONS), ...Object.keys(QUERIES)] as (OperationName | QueryName)[];
const FOREIGN = ['handle', '__proto__', 'toString'];

type Answer =
  | { readonly ok: true; readonly outcome: unknown }
  | { readonly ok: false; readonly code: string; readonly detail: unknown; readonly message: string };

/** The answer to a call: an outcome or a typed error, in time. Throws otherwise. */
async function answerOf(call: () => Promise<unknown>): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${LIMIT_MS} ms`)), LIMIT_MS);
  });
  try {
    return { ok: true, outcome: await Promise.race([call(), late]) };
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return { ok: false, code: error.code, detail: error.detail, message: error.message };
  } finally {
    clearTimeout(timer);
  }
}

/** The state of both backends since the last call that may have changed it; undefined when it must be read again. */
let stored: readonly CanonicalState[] | undefined;

const readStored = (): Promise<CanonicalState[]> =>
  Promise.all(engines.map(({ engine }) => engine.canonicalState(PARTITION)));

/** Asks both backends, checks the rules, and returns their answers. */
async function bothAnswer(call: (engine: TestEngine) => Promise<unknown>): Promise<Answer> {
  const before = stored ?? (await readStored());
  stored = undefined;
  const [memory, valkey] = (await Promise.all(engines.map(({ engine }) => answerOf(() => call(engine))))) as [
    Answer,
    Answer,
  ];
  expect(revealed(valkey.ok ? valkey : { ...valkey, message: '' })).toEqual(
    revealed(memory.ok ? memory : { ...memory, message: '' }),
  );
  for (const answer of [memory, valkey]) {
    if (answer.ok) continue;
    expect(answer.message).not.toContain(SECRET);
    expect(answer.message.length).toBeLessThan(MAX_MESSAGE);
    expect(answer.code).not.toBe('function_failed');
  }
  const after = await readStored();
  // An unchanged state is equal on both, which was checked before.
  const isUnchanged = isDeepStrictEqual(after, before);
  if (!memory.ok) expect(isUnchanged, 'a refusal writes nothing').toBe(true);
  if (!isUnchanged) expect(revealed(after[1])).toEqual(revealed(after[0]));
  stored = after;
  return memory;
}

async function reset(): Promise<void> {
  for (const { engine } of engines) {
    await engine.clear();
    await populate(engine);
  }
  stored = await readStored();
  expect(revealed(stored[1])).toEqual(revealed(stored[0]));
}

beforeAll(async () => {
  const { url } = await sharedValkey();
  engines = [
    { label: 'memory', engine: await testEngine() },
    { label: 'valkey', engine: await testEngine({ backend: { url } }) },
  ];
  await reset();
});
afterAll(() => Promise.all((engines ?? []).map(({ engine }) => engine.close())));

test('the arguments that the tests start from are valid', async () => {
  for (const name of NAMES) {
    const answer = await bothAnswer(({ backend }) => backend[name](VALID[name] as never));
    // Valid arguments can come at the wrong time or name something unknown, and no token is correct before it was read.
    if (!answer.ok && !['invalid_token', 'hmac_secret_not_initialized', 'invalid_dependency'].includes(answer.code))
      expect(['state', 'contention', 'not_found'], `${name}: ${answer.code}`).toContain(
        meaningOfCode(answer.code)?.family,
      );
    if (answer.ok) await reset();
  }
});

test.each(NAMES)(`%s refuses spoilt arguments alike everywhere (FUZZ_SEED=${seed})`, async (name) => {
  await reset();
  await fc.assert(
    fc.asyncProperty(fc.array(spoiling, { minLength: 1, maxLength: 2 }), async (spoilings: Spoiling[]) => {
      const { args, what } = spoil(VALID[name], spoilings, FOREIGN);
      const answer = await bothAnswer(({ backend }) => backend[name](args as never)).catch((error: unknown) => {
        throw new Error(`${name} where ${what}: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        });
      });
      // Odd but valid input changed something: start again.
      if (answer.ok && name in OPERATIONS) await reset();
    }),
    { seed, numRuns: RUNS_PER_MEMBER * pathsOf(VALID[name]).length },
  );
});

test('arguments that are not objects are refused', async () => {
  for (const args of [null, undefined, 5, 'text', [], new Date(0), () => 1]) {
    for (const name of NAMES) {
      const answer = await bothAnswer(({ backend }) => backend[name](args as never));
      expect(answer).toMatchObject({ ok: false, code: 'invalid_input' });
    }
  }
});

const RENEW_LIKE = [
  'renewLease',
  'beginAttempt',
  'releaseLease',
  'completeExecution',
  'failExecution',
  'delayExecution',
  'updateProgress',
  'cancelExecution',
] as const;

test('damaged handles are corruption, foreign ones are named', async () => {
  const handleFrom = (backend: BackendLabel): string =>
    encodeHandle({
      backend,
      kind: 'fresh',
      executionId: RUNNING,
      attemptIndex: 0,
      ...FENCE,
      leaseTtlMs: 5_000,
      laneId: 'lane',
      workerInstanceId: 'w-1',
    });
  const foreign = { memory: handleFrom('valkey'), embedded: handleFrom('memory'), valkey: handleFrom('memory') };
  const own = handleFrom('memory');
  for (const name of RENEW_LIKE) {
    for (const { label, engine } of engines) {
      const answer = await answerOf(() => engine.backend[name]({ ...VALID[name], handle: foreign[label] } as never));
      expect(answer).toMatchObject({ ok: false, code: 'handle_from_other_backend', detail: { expected: label } });
    }
  }
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...RENEW_LIKE),
      fc.oneof(
        fc.nat(own.length - 1).map((at) => own.slice(0, at)),
        fc
          .tuple(fc.nat(own.length - 1), fc.constantFrom('A', '.', ' ', 'é'))
          .filter(([at, letter]) => own[at] !== letter)
          .map(([at, letter]) => own.slice(0, at) + letter + own.slice(at + 1)),
        fc.string(),
        fc.constantFrom<unknown>(5, {}, [], null, true, `h1..${'a'.repeat(8)}`, `${own}.`, own.toUpperCase()),
      ),
      async (name, handle) => {
        const answer = await bothAnswer(({ backend }) => backend[name]({ ...VALID[name], handle } as never));
        expect(answer).toMatchObject({ ok: false, code: 'corruption' });
      },
    ),
    { seed, numRuns: 80 },
  );
});

test('a batch is refused whole', async () => {
  await reset();
  const good: Command = {
    name: 'cancelExecution',
    args: { executionId: idOf(2), reason: 'r', source: 'operator_override' },
  };
  const elsewhere: Command = { name: 'promoteDelayed', args: { executionId: `{fp:1}:${uuid(1)}` } };
  const bad: unknown[] = [
    null,
    'commands',
    {},
    [],
    [null],
    [good, null],
    [good, { name: 'constructor', args: {} }],
    [good, { name: '__proto__', args: {} }],
    [good, { name: 'describeExecution', args: { executionId: RUNNING } }],
    [good, { name: 'cancelExecution' }],
    [good, { name: 'cancelExecution', args: { executionId: 'no id', reason: '' } }],
    [good, elsewhere],
    Array.from({ length: 1_001 }, () => good),
  ];
  for (const commands of bad) {
    const answer = await bothAnswer(({ backend }) => backend.execute(commands as never));
    expect(answer).toMatchObject({ ok: false, code: 'invalid_input' });
  }
  const answer = await bothAnswer(({ backend }) => backend.execute([elsewhere]));
  expect(answer).toMatchObject({ ok: false, code: 'invalid_input', detail: { field: 'partition' } });
});

test('pages of lanes refuse invalid limits and cursors', async () => {
  for (const page of [
    { limit: -1 },
    { limit: 1.5 },
    { limit: Number.NaN },
    { limit: 1_001 },
    { limit: '5' },
    { cursor: 5 },
    { cursor: {} },
    null,
    5,
  ]) {
    const answer = await bothAnswer(({ backend }) => backend.listLanes(page as never));
    expect(answer).toMatchObject({ ok: false, code: 'invalid_input' });
  }
});

test('invalid listeners and their arguments are refused by name', async () => {
  const listen = (): void => undefined;
  for (const { engine } of engines) {
    const { backend } = engine;
    const calls: [string, () => unknown][] = [
      ...[null, undefined, 'lane', [5], {}].map((lanes): [string, () => unknown] => [
        'lanes',
        () => backend.onWake(lanes as never, listen),
      ]),
      ['listener', () => backend.onWake([], undefined as never)],
      ['capabilities', () => backend.onWake([], listen, 'gpu' as never)],
      ...['started', '__proto__', undefined, {}].map((kind): [string, () => unknown] => [
        'kind',
        () => backend.onAnnouncement(kind as never, listen),
      ]),
      ['listener', () => backend.onAnnouncement('ended', 5 as never)],
      ['listener', () => backend.onFrames(RUNNING, null as never)],
      ...[null, undefined, 5, []].map((changes): [string, () => unknown] => [
        'changes',
        () => backend.configureDeployment(changes as never),
      ]),
    ];
    for (const [field, call] of calls)
      await expect((async () => call())()).rejects.toMatchObject({ code: 'invalid_input', detail: { field } });
  }
});

test('a memory backend refuses invalid options by name', () => {
  for (const partitions of [{ count: 0 }, { count: 1.5 }, { count: Number.NaN }, { placement: 'elsewhere' }]) {
    expect(() => memory({ partitions: partitions as never })).toThrowError(/invalid_input: partitions\./);
  }
});

test('nothing was added to the prototype of objects', () => {
  expect((Object.prototype as unknown as Record<string, unknown>)['polluted']).toBeUndefined();
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
});

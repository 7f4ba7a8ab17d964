/** How random runs suspend executions and resume them. */
import fc from 'fast-check';
import { LIMITS } from '../../model/limits.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import type { ResumeCondition } from '../../model/suspension/condition.js';
import { SUSPEND_REASONS, TIMEOUT_BEHAVIORS } from '../../model/suspension/facts.js';
import { moment, owner, pick, seldom, type Moment, type Owner } from './choices.js';
import { generator, type Reads } from './generator.js';
import { any, byName, KEYS, SHAPES, type Shape, waitpointsOf } from './waiting-choices.js';
import { chosenId, claimantOf, resolveMoment, type World } from './world.js';
import { keysOf } from '../../model/core/tables.js';
import * as example from './example.js';

interface Suspend {
  readonly owner: Owner;
  readonly shape: number;
  readonly reason: number;
  readonly timeout: Moment | null;
  readonly behavior: number;
  readonly delayMs: number;
  /** Uses a waitpoint again, or the id of a suspension or of a signal. */
  readonly reuse: true | null;
  /** Uses a waitpoint that was created before: an unused one, or any. */
  readonly pending: 'waiting' | 'any' | null;
  /** The caller's idempotency key. */
  readonly key: number;
  readonly tokens: true | null;
  readonly cap: 1 | 2 | null;
  /** The resume policy. */
  readonly policy: number;
}

const SUSPEND_KEYS = ['', '', '', 'key', 'k|2'] as const;

/** Conditions on one waitpoint, by its key. */
const ON_ONE: readonly ((key: string) => ResumeCondition)[] = [
  (waitpointKey) => ({ type: 'single', waitpointKey, matcher: byName(0) }),
  (waitpointKey) => ({ type: 'single', waitpointKey, matcher: any }),
  (key) => ({ type: 'count', n: 2, countKind: 'distinct_sources', waitpoints: [key] }),
  (key) => ({
    type: 'all_of',
    members: [
      { type: 'count', n: 1, countKind: 'distinct_sources', matcher: byName(0), waitpoints: [key, key] },
      { type: 'single', waitpointKey: key, matcher: byName(1) },
    ],
  }),
  () => ({ type: 'operator_only' }),
];

/** An earlier waitpoint, and a condition on its key or, sometimes, on another one. */
function ofPending(world: World, execution: ReadonlyExecution | undefined, { pending, shape, key, policy }: Suspend) {
  const { pendingIds = [], waitpoints = {} } = execution?.waiting ?? {};
  const ids = pending === 'waiting' && pendingIds.length > 0 ? pendingIds : Object.keys(waitpoints);
  const id = ids[shape % Math.max(1, ids.length)] ?? world.uuid();
  const other = policy === 3 ? '' : (KEYS[shape % 3] as string);
  const waitpointKey = key === 4 ? other : (waitpoints[id]?.waitpointKey ?? KEYS[0]);
  const condition = (ON_ONE[shape % ON_ONE.length] as (typeof ON_ONE)[number])(waitpointKey);
  return { waitpoints: [{ waitpointId: id, usePending: true as const }], condition };
}

const REASON_NAMES = keysOf(SUSPEND_REASONS);
const BEHAVIOR_NAMES = keysOf(TIMEOUT_BEHAVIORS);

export const suspensionActions = {
  suspend: generator<Suspend>({
    weight: 9,
    choices: {
      owner,
      shape: fc.nat(SHAPES.length - 1),
      reason: fc.nat(REASON_NAMES.length - 1),
      timeout: fc.option(moment, { freq: 3 }),
      behavior: fc.nat(BEHAVIOR_NAMES.length - 1),
      delayMs: fc.constantFrom(0, 0, 0, 1, 700),
      reuse: seldom(fc.constant(true as const), 8),
      pending: fc.constantFrom(null, null, null, 'waiting', 'waiting', 'any'),
      key: fc.nat(SUSPEND_KEYS.length - 1),
      tokens: seldom(fc.constant(true as const), 3),
      cap: seldom(fc.constantFrom(1 as const, 2 as const), 6),
      policy: fc.constantFrom(0, 0, 0, 1, 2, 3),
    },
    resolve(world, choices) {
      const { owner, shape, reason, timeout, behavior, delayMs, reuse, pending, key, tokens } = choices;
      const { execution, args } = claimantOf(world, owner);
      const { condition: onFresh, keys } = SHAPES[shape] as Shape;
      const [used] = waitpointsOf(execution);
      const [signalId] = Object.keys(execution?.waiting?.signals ?? {});
      const usedId = shape % 4 === 1 ? signalId : execution?.waiting?.suspension?.suspensionId;
      const isIdUsed = reuse !== null && shape % 2 === 1 && usedId !== undefined;
      const timeoutAt = timeout === null ? undefined : resolveMoment(world, timeout);
      const fresh = KEYS.slice(0, keys).map((waitpointKey, i) => ({
        waitpointId: i === 0 && reuse !== null && !isIdUsed && used !== undefined ? used : world.uuid(),
        waitpointKey,
      }));
      const { waitpoints, condition } =
        (pending ?? null) === null ? { waitpoints: fresh, condition: onFresh } : ofPending(world, execution, choices);
      const isTimed = condition.type !== 'timeout_only' || timeoutAt !== undefined;
      return [
        {
          name: 'suspendExecution',
          args: {
            executionId: args.executionId,
            fence: args.fence,
            attemptIndex: args.attemptIndex,
            suspensionId: isIdUsed ? usedId : world.uuid(),
            waitpoints,
            resumeCondition: isTimed ? condition : { type: 'operator_only' },
            reasonCode: REASON_NAMES[reason],
            timeoutAt,
            timeoutBehavior: choices.policy === 2 ? undefined : BEHAVIOR_NAMES[behavior],
            resumePolicy: {
              resumeDelayMs: delayMs,
              consumeMatchedSignals: choices.policy !== 1 && choices.policy !== 3,
              retainSignalBufferUntilClosed: (choices.policy ?? 0) > 1,
            },
            continuationMetadataPointer: choices.policy === 1 ? 'page 2' : undefined,
            idempotencyKey: SUSPEND_KEYS[key ?? 0] as string,
            tokens: tokens ?? false,
            maxWaitpointsPerExecution: choices.cap ?? undefined,
          },
        },
      ];
    },
  }),
  resume: generator({
    weight: 3,
    choices: { pick: pick('suspended', 'suspended', 'running', 'terminal'), delayMs: fc.constantFrom(0, 0, 1, 900) },
    resolve: (world, { pick, delayMs }) => [
      { name: 'resumeExecution', args: { executionId: chosenId(world, pick), resumeDelayMs: delayMs } },
    ],
  }),
  expire_suspension: generator({
    weight: 4,
    choices: { pick: pick('suspended', 'suspended', 'suspended', 'running', 'terminal') },
    resolve: (world, { pick }) => [{ name: 'expireSuspension', args: { executionId: chosenId(world, pick) } }],
  }),
};

export const suspensionReads: Reads = (world, { executionId, index, limit }) => {
  const execution = world.tables.execution.get(executionId);
  const signals = Object.keys(execution?.waiting?.signals ?? {});
  const cursor = index === 2 ? world.uuid() : signals[index % Math.max(1, signals.length)];
  const attemptIndex = execution?.waiting?.suspension?.attemptIndex ?? 0;
  const reason = index === 0 ? undefined : REASON_NAMES[index % REASON_NAMES.length];
  const { partition } = world;
  const open = execution?.waiting?.suspension?.waitpointIds[0];
  // The position of an execution, or one next to it.
  const place = (execution?.waiting?.suspension?.timeoutAt ?? LIMITS.maxInteger) - (index % 2);
  return [
    ['listSuspended', { partition, reason, limit: Math.max(1, Math.min(limit, 200)) }],
    [
      'listSuspended',
      { partition, cursor: `${place}:${executionId}`, limit: 1, laneId: index === 1 ? 'alpha' : undefined },
    ],
    ['listPendingWaitpoints', { executionId, after: index === 0 ? undefined : open, limit: Math.max(1, limit) }],
    ['describeSuspension', { executionId }],
    ['readWaits', { executionId }],
    ['listSignals', { executionId }],
    ['listSignals', { executionId, cursor, limit: Math.max(1, limit) }],
    ['observeSignals', { executionId, attemptIndex: attemptIndex + (index % 2) }],
    ['observeSignals', { executionId, attemptIndex, cursor, limit: Math.max(1, limit) }],
  ];
};

const SUSPENSION = {
  suspensionId: example.uuid(300),
  waitpoints: [{ waitpointId: example.uuid(301), waitpointKey: 'wpk:a' }],
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
  continuationMetadataPointer: example.SECRET,
};

/** Valid arguments of each command and read. */
export const suspensionExamples = {
  suspendExecution: { ...example.owner, ...SUSPENSION },
  createPendingWaitpoint: {
    ...example.owner,
    waitpointId: example.uuid(304),
    waitpointKey: example.SECRET,
    expiresInMs: 1_000,
    maxWaitpointsPerExecution: 5,
  },
  closeWaitpoint: { ...example.owner, waitpointId: example.uuid(304), reason: example.SECRET },
  expirePendingWaitpoint: { executionId: example.RUNNING, waitpointId: example.uuid(304) },
  deliverApprovalSignal: {
    executionId: example.SUSPENDED,
    waitpointId: example.uuid(301),
    signalId: example.uuid(302),
    signalName: 'go',
    idempotencySuffix: example.SECRET,
    signalDedupTtlMs: 1_000,
    maxSignalsPerExecution: 5,
    decidedBy: 'ann',
  },
  signalExecution: {
    executionId: example.SUSPENDED,
    signalId: example.uuid(304),
    signalName: 'go',
    signalCategory: 'external',
    sourceType: 'external',
    sourceIdentity: 'web',
    maxSignalsPerExecution: 5,
    correlationId: example.SECRET,
    createdAt: 7,
    payloadEncoding: 'json',
    payload: example.text(example.SECRET),
  },
  resumeExecution: { executionId: example.SUSPENDED, resumeDelayMs: 0 },
  expireSuspension: { executionId: example.SUSPENDED },
  describeSuspension: { executionId: example.SUSPENDED },
  observeSignals: { executionId: example.SUSPENDED, attemptIndex: 0, cursor: example.uuid(303), limit: 5 },
  listSuspended: {
    partition: example.PARTITION,
    reason: 'manual_pause',
    namespace: 'n',
    laneId: 'lane',
    cursor: `5:${example.SUSPENDED}`,
    limit: 5,
  },
  listPendingWaitpoints: { executionId: example.SUSPENDED, after: example.uuid(303), limit: 5 },
  listSignals: { executionId: example.SUSPENDED, cursor: example.uuid(303), limit: 5 },
  readWaits: { executionId: example.SUSPENDED },
} satisfies example.Examples;

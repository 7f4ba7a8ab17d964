/** How random runs suspend executions, send signals to them and resume them. */
import fc from 'fast-check';
import { LIMITS } from '../../model/limits.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import type { Command } from '../../model/machine.js';
import type { ResumeCondition } from '../../model/suspension/condition.js';
import { SUSPEND_REASONS, TIMEOUT_BEHAVIORS } from '../../model/suspension/facts.js';
import { moment, owner, pick, seldom, type Moment, type Owner, type Pick } from './choices.js';
import { generator, type Reads } from './generator.js';
import { choose, chosenId, claimantOf, resolveMoment, type World } from './world.js';
import { keysOf } from '../../model/core/tables.js';
import * as example from './example.js';

const NAMES = ['approved', 'rejected', 'Größe: 5 %, "x"'] as const;
/** Keys of waitpoints: two belong to one channel, one has the maximum length. */
const KEYS = ['wpk:a', 'wpk:a#|b', 'w'.repeat(256)] as const;
/** Names of signals that need no waitpoint: some are those of a channel. */
const CHANNELS = ['wpk:a', KEYS[2], 'wpk:a#|b', 'approved'] as const;
const DECIDERS = ['', 'ann', 'ann:b', 'b'] as const;

const byName = (index: number) => ({ type: 'by_name', name: NAMES[index % NAMES.length] as string }) as const;
const any = { type: 'wildcard' } as const;
const of = (key: number) => ({ type: 'single', waitpointKey: KEYS[key] as string, matcher: byName(key) }) as const;

interface Shape {
  readonly condition: ResumeCondition;
  /** Number of waitpoints. */
  readonly keys: number;
}

const counted = (countKind: 'distinct_waitpoints' | 'distinct_signals' | 'distinct_sources', n: number, keys: number) =>
  ({ type: 'count', n, countKind, waitpoints: KEYS.slice(0, keys) }) as const;

/** Conditions of every kind, some of them nested. */
const SHAPES: readonly Shape[] = [
  { condition: of(0), keys: 1 },
  { condition: { ...of(0), matcher: any }, keys: 1 },
  { condition: { type: 'operator_only' }, keys: 1 },
  { condition: { type: 'timeout_only' }, keys: 1 },
  { condition: { type: 'all_of', members: [of(0), of(1), of(2)] }, keys: 3 },
  { condition: { ...counted('distinct_waitpoints', 2, 3), matcher: byName(0) }, keys: 3 },
  { condition: counted('distinct_signals', 3, 2), keys: 2 },
  { condition: counted('distinct_sources', 2, 1), keys: 1 },
  // One signal is enough, and the outer parts contain the inner ones.
  { condition: { type: 'all_of', members: [{ type: 'all_of', members: [{ ...of(0), matcher: any }] }] }, keys: 1 },
  {
    condition: {
      type: 'all_of',
      members: [
        { type: 'all_of', members: [{ ...counted('distinct_sources', 1, 2), matcher: byName(0) }] },
        { ...counted('distinct_sources', 1, 2), matcher: byName(1) },
        { type: 'all_of', members: [of(2), counted('distinct_signals', 2, 3)] },
      ],
    },
    keys: 3,
  },
];

/** Ids of all waitpoints that an execution has had. */
const waitpointsOf = (execution: ReadonlyExecution | undefined): string[] =>
  Object.keys(execution?.waiting?.waitpoints ?? {});

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

interface Approve {
  readonly pick: Pick;
  readonly waitpoint: number;
  readonly name: number;
  readonly suffix: number;
  readonly decider: number;
  readonly known: true | null;
  readonly cap: 1 | 2 | null;
  readonly ttlMs: number;
}

/** A signal to a waitpoint of an execution; usually an open one. */
function approval(world: World, choices: Approve): Command {
  const execution = choose(world, choices.pick);
  const { suspension, pendingIds = [] } = execution?.waiting ?? {};
  const open = [...pendingIds, ...(suspension?.closing === undefined ? (suspension?.waitpointIds ?? []) : [])];
  const all = waitpointsOf(execution);
  const ids = choices.waitpoint < 6 && open.length > 0 ? open : all;
  const sent = Object.keys(execution?.waiting?.signals ?? {});
  const known = choices.known === null ? undefined : sent[choices.waitpoint % Math.max(1, sent.length)];
  return {
    name: 'deliverApprovalSignal',
    args: {
      executionId: chosenId(world, choices.pick),
      waitpointId: ids[choices.waitpoint % Math.max(1, ids.length)] ?? world.uuid(),
      signalId: known ?? world.uuid(),
      signalName: NAMES[choices.name] as string,
      idempotencySuffix: `s${choices.suffix}`,
      signalDedupTtlMs: choices.ttlMs,
      maxSignalsPerExecution: choices.cap ?? undefined,
      decidedBy: DECIDERS[choices.decider] as string,
    },
  };
}

interface Send {
  readonly pick: Pick;
  readonly channel: number;
  readonly known: true | null;
  readonly cap: 1 | 2 | null;
  readonly bytes: number;
  readonly decider: number;
  readonly carries: true | null;
}

const sent = {
  channel: fc.constantFrom(0, 0, 0, 1, 2, 3),
  known: seldom(fc.constant(true as const), 8),
  cap: seldom(fc.constantFrom(1 as const, 2 as const), 5),
  bytes: fc.constantFrom(0, 0, 1, 40, 300),
  decider: fc.nat(DECIDERS.length - 1),
  carries: seldom(fc.constant(true as const), 3),
};

/** A signal by name; some names are those of waitpoints. */
function named(
  world: World,
  executionId: string,
  execution: ReadonlyExecution | undefined,
  { channel, known, cap, bytes, decider, carries }: Omit<Send, 'pick'>,
): Command {
  const { signals = {}, suspension } = execution?.waiting ?? {};
  const sent = carries ? suspension?.suspensionId : Object.keys(signals)[0];
  return {
    name: 'signalExecution',
    args: {
      executionId,
      signalId: (known === null ? undefined : sent) ?? world.uuid(),
      signalName: CHANNELS[channel] as string,
      sourceIdentity: DECIDERS[decider] as string,
      maxSignalsPerExecution: cap ?? undefined,
      payload: bytes === 0 ? undefined : new Uint8Array(bytes).fill(bytes),
      ...(carries && { correlationId: 'Fall 7', createdAt: world.now - 7, payloadEncoding: 'raw' }),
    },
  };
}

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
  approve: generator<Approve>({
    weight: 12,
    choices: {
      pick: pick('suspended', 'suspended', 'suspended', 'suspended', 'waited', 'waited', 'terminal'),
      waitpoint: fc.nat(8),
      name: fc.constantFrom(0, 0, 1, 1, 2),
      suffix: fc.nat(3),
      decider: fc.nat(DECIDERS.length - 1),
      known: seldom(fc.constant(true as const), 10),
      cap: seldom(fc.constantFrom(1 as const, 2 as const), 6),
      ttlMs: fc.constantFrom(1, 500, 86_400_000),
    },
    resolve: (world, choices) => [approval(world, choices)],
  }),
  send: generator<Send>({
    weight: 12,
    choices: {
      pick: pick('suspended', 'suspended', 'suspended', 'suspended', 'waited', 'delayed', 'terminal', 'missing'),
      ...sent,
    },
    resolve: (world, { pick, ...choices }) => [named(world, chosenId(world, pick), choose(world, pick), choices)],
  }),
  /** A signal to running work, whose worker then suspends it, having seen the signal or not. */
  arrive: generator<Omit<Send, 'pick'> & { readonly owner: Owner; readonly unseen: 0 | 1 }>({
    weight: 6,
    choices: { owner, unseen: fc.constantFrom(0 as const, 1 as const), ...sent },
    resolve(world, { owner, unseen, ...choices }) {
      const { execution, args } = claimantOf(world, owner);
      const { condition } = SHAPES[1] as Shape;
      const kept = execution?.keptSignalCount ?? 0;
      if (kept === 0) return [named(world, args.executionId, execution, choices)];
      return [
        {
          name: 'suspendExecution',
          args: {
            executionId: args.executionId,
            fence: args.fence,
            attemptIndex: args.attemptIndex,
            suspensionId: world.uuid(),
            waitpoints: [{ waitpointId: world.uuid(), waitpointKey: KEYS[0] }],
            resumeCondition: condition,
            seenSignals: kept - unseen,
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

interface OfWaitpoint {
  readonly owner: Owner;
  readonly index: number;
  /** An existing or former one. */
  readonly known: boolean;
}

/** An unused waitpoint, or another one. */
function pendingOf(
  world: World,
  execution: ReadonlyExecution | undefined,
  { index, known }: Omit<OfWaitpoint, 'owner'>,
) {
  const { pendingIds = [], waitpoints = {} } = execution?.waiting ?? {};
  const ids = known && pendingIds.length > 0 ? pendingIds : Object.keys(waitpoints);
  return ids[index % Math.max(1, ids.length)] ?? world.uuid();
}

interface CreatePending extends OfWaitpoint {
  readonly key: number;
  readonly again: true | null;
  readonly inMs: number;
  readonly cap: 1 | null;
}

export const pendingActions = {
  create_pending: generator<CreatePending>({
    weight: 9,
    choices: {
      owner,
      index: fc.nat(4),
      known: fc.boolean(),
      key: fc.nat(KEYS.length - 1),
      again: seldom(fc.constant(true as const), 6),
      inMs: fc.constantFrom(1, 400, 5_000, 604_800_000),
      cap: seldom(fc.constant(1 as const), 6),
    },
    resolve(world, { owner, key, again, inMs, cap, ...which }) {
      const { execution, args } = claimantOf(world, owner);
      const { executionId, fence, attemptIndex } = args;
      const waitpointId = again === null ? world.uuid() : pendingOf(world, execution, which);
      const known = execution?.waiting?.waitpoints[waitpointId]?.waitpointKey;
      const waitpointKey = which.index > 0 && known !== undefined ? known : (KEYS[key] as string);
      return [
        {
          name: 'createPendingWaitpoint',
          args: {
            ...{ executionId, fence, attemptIndex, waitpointId, waitpointKey, expiresInMs: inMs },
            maxWaitpointsPerExecution: cap ?? undefined,
          },
        },
      ];
    },
  }),
  close_waitpoint: generator<OfWaitpoint>({
    weight: 3,
    choices: { owner, index: fc.nat(4), known: fc.boolean() },
    resolve(world, { owner, ...which }) {
      const { execution, args } = claimantOf(world, owner);
      const { executionId, fence, attemptIndex } = args;
      const waitpointId = pendingOf(world, execution, which);
      return [{ name: 'closeWaitpoint', args: { executionId, fence, attemptIndex, waitpointId } }];
    },
  }),
  expire_pending: generator({
    weight: 3,
    choices: { pick: pick('waited', 'waited', 'running', 'terminal'), index: fc.nat(4), known: fc.boolean() },
    resolve(world, { pick, ...which }) {
      const waitpointId = pendingOf(world, choose(world, pick), which);
      return [{ name: 'expirePendingWaitpoint', args: { executionId: chosenId(world, pick), waitpointId } }];
    },
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

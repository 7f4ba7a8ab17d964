/** What an action means in a world: choices become ids, fences, times and so commands. */
import type { FullFence } from '../model/lease/fence.js';
import type { ReadonlyExecution } from '../model/execution/facts.js';
import {
  isActiveSituation,
  isClaimable,
  isDelayed,
  isReclaimable,
  isRunnable,
  isTerminal,
} from '../model/execution/situation.js';
import { nextTimerAt } from '../model/schedule/timers.js';
import { LIMITS } from '../model/limits.js';
import type { Command } from '../model/machine.js';
import {
  CAPABILITY_SETS,
  CATEGORIES,
  KINDS,
  LANES,
  POLICIES,
  type Action,
  type Among,
  type Moment,
  type Owner,
  type Pick,
} from './actions.js';

/** What a resolution may look at. */
export interface World {
  readonly now: number;
  readonly partition: string;
  /** In the order of their creation. */
  readonly executions: readonly ReadonlyExecution[];
  /** Every fence that a claim gave out, oldest first. */
  readonly fences: ReadonlyMap<string, readonly FullFence[]>;
  /** The last calls, oldest first. */
  readonly recent: readonly Command[];
  uuid(): string;
}

const MATCHES: Record<Among, (execution: ReadonlyExecution) => boolean> = {
  any: () => true,
  running: ({ situation }) => situation === 'running',
  lapsed: ({ situation }) => isReclaimable(situation),
  claimable: ({ situation }) => isClaimable(situation),
  runnable: ({ situation }) => isRunnable(situation),
  delayed: ({ situation }) => isDelayed(situation),
  terminal: ({ situation }) => isTerminal(situation),
  missing: () => false,
};

function choose(world: World, { among, index }: Pick): ReadonlyExecution | undefined {
  const matching = world.executions.filter(MATCHES[among]);
  const from = matching.length > 0 || among === 'missing' ? matching : world.executions;
  return from.length === 0 ? undefined : from[index % from.length];
}

function chosenId(world: World, pick: Pick): string {
  return choose(world, pick)?.executionId ?? `${world.partition}:00000000-0000-4000-a000-00000000000${pick.index}`;
}

/** Every time at which something changes by itself, ascending. */
function momentsOf(world: World): number[] {
  const times = world.executions.flatMap((execution) => [
    ...(isTerminal(execution.situation) ? [execution.dueAt ?? 0] : []),
    ...(isActiveSituation(execution.situation) ? [execution.dueAt ?? 0, execution.attemptTimeoutAt ?? 0] : []),
    nextTimerAt(execution) ?? 0,
    execution.executionDeadlineAt ?? 0,
  ]);
  return [...new Set(times)].filter((at) => at > world.now - 1_000).sort((a, b) => a - b);
}

export function resolveMoment(world: World, { from, index, offsetMs }: Moment): number {
  const moments = from === 'timer' ? momentsOf(world) : [];
  const base = moments.length === 0 ? world.now : (moments[index % moments.length] as number);
  return Math.max(0, base + offsetMs);
}

function fenceOf(world: World, execution: ReadonlyExecution | undefined, owner: Owner): Partial<FullFence> | undefined {
  const known = execution === undefined ? [] : (world.fences.get(execution.executionId) ?? []);
  // Whoever never owned it can still guess the epoch.
  const latest = known.at(-1) ?? {
    leaseId: world.uuid(),
    leaseEpoch: execution?.currentLeaseEpoch ?? 1,
    attemptId: world.uuid(),
  };
  switch (owner.fence) {
    case 'current':
      return latest;
    case 'previous':
      return known.at(-2) ?? latest;
    case 'none':
      return undefined;
    case 'no_lease':
      return { ...latest, leaseId: undefined };
    case 'no_epoch':
      return { ...latest, leaseEpoch: undefined };
    case 'no_attempt':
      return { ...latest, attemptId: undefined };
    case 'wrong_lease':
      return { ...latest, leaseId: world.uuid() };
    case 'wrong_epoch':
      return { ...latest, leaseEpoch: latest.leaseEpoch + 1 };
    case 'wrong_attempt':
      return { ...latest, attemptId: world.uuid() };
  }
}

/** A reason may be empty; which is follows from the pick, so that runs stay reproducible. */
const reasonFor = ({ index }: Pick, reason: string): string => (index % 3 === 2 ? '' : reason);

interface Claimant {
  readonly execution: ReadonlyExecution | undefined;
  readonly args: {
    executionId: string;
    fence: Partial<FullFence> | undefined;
    attemptIndex: number | undefined;
    source: Owner['source'];
  };
}

function claimantOf(world: World, owner: Owner): Claimant {
  const execution = choose(world, owner.pick);
  const current = (execution?.totalAttemptCount ?? 1) - 1;
  const attemptIndex =
    owner.attemptIndex === 'none' ? undefined : Math.max(0, owner.attemptIndex === 'current' ? current : current + 1);
  return {
    execution,
    args: {
      executionId: chosenId(world, owner.pick),
      fence: fenceOf(world, execution, owner),
      attemptIndex,
      source: owner.source,
    },
  };
}

const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 37 + 200) % 256);
const TAGS = [{}, { 'team.name': 'core' }, { 'a.b': '', 'z.a': 'Größe "x"' }];

/** The commands of an action; none for actions that are not commands. */
export function resolve(world: World, action: Action): Command[] {
  switch (action.do) {
    case 'create': {
      const policy = POLICIES[action.policy];
      const requiredCapabilities = [...(CAPABILITY_SETS[action.capabilities] as readonly string[])];
      const wantsCapabilities = requiredCapabilities.length > 0;
      return [
        {
          name: 'createExecution',
          args: {
            executionId: action.again === null ? `${world.partition}:${world.uuid()}` : chosenId(world, action.again),
            namespace: 'fuzz',
            laneId: LANES[action.lane] as string,
            executionKind: KINDS[action.kind] as string,
            creatorIdentity: 'fuzzer',
            priority: action.priority ?? undefined,
            delayUntil: action.delay === null ? undefined : resolveMoment(world, action.delay),
            executionDeadlineAt: action.deadline === null ? undefined : resolveMoment(world, action.deadline),
            idempotencyKey: action.key === null ? undefined : `key ${action.key}`,
            inputPayload: bytesOf(action.payloadBytes),
            payloadEncoding: action.payloadBytes > 3 ? 'raw' : undefined,
            tags: TAGS[action.tags] as Record<string, string>,
            policy: (policy === undefined && !wantsCapabilities
              ? undefined
              : {
                  ...policy,
                  ...(wantsCapabilities ? { routingRequirements: { requiredCapabilities } } : {}),
                }) as never,
          },
        },
      ];
    }
    case 'claim': {
      const wanted = action.wants === null ? undefined : choose(world, action.wants);
      return [
        {
          name: 'claimForWorker',
          args: {
            partition: world.partition,
            laneId: wanted?.laneId ?? (LANES[action.lane] as string),
            workerId: 'pool',
            workerInstanceId: `worker-${action.worker}`,
            workerCapabilities: [
              ...(wanted?.requiredCapabilities ?? (CAPABILITY_SETS[action.capabilities] as readonly string[])),
            ],
            leaseTtlMs: action.ttlMs,
            ahead: action.ahead,
            kinds: kindsOf(action.kinds, wanted),
            claims: Array.from({ length: action.count }, () => ({ leaseId: world.uuid(), attemptId: world.uuid() })),
          },
        },
      ];
    }
    case 'begin': {
      const { executionId, fence } = claimantOf(world, action.owner).args;
      return [{ name: 'beginAttempt', args: { executionId, fence } }];
    }
    case 'renew': {
      const { executionId, fence, attemptIndex } = claimantOf(world, action.owner).args;
      return [{ name: 'renewLease', args: { executionId, fence, attemptIndex, leaseTtlMs: action.ttlMs } }];
    }
    case 'complete':
      return [
        {
          name: 'completeExecution',
          args: {
            ...claimantOf(world, action.owner).args,
            resultPayload: action.resultBytes === null ? undefined : bytesOf(action.resultBytes),
            resultEncoding: action.encoding ? 'raw' : undefined,
          },
        },
      ];
    case 'fail':
      return [
        {
          name: 'failExecution',
          args: {
            ...claimantOf(world, action.owner).args,
            failureReason: reasonFor(action.owner.pick, `it broke (${action.failureClass})`),
            failureClass: action.failureClass,
            failureCategory: action.category === null ? undefined : CATEGORIES[action.category],
            jitter: action.jitter ?? undefined,
            retryAfterMs: action.retryAfterMs ?? undefined,
          },
        },
      ];
    case 'cancel': {
      const { executionId, fence, source } = claimantOf(world, action.owner).args;
      return [
        {
          name: 'cancelExecution',
          args: { executionId, source, reason: reasonFor(action.owner.pick, 'no longer wanted'), ...fence },
        },
      ];
    }
    case 'delay': {
      const { execution, args } = claimantOf(world, action.owner);
      const repeated =
        action.again && execution !== undefined && isDelayed(execution.situation) ? execution.dueAt : undefined;
      return [
        { name: 'delayExecution', args: { ...args, delayUntil: repeated ?? resolveMoment(world, action.until) } },
      ];
    }
    case 'release': {
      const { executionId, fence, attemptIndex } = claimantOf(world, action.owner).args;
      return [{ name: 'releaseLease', args: { executionId, fence, attemptIndex } }];
    }
    case 'progress': {
      const { execution, args } = claimantOf(world, action.owner);
      const fence = {
        ...(fenceOf(world, execution, { ...action.owner, fence: 'current' }) as FullFence),
        ...withoutUndefined(args.fence ?? {}),
      };
      return [
        {
          name: 'updateProgress',
          args: {
            executionId: args.executionId,
            ...fence,
            progressPct: action.percent ?? undefined,
            progressMessage: action.message ?? undefined,
          },
        },
      ];
    }
    case 'revoke': {
      const execution = choose(world, action.pick);
      const expectedLeaseId =
        action.expected === 'none'
          ? undefined
          : action.expected === 'current'
            ? execution?.currentLeaseId
            : world.uuid();
      return [
        {
          name: 'revokeLease',
          args: {
            executionId: chosenId(world, action.pick),
            expectedLeaseId,
            reason: reasonFor(action.pick, 'by hand'),
          },
        },
      ];
    }
    case 'mark':
      return [{ name: 'markLeaseExpiredIfDue', args: { executionId: chosenId(world, action.pick) } }];
    case 'promote':
      return [{ name: 'promoteDelayed', args: { executionId: chosenId(world, action.pick) } }];
    case 'purge':
      return [{ name: 'purgeExecution', args: { executionId: chosenId(world, action.pick) } }];
    case 'expire_attempt':
    case 'expire_deadline':
      return [
        {
          name: 'expireExecution',
          args: {
            executionId: chosenId(world, action.pick),
            expireReason: action.do === 'expire_attempt' ? 'attempt_timeout' : 'execution_deadline',
            jitter: action.jitter ?? undefined,
          },
        },
      ];
    case 'repeat': {
      const again = world.recent.at(-1 - action.back);
      return again === undefined ? [] : [again];
    }
    case 'batch':
      return action.actions.flatMap((member) => resolve(world, member));
    case 'due': {
      // Which of one slot's executions goes first is free: all that are due go at once.
      // What comes before this in a batch may be the last that is due: few at once only where nothing can be purged.
      const purges = world.executions.some(
        ({ situation, dueAt }) => isTerminal(situation) && (dueAt ?? Infinity) <= world.now,
      );
      const { partition } = world;
      const limit = purges ? LIMITS.maxPageSize : action.limit;
      const owner = `loop-${action.loop}`;
      return [{ name: 'applyDue', args: { partition, limit, owner, jitter: action.jitter ?? undefined } }];
    }
    case 'time':
    case 'read':
      return [];
  }
}

/** The kinds that a claim names: one that it wants to take is always among them. */
function kindsOf(chosen: readonly number[] | null, wanted: ReadonlyExecution | undefined): string[] | undefined {
  if (chosen === null) return undefined;
  const kinds = chosen.map((index) => KINDS[index] as string);
  return wanted === undefined ? kinds : [...kinds, wanted.executionKind];
}

function withoutUndefined<Value extends object>(value: Value): Value {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Value;
}

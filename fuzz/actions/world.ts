/** The meaning of a choice in a world: which execution, which fence, what time. */
import {
  isActiveSituation,
  isBlocked,
  isClaimable,
  isDelayed,
  isGranted,
  isHeld,
  isReclaimable,
  isRunnable,
  isTerminal,
} from '../../model/execution/situation.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import type { FullFence } from '../../model/lease/fence.js';
import type { Command } from '../../model/machine.js';
import { quotaTimerAt } from '../../model/quota/room.js';
import { nextTimerAt } from '../../model/schedule/timers.js';
import { ENTITY_KINDS, entityNamed, type Header, type Tables } from '../../model/state.js';
import { isStateClass, stateClassOf, type StateClass } from '../state-class.js';
import type { Among, Moment, Owner, Pick } from './choices.js';

/** What the resolution of a choice may read. */
export interface World {
  readonly now: number;
  readonly partition: string;
  readonly tables: Readonly<Tables>;
  /** One partition of each family, that of executions first. */
  readonly places: readonly string[];
  headerOf(partition: string): Readonly<Header>;
  /** The time of an entry of the log; 0 where there is none. */
  entryTimeOf(partition: string, sequence: number): number;
  /** Ids of the readers of a partition. */
  readersOf(partition: string): readonly string[];
  /** In the order of their creation. */
  readonly executions: readonly ReadonlyExecution[];
  /** Every fence from a claim, oldest first. */
  readonly fences: ReadonlyMap<string, readonly FullFence[]>;
  /** The last calls, oldest first. */
  readonly recent: readonly Command[];
  uuid(): string;
}

const MATCHES: Record<Exclude<Among, StateClass>, (execution: ReadonlyExecution) => boolean> = {
  any: () => true,
  running: ({ situation }) => situation === 'running',
  lapsed: ({ situation }) => isReclaimable(situation),
  claimable: ({ situation }) => isClaimable(situation),
  runnable: ({ situation }) => isRunnable(situation),
  delayed: ({ situation }) => isDelayed(situation),
  held: isHeld,
  suspended: ({ situation }) => situation === 'suspended',
  waited: ({ waiting }) => waiting !== undefined,
  blocked: ({ situation }) => isBlocked(situation),
  granted: isGranted,
  terminal: ({ situation }) => isTerminal(situation),
  missing: () => false,
};

export function choose(world: World, { among, index }: Pick): ReadonlyExecution | undefined {
  const matching = world.executions.filter(
    isStateClass(among) ? (execution) => stateClassOf(execution, world.now) === among : MATCHES[among],
  );
  const from = matching.length > 0 || among === 'missing' ? matching : world.executions;
  return from.length === 0 ? undefined : from[index % from.length];
}

export function chosenId(world: World, pick: Pick): string {
  return (
    choose(world, pick)?.executionId ??
    `${world.partition}:00000000-0000-4000-a000-${String(pick.index).padStart(12, '0')}`
  );
}

/** A partition; usually that of executions. Older corpus files name none. */
export const placeOf = ({ partition, places }: World, on: number | undefined): string =>
  places[(on ?? 0) % places.length] ?? partition;

/** Every time at which a timer is due, ascending. */
function momentsOf(world: World): number[] {
  const times = world.executions.flatMap((execution) => [
    ...(isTerminal(execution.situation) ? [execution.dueAt ?? 0] : []),
    ...(isActiveSituation(execution.situation) ? [execution.dueAt ?? 0, execution.attemptTimeoutAt ?? 0] : []),
    nextTimerAt(execution) ?? 0,
    execution.executionDeadlineAt ?? 0,
  ]);
  for (const kind of ENTITY_KINDS) {
    const { timerOf } = entityNamed(kind);
    if (timerOf === undefined) continue;
    for (const entity of world.tables[kind].values()) times.push(timerOf(entity as never) ?? 0);
  }
  times.push(world.headerOf(world.partition).notices.endsUntil ?? 0);
  for (const quota of world.tables.quota_policy.values()) times.push(quotaTimerAt(quota) ?? 0);
  return [...new Set(times)].filter((at) => at > world.now - 1_000).sort((a, b) => a - b);
}

export function resolveMoment(world: World, { from, index, offsetMs }: Moment): number {
  const moments = from === 'timer' ? momentsOf(world) : [];
  const base = moments.length === 0 ? world.now : (moments[index % moments.length] as number);
  return Math.max(0, base + offsetMs);
}

export function fenceOf(
  world: World,
  execution: ReadonlyExecution | undefined,
  owner: Owner,
): Partial<FullFence> | undefined {
  const known = execution === undefined ? [] : (world.fences.get(execution.executionId) ?? []);
  // A caller that never owned it can still guess the epoch.
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

/** A reason may be empty; the choice decides which, so that runs are reproducible. */
export const reasonFor = ({ index }: Pick, reason: string): string => (index % 3 === 2 ? '' : reason);

export interface Claimant {
  readonly execution: ReadonlyExecution | undefined;
  readonly args: {
    executionId: string;
    fence: Partial<FullFence> | undefined;
    attemptIndex: number | undefined;
    source: Owner['source'];
  };
}

export function claimantOf(world: World, owner: Owner): Claimant {
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

/** Bytes that differ from position to position. */
export const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 37 + 200) % 256);

/** An object without its undefined members. */
export function withoutUndefined<Value extends object>(value: Value): Value {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Value;
}

/** One pass over the due work of a partition: the store selects and applies it in one step. */
import { DEFAULTS, LIMITS, PURGE_UNITS } from '../../model/limits.js';
import type { OutcomeOf } from '../../model/machine.js';
import type { TimeoutBehavior } from '../../model/suspension/facts.js';
import { SUSPENSION_TIMEOUT } from '../../model/suspension/timeout.js';
import type { Backend } from '../backend/backend.js';
import { checkFunction, checkNumber, checkOptionNames, needBackend } from '../backend/settings.js';
import { systemClock } from './clock.js';
import { deliver } from './deliveries.js';
import { filterOf, type DueFilter, type Filter } from './due-filter.js';
import { localNews, type News } from './local-news.js';

/** Units of work of one pass. */
export const DUE_LIMIT = DEFAULTS.pageSize;
/** How long passes over a backlog continue without a rest, ms, because a caller may wait for the due work. */
export const EAGER_MS = 100;
/** Longest rest between two passes, ms; also what it can add to the `close` of a loop. */
export const MAX_REST_MS = 1_000;

export interface DuePass {
  /** Amount of due work that was applied. */
  readonly applied: number;
  /** Whether more is due. */
  readonly more: boolean;
  /** Purged executions among it. Before a pass purges any, it applies everything else. */
  readonly purged: number;
  /** The next due time, ms since the epoch by the server's clock. */
  readonly nextDueAt: number | undefined;
  /**
   * Until when another loop has reserved the partition, ms since the epoch by the server's clock; this pass did
   * nothing.
   */
  readonly leftUntil: number | undefined;
  /** Entities with unreadable records, now in quarantine. */
  readonly setAside: readonly string[];
  /** The position behind which the next pass with the same filter continues; undefined for one from the start. */
  readonly after: string | undefined;
}

type Applied = Extract<OutcomeOf<'applyDue'>, { kind: 'applied' }>;

/** Units of work in a pass. */
function unitsOf(applied: Applied): number {
  const {
    promoted,
    leasesExpired,
    grantsLapsed,
    waitpointsExpired,
    purged,
    attemptsTimedOut,
    expired,
    suspensionsTimedOut,
    others,
    setAside,
  } = applied;
  const named = attemptsTimedOut.length + expired.length + suspensionsTimedOut.length + setAside.length;
  const ofOthers = Object.values(others).reduce((sum, count) => sum + count, 0);
  return promoted + leasesExpired + grantsLapsed + waitpointsExpired + named + ofOthers + purged * PURGE_UNITS;
}

const countOf = (applied: Applied): number => unitsOf(applied) - applied.purged * (PURGE_UNITS - 1);

export interface DuePassOptions {
  readonly limit: number;
  readonly owner: string;
  readonly random: () => number;
  readonly filter?: Filter | undefined;
  /** The position that the last pass answered. */
  readonly after?: string | undefined;
}

/** Applies what is due in a partition, up to a limit. Safe in any number of processes. */
export async function applyDuePass(
  backend: Backend,
  partition: string,
  { limit, owner, random, filter, after }: DuePassOptions,
): Promise<DuePass> {
  // Randomness enters here, so that the transition itself is deterministic.
  const outcome = await backend.applyDue({ partition, limit, owner, jitter: random(), filter, after });
  if (outcome.kind === 'left_to_other') {
    return {
      applied: 0,
      more: false,
      purged: 0,
      nextDueAt: undefined,
      leftUntil: outcome.until,
      setAside: [],
      after: undefined,
    };
  }
  const news = localNews(backend);
  for (const executionId of outcome.attemptsTimedOut) news.publish({ kind: 'attempt_timeout', executionId });
  for (const { executionId, expireReason } of outcome.expired) {
    news.publish({ kind: 'expired', executionId, reason: expireReason });
  }
  for (const { executionId, behaviorApplied } of outcome.suspensionsTimedOut) {
    const ending = endOfSuspension(executionId, behaviorApplied);
    if (ending !== undefined) news.publish(ending);
  }
  if (outcome.deliveries.length > 0) await deliver(backend, partition, outcome.deliveries);
  const { nextDueAt, setAside } = outcome;
  // A pass with room left found all due work; purges come only when nothing else is due. Purges of executions with long
  // steps leave room: more may be due, but then its time has passed, so the loop looks again at once.
  const foundOthers = countOf(outcome) > outcome.purged;
  return {
    applied: countOf(outcome),
    more: foundOthers || unitsOf(outcome) >= limit || outcome.after !== undefined,
    purged: outcome.purged,
    nextDueAt,
    leftUntil: undefined,
    setAside,
    after: outcome.after,
  };
}

/** The ending of an execution whose suspension timed out; undefined when it continues. */
function endOfSuspension(executionId: string, behavior: TimeoutBehavior): News | undefined {
  const reason = `${SUSPENSION_TIMEOUT}:${behavior}`;
  if (behavior === 'fail') return { kind: 'failed', executionId, reason, category: SUSPENSION_TIMEOUT };
  if (behavior === 'cancel') return { kind: 'cancelled', executionId, reason };
  return behavior === 'expire' ? { kind: 'expired', executionId, reason: 'suspension_timeout:expire' } : undefined;
}

export interface RunDueOptions {
  /** Units of work per partition, as `pageSize` of `startTimerLoop`. Default 100, at most 1 000. */
  readonly limitPerPartition?: number;
  /** Random numbers for jitter, 0 to 1. Default `Math.random`. */
  readonly random?: () => number;
  /** Only the due work of these executions, and that of flows, budgets and quotas. Default all. */
  readonly filter?: DueFilter | undefined;
}

/**
 * Applies what is due now, once: one pass per partition, for tests and for callers with their own loop; with a filter as
 * many passes as it takes to look at all that is due. Work that becomes due by a transition is left for the next call.
 * @returns the amount of applied work
 * @throws EngineError `invalid_input`, and what the backend throws
 */
export async function runDue(backend: Backend, options: RunDueOptions = {}): Promise<number> {
  const where = 'runDue()';
  needBackend(where, backend, 'partitionsInUse');
  checkOptionNames(where, options, ['limitPerPartition', 'random', 'filter']);
  checkNumber(where, 'limitPerPartition', options.limitPerPartition, {
    min: 1,
    max: LIMITS.maxPageSize,
    isWhole: true,
  });
  checkFunction(where, 'random', options.random);
  const { limitPerPartition: limit = DUE_LIMIT, random = systemClock.random } = options;
  const filter = filterOf(where, options.filter);
  let applied = 0;
  for (const partition of backend.partitionsInUse()) {
    const of = { limit, owner: 'run-due', random, filter };
    let pass: DuePass | undefined;
    do {
      pass = await applyDuePass(backend, partition, { ...of, after: pass?.after });
      applied += pass.applied;
    } while (filter !== undefined && pass.more);
  }
  return applied;
}

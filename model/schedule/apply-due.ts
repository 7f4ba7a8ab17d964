/**
 * applyDue: applies the due work of a partition (rulings 12 and 35). Delays end, lapsed leases are recorded, attempts
 * and executions time out; when none of that is due, executions past their retention are purged. The timer loop calls
 * nothing else, and no caller holds a list that can go stale. If a pass leaves work behind, other loops leave the
 * partition to the loop that made it.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { acceptAll, operation, type Applier } from '../operation.js';
import { present } from '../core/present.js';
import { withReader, type AnswerReader } from '../core/wire-form.js';
import type { Event } from '../events.js';
import type { View } from '../view.js';
import { executionIdIn } from '../ids.js';
import { APPLIER_MS, DEFAULTS, LIMITS, PURGE_UNITS } from '../limits.js';
import { dueOfFlow, walkOn } from '../flow/due.js';
import { flowEntity } from '../flow/entity.js';
import { TIMEOUT_BEHAVIORS, type TimeoutBehavior } from '../suspension/facts.js';
import { cursorOf, positionFor, type Position } from '../listing/position.js';
import { deliveriesOf, eventsOf, type DueContext, type DueEntity } from './due.js';
import { dueFilter, duePosition, isPositionIn, ofOnePass, positionIn, type DueStep } from './due-filter.js';
import { ofPurge } from './retention.js';
import { nextTimer } from './timers.js';
import { unitsOf } from './units.js';

const applied = z.object({
  kind: z.literal('applied'),
  /** Delays and backoffs that ended. */
  promoted: field.count,
  /** Leases that ran out. */
  leasesExpired: field.count,
  /** Grants that were not used in time. */
  grantsLapsed: field.count,
  /** Waitpoints that were not used in time. */
  waitpointsExpired: field.count,
  purged: field.count,
  /** Executions whose attempt timed out and will be retried. */
  attemptsTimedOut: z.array(field.executionId),
  /** Executions that expired, and why. */
  expired: z.array(
    z.object({ executionId: field.executionId, expireReason: z.enum(['attempt_timeout', 'execution_deadline']) }),
  ),
  /** Executions whose suspension timed out, with any outcome. */
  suspensionsTimedOut: z.array(
    z.object({ executionId: field.executionId, behaviorApplied: field.wordOf(TIMEOUT_BEHAVIORS) }),
  ),
  /** Number of due entities of kinds other than executions, by kind. */
  others: z.record(z.string(), field.count),
  /** Deliveries to other partitions, by the kind of the entity: repeated until they are settled. */
  deliveries: z.array(z.object({ kind: z.string(), id: z.string(), text: z.string() })),
  /** Entities with unreadable records, now in quarantine: `<kind>:<id>`. */
  setAside: z.array(z.string()),
  /** The time of the next due work, ms since the epoch. With a filter, timers that are due by now are not counted. */
  nextDueAt: field.timestampMs.optional(),
  /**
   * With a filter: the position of the last timer that was passed over, if more may be due behind it. Absent also when
   * none was passed over.
   */
  after: duePosition.optional(),
});
type AppliedOutcome = z.output<typeof applied>;

export const applyDue = operation({
  name: 'applyDue',
  family: 'any',
  args: z
    .strictObject({
      partition: field.anyPartitionKey,
      /**
       * Units of work in this pass, at most. A purge costs four, and one for each 32 KiB of steps; the end of a
       * suspension four, and one for each further waitpoint; anything else one.
       */
      limit: field.integer(1, LIMITS.maxPageSize).default(DEFAULTS.pageSize),
      /**
       * Random factor for policies with jitter, drawn by the caller; each execution derives its own from it and the id.
       */
      jitter: field.unitFactor.optional(),
      /** The calling loop. */
      owner: field.workerInstanceId.default('operator'),
      /**
       * Pass over the timers of other executions, at most `limit` in a call. Such a call takes no turn: it does not step
       * back for other loops, nor they for it.
       */
      filter: dueFilter.optional(),
      /** Continue behind the position that the last call with this filter answered. */
      after: duePosition.optional(),
    })
    .refine(
      ({ partition, filter, after }) => after === undefined || (filter !== undefined && isPositionIn(partition, after)),
      { error: 'must be a position of this partition, given with the filter that it belongs to', path: ['after'] },
    ),
  outcome: z.discriminatedUnion('kind', [
    withReader(applied, readApplied),
    /** Another loop is at work on the partition. */
    z.object({ kind: z.literal('left_to_other'), until: field.timestampMs }),
  ]),
  rejects: [],
  partition: (args) => args.partition,
  wire: { shared: [], each: ['limit', 'jitter', 'owner', { filtered: ['filter', 'after'] }] },
  memory: 'frees',
  cascadesLater: true,
  edge: { jitter: 'unit' },
  units: ({ limit }) => limit,
  decide(view, { partition, limit, jitter, owner, filter, after }, { now, settings }) {
    const { applier } = view.log.header;
    if (filter === undefined && applier !== undefined && applier.owner !== owner && isAtIt(applier, now)) {
      return acceptAll({ kind: 'left_to_other', until: applier.until }, []);
    }
    const from = positionFor(partition, after);
    const { listed, leavesFlows } =
      filter === undefined
        ? beforeFlows(view, now, limit)
        : { listed: view.schedule.due(now, limit, from), leavesFlows: false };
    const context = { now, jitter, retentionMs: settings.retentionMs, view };
    const { steps, passedOver, isCut } = ofOnePass(listed, filter, limit, (entity) => stepOf(entity, context));
    const due = steps.map(({ entity }) => entity);
    const isMoreDue = isCut || leavesFlows || listed.length === limit;
    const [first] = due;
    const ofFlow = first?.kind === 'flow' ? dueOfFlow(view, first.entity, { now, partition, limit }) : undefined;
    const events: Event[] = ofFlow ? [...ofFlow.events] : steps.flatMap((step) => step.events);
    const purgeLimit = Math.max(1, Math.floor(limit / PURGE_UNITS));
    const purgeable = due.length > 0 || isMoreDue ? [] : view.schedule.purgeable(now, purgeLimit);
    const purges = ofPurge(
      purgeable.map((id) => present(view.executions.get(id))),
      limit,
    );
    for (const { executionId } of purges) events.push({ type: 'execution_purged', executionId, at: now });
    const outcome = outcomeOf(due, events, now);
    const aftermath = first?.kind === 'walk' ? walkOn(first.entity, partition, limit) : ofFlow?.aftermath;
    if (filter !== undefined) {
      const position = passedOver ?? from;
      const mayBeMore = position !== undefined && (isMoreDue || due.length > 0);
      return { ...acceptAll({ ...outcome, after: mayBeMore ? cursorOf(position) : undefined }, events), aftermath };
    }
    const isMore = isMoreDue || purgeable.length === purgeLimit || purges.length < purgeable.length;
    return {
      ...acceptAll(outcome, events),
      aftermath,
      applier: isMore ? { owner, until: now + APPLIER_MS } : undefined,
    };
  },
  after: (view, outcome, { filter }, { now }) =>
    outcome.kind === 'applied'
      ? { ...outcome, nextDueAt: view.schedule.nextDueAt(filter === undefined ? undefined : now) }
      : outcome,
});

function stepOf(it: DueEntity, context: DueContext): DueStep {
  const events = eventsOf(it, context);
  return { entity: it, events, units: it.kind === 'execution' ? unitsOf(it.entity, events) : 1 };
}

/** How often a pass looks past the due flows of a minute for other due work. */
export const LOOKS_PAST_FLOWS = 8;

/**
 * What is due, at most `limit`. Behind flows, most of which are to be purged, anything else comes first (ruling 35): a
 * large flow takes hundreds of passes, and those that ended in one minute are due at one time.
 */
function beforeFlows(view: View, now: number, limit: number) {
  const listed = view.schedule.due(now, limit);
  if (listed[0]?.kind !== 'flow') return { listed, leavesFlows: false };
  let after: Position | undefined;
  for (let look = 0; look < LOOKS_PAST_FLOWS; look++) {
    const some = view.schedule.due(now, LIMITS.maxPageSize, after);
    const others = some.filter(({ kind }) => kind !== 'flow');
    if (others.length > 0) return { listed: others.slice(0, limit), leavesFlows: true };
    const last = some[LIMITS.maxPageSize - 1];
    if (last?.kind !== 'flow') break;
    // Thousands of flows are purged from the end of one minute on: the look goes on behind them.
    after = { score: present(flowEntity.timerOf?.(last.entity)) + 0.5, executionId: '' };
  }
  return { listed, leavesFlows: false };
}

/**
 * Whether a loop still reserves the partition. A reservation longer than any loop makes is from before the clock
 * stepped back.
 */
const isAtIt = ({ until }: Applier, now: number): boolean => until > now && until <= now + APPLIER_MS;

function outcomeOf(due: readonly DueEntity[], events: readonly Event[], now: number): AppliedOutcome {
  const outcome = {
    kind: 'applied' as const,
    promoted: 0,
    leasesExpired: 0,
    grantsLapsed: 0,
    waitpointsExpired: 0,
    purged: 0,
    attemptsTimedOut: [] as string[],
    expired: [] as AppliedOutcome['expired'],
    suspensionsTimedOut: due.flatMap(suspensionIn),
    others: othersAmong(due),
    deliveries: due.flatMap((entity) => deliveriesOf(entity, now)),
    setAside: [],
    nextDueAt: undefined,
    after: undefined,
  };
  for (const event of events) {
    if (event.type === 'execution_promoted') outcome.promoted++;
    else if (event.type === 'lease_expired') outcome.leasesExpired++;
    else if (event.type === 'grant_lapsed') outcome.grantsLapsed++;
    else if (event.type === 'pending_waitpoint_expired') outcome.waitpointsExpired++;
    else if (event.type === 'execution_purged') outcome.purged++;
    else if (event.type === 'retry_scheduled') outcome.attemptsTimedOut.push(event.executionId);
    else if (event.type === 'execution_expired' && event.expireReason !== 'suspension_timeout:expire') {
      outcome.expired.push({ executionId: event.executionId, expireReason: event.expireReason });
    }
  }
  return outcome;
}

/** Closes a suspension that timed out. */
function suspensionIn({ kind, entity }: DueEntity): AppliedOutcome['suspensionsTimedOut'] {
  if (kind !== 'execution' || nextTimer(entity)?.kind !== 'suspension') return [];
  const behaviorApplied = entity.waiting?.suspension?.timeoutBehavior ?? 'fail';
  return [{ executionId: entity.executionId, behaviorApplied }];
}

function othersAmong(due: readonly DueEntity[]): Record<string, number> {
  const others: Record<string, number> = {};
  for (const { kind } of due) if (kind !== 'execution') others[kind] = (others[kind] ?? 0) + 1;
  return others;
}

const EXECUTION_MEMBER = 'execution:';

/** `<kind>:<id>` for callers; ids of executions are stored in their short form. */
function asideName(partition: string, member: string): string {
  if (!member.startsWith(EXECUTION_MEMBER)) return member;
  return EXECUTION_MEMBER + executionIdIn(partition, member.slice(EXECUTION_MEMBER.length));
}

type Counts = [
  promoted: number,
  leasesExpired: number,
  grantsLapsed: number,
  waitpointsExpired: number,
  purged: number,
];

function readApplied(answer: AnswerReader): AppliedOutcome {
  const { partition } = answer;
  const nextDueAt = answer.optionalNumber();
  const [promoted, leasesExpired, grantsLapsed, waitpointsExpired, purged] = Array.from({ length: 5 }, () =>
    answer.number(),
  ) as Counts;
  const attemptsTimedOut = answer.texts().map((id) => executionIdIn(partition, id));
  const pairs = answer.texts();
  const expired: AppliedOutcome['expired'] = [];
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    expired.push({
      executionId: executionIdIn(partition, present(pairs[i])),
      expireReason: present(pairs[i + 1]) as AppliedOutcome['expired'][number]['expireReason'],
    });
  }
  const behaviors = answer.texts();
  const suspensionsTimedOut: AppliedOutcome['suspensionsTimedOut'] = [];
  for (let i = 0; i + 1 < behaviors.length; i += 2) {
    suspensionsTimedOut.push({
      executionId: executionIdIn(partition, present(behaviors[i])),
      behaviorApplied: present(behaviors[i + 1]) as TimeoutBehavior,
    });
  }
  const tally = answer.texts();
  const others: Record<string, number> = {};
  for (let i = 0; i + 1 < tally.length; i += 2) others[present(tally[i])] = Number(tally[i + 1]);
  const owed = answer.texts();
  const deliveries: AppliedOutcome['deliveries'] = [];
  for (let i = 0; i + 2 < owed.length; i += 3) {
    deliveries.push({ kind: present(owed[i]), id: present(owed[i + 1]), text: present(owed[i + 2]) });
  }
  const setAside = answer.texts().map((member) => asideName(partition, member));
  const after = positionIn(partition, answer.text());
  return {
    kind: 'applied',
    promoted,
    leasesExpired,
    grantsLapsed,
    waitpointsExpired,
    purged,
    attemptsTimedOut,
    expired,
    suspensionsTimedOut,
    others,
    deliveries,
    setAside,
    nextDueAt,
    after,
  };
}

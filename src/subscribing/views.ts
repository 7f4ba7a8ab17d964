/** Readings of the log for subscribers to completions, leases, tags or signals. Spec 13 section A5. */
import { isOfExecution, type Event, type LogEntry, type ReadEvent } from '../../model/events.js';
import { LeaseHistoryReader, type LeaseHistoryEntry } from '../../model/lease/history.js';
import type { SignalEffect } from '../../model/suspension/facts.js';
import { laneNameOf } from '../shared/lane-names.js';
import { completionOf, type Completion, type Ending } from './completion.js';
import { passesWorkFilter, type WorkFilter } from './filters.js';
import type { Reading } from './subscription.js';

/** Tags given to an execution, at its creation or later. */
export interface TagsSet {
  readonly type: 'set';
  readonly executionId: string;
  /** Ms since the epoch. */
  readonly at: number;
  readonly tags: Readonly<Record<string, string>>;
}

/**
 * The effect of a signal: `satisfied` if the work continues because of it, `buffered` if it is kept for a later
 * suspension.
 */
export type SubscribedEffect =
  | 'satisfied'
  | 'buffered'
  | Exclude<SignalEffect, 'resume_condition_satisfied' | 'buffered_for_pending_waitpoint'>;

/** An accepted signal. Repetitions change nothing and are not reported. */
export interface SignalTold {
  readonly signalId: string;
  readonly executionId: string;
  readonly waitpointId: string;
  readonly signalName: string;
  readonly category: string;
  readonly sourceType: string;
  readonly sourceIdentity: string;
  readonly correlationId: string | undefined;
  readonly effect: SubscribedEffect;
  /** Ms since the epoch. */
  readonly at: number;
  /** Size of the payload, bytes; `listSignals` reads it. */
  readonly payloadBytes: number;
  readonly namespace: string;
  /** The name of the lane, as tasks have it. */
  readonly lane: string;
  readonly kind: string;
}

export interface SignalFilter extends WorkFilter {
  /** Only with these effects. Default all. */
  readonly effects?: readonly SubscribedEffect[] | undefined;
  /** Only to this execution. Then only one partition is read. */
  readonly executionId?: string | undefined;
}

const EFFECT_NAMES: Readonly<Record<SignalEffect, SubscribedEffect>> = {
  resume_condition_satisfied: 'satisfied',
  buffered_for_pending_waitpoint: 'buffered',
  kept_for_a_wait: 'buffered',
  no_op: 'no_op',
  signal_ignored_matcher_failed: 'signal_ignored_matcher_failed',
  appended_to_waitpoint_duplicate: 'appended_to_waitpoint_duplicate',
  appended_to_waitpoint: 'appended_to_waitpoint',
};
export const SUBSCRIBED_EFFECTS = [...new Set(Object.values(EFFECT_NAMES))];

export function readSignals({ effects, executionId, ...work }: SignalFilter): Reading<SignalTold> {
  const isWanted = passesWorkFilter(work);
  const wanted = effects && new Set(effects);
  return ({ event }) => {
    if (event.type !== 'signal_accepted' || (executionId !== undefined && event.executionId !== executionId))
      return undefined;
    const effect = EFFECT_NAMES[event.effect];
    if ((wanted !== undefined && !wanted.has(effect)) || !isWanted(event)) return undefined;
    const { signalId, waitpointId, signalName, sourceType, sourceIdentity, at, payloadBytes, namespace } = event;
    return {
      ...{ signalId, executionId: event.executionId, waitpointId, signalName, category: event.signalCategory },
      ...{ sourceType, sourceIdentity, correlationId: event.correlationId || undefined, effect, at, payloadBytes },
      ...{ namespace, lane: laneNameOf(event.laneId), kind: event.executionKind },
    };
  };
}

export interface CompletionFilter extends WorkFilter {
  /** Only with these outcomes. Default all. */
  readonly outcomes?: readonly Completion['outcome'][] | undefined;
}

export interface LeaseFilter {
  /** Only of these types. Default all, renewals as `renewals` says. */
  readonly types?: readonly LeaseHistoryEntry['type'][] | undefined;
  /** Only of this execution. Then only one partition is read. */
  readonly executionId?: string | undefined;
  /** Only of members of this flow. Then only one partition is read. */
  readonly flowId?: string | undefined;
  /** Whether renewals, which are frequent, are included. Default false. */
  readonly renewals?: boolean | undefined;
}

export interface TagFilter extends Omit<WorkFilter, 'tag'> {
  /** Only changes that include this tag, with any value. */
  readonly tag?: string | undefined;
  /** Only of this execution. Then only one partition is read. */
  readonly executionId?: string | undefined;
}

export const COMPLETION_OUTCOMES: readonly Completion['outcome'][] = [
  'success',
  'failed',
  'cancelled',
  'expired',
  'skipped',
];
export const LEASE_TYPES: readonly LeaseHistoryEntry['type'][] = [
  'acquired',
  'reclaimed',
  'renewed',
  'expired',
  'revoked',
  'released',
];

export const readEvent =
  (passes: (event: ReadEvent) => boolean): Reading<ReadEvent> =>
  ({ event }) =>
    passes(event) ? event : undefined;

export function readCompletion({ outcomes, ...work }: CompletionFilter): Reading<Completion> {
  const isWanted = passesWorkFilter(work);
  const wanted = outcomes && new Set(outcomes);
  return ({ event }) => {
    const completion = completionOf(event);
    if (completion === undefined || (wanted !== undefined && !wanted.has(completion.outcome))) return undefined;
    return isWanted(event as Extract<Event, Ending>) ? completion : undefined;
  };
}

/** Ends of leases that began before the first entry are left out. */
export function readLeases({ types, executionId, renewals = false }: LeaseFilter): Reading<LeaseHistoryEntry> {
  const readers = new Map<number, LeaseHistoryReader>();
  const wanted = types && new Set(types);
  return (entry: LogEntry, partition) => {
    if (executionId !== undefined && !(isOfExecution(entry.event) && entry.event.executionId === executionId))
      return undefined;
    let reader = readers.get(partition);
    if (reader === undefined) readers.set(partition, (reader = new LeaseHistoryReader()));
    const leaseEntry = reader.read(entry);
    if (leaseEntry === undefined) return undefined;
    const isWanted = wanted === undefined ? leaseEntry.type !== 'renewed' || renewals : wanted.has(leaseEntry.type);
    return isWanted ? leaseEntry : undefined;
  };
}

export function readTags({ tag, executionId: wanted, ...work }: TagFilter): Reading<TagsSet> {
  const isWanted = passesWorkFilter(work);
  return ({ event }) => {
    if (event.type !== 'execution_created' && event.type !== 'tags_set') return undefined;
    const { executionId, at, tags } = event;
    if (Object.keys(tags).length === 0 || (tag !== undefined && !Object.hasOwn(tags, tag))) return undefined;
    return (wanted === undefined || wanted === executionId) && isWanted(event)
      ? { type: 'set', executionId, at, tags }
      : undefined;
  };
}

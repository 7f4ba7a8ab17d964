/**
 * Subscriptions: readers of the log. Every event is in the log, in order, and nothing is published elsewhere, so a
 * subscriber can read everything that it missed. Spec 13 section A5.
 */
import { EngineError } from '../../model/errors.js';
import type { ReadEvent } from '../../model/events.js';
import { partitionIndexOf, partitionKeyOf } from '../../model/ids.js';
import type { LeaseHistoryEntry } from '../../model/lease/history.js';
import type { Backend } from '../backend/backend.js';
import { systemClock, type Clock } from '../engine/clock.js';
import {
  checkEventFilter,
  checkGroup,
  checkMembers,
  checkNames,
  checkWorkFilter,
  isOfReader,
  partitionWanted,
  passesEventFilter,
  type EventFilter,
} from './filters.js';
import type { Completion } from './completion.js';
import { FlowMembers } from '../engine/flow-members.js';
import { Group, joinGroup } from './group.js';
import { hubOf, type LogHub } from './hub.js';
import { decodePositions } from './positions.js';
import { beginSnapshot, checkWhole, Snapshot } from './snapshot.js';
import {
  Subscription,
  type Beginning,
  type DamageListener,
  type Reading,
  type SubscriptionState,
} from './subscription.js';
import {
  COMPLETION_OUTCOMES,
  LEASE_TYPES,
  readCompletion,
  readEvent,
  readLeases,
  readSignals,
  SUBSCRIBED_EFFECTS,
  readTags,
  type CompletionFilter,
  type LeaseFilter,
  type SignalFilter,
  type SignalTold,
  type TagFilter,
  type TagsSet,
} from './views.js';

export interface SubscribeOptions {
  /**
   * Where to begin: `now` (default) delivers what happens once the subscription exists, `earliest` starts at the oldest
   * entry that is kept, a `cursor` continues after its delivery. A `Snapshot` that was read to its end starts with what
   * its rows do not include.
   */
  readonly from?: 'now' | 'earliest' | (string & {}) | Snapshot | undefined;
  /**
   * Name of a durable group, printable ASCII without `{ } : ,`. It continues after its last commit, and the logs keep
   * what it has not committed, up to ten times their normal length. `from` applies to a new group only. Run one
   * subscription per group: each gets every event.
   */
  readonly group?: string | undefined;
  /** Ends the subscription; `next` throws its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called when the store stops answering, and when it answers again. The subscription waits meanwhile. */
  readonly onStateChange?: ((state: SubscriptionState, error?: unknown) => void) | undefined;
  /**
   * With it, an entry that cannot be read (`corruption`) does not end the subscription: the other partitions go on, and
   * that one is tried again every 1 to 60 s. It is called once when that begins, and without an error when the log can be read again.
   */
  readonly onDamage?: DamageListener | undefined;
}

const WORK = ['namespace', 'lane', 'kind', 'tag'] as const;
const OPTIONS = ['from', 'group', 'signal', 'onStateChange', 'onDamage'] as const;

/** The feeds of a backend. All subscriptions share the connections of the backend. */
export class Subscriptions {
  constructor(
    private readonly backend: Backend,
    private readonly clock: Clock = systemClock,
  ) {
    if (typeof (clock as Partial<Clock> | null)?.now === 'function') return;
    throw new EngineError('invalid_input', 'clock: must be a clock; a feed takes the options, as events({ ... }).', {
      detail: { field: 'clock' },
    });
  }

  /**
   * All events, or the events that match a filter.
   * @throws EngineError `invalid_input`; every permanent error of the backend
   */
  async events(options: EventFilter & SubscribeOptions = {}): Promise<Subscription<ReadEvent>> {
    checkMembers(options, ['types', 'executionId', 'flowId', ...OPTIONS]);
    checkEventFilter(options);
    checkNoEcho(options);
    return this.subscribe(options, partitionWanted(options), readEvent(passesEventFilter(options)));
  }

  /** How executions end. @throws as `events` */
  async completions(options: CompletionFilter & SubscribeOptions = {}): Promise<Subscription<Completion>> {
    checkMembers(options, ['outcomes', ...WORK, ...OPTIONS]);
    checkWorkFilter(options, this.backend.settings.indexedTags);
    checkWords('outcomes', options.outcomes, COMPLETION_OUTCOMES);
    return this.subscribe(options, undefined, readCompletion(options));
  }

  /** The owners of executions: from when, until when, and why an ownership ended. @throws as `events` */
  async leaseHistory(options: LeaseFilter & SubscribeOptions = {}): Promise<Subscription<LeaseHistoryEntry>> {
    checkMembers(options, ['types', 'executionId', 'flowId', 'renewals', ...OPTIONS]);
    checkEventFilter({ executionId: options.executionId, flowId: options.flowId });
    checkWords('types', options.types, LEASE_TYPES);
    return this.subscribe(options, partitionWanted(options), readLeases(options));
  }

  /** Tags given to executions. @throws as `events` */
  async tags(options: TagFilter & SubscribeOptions = {}): Promise<Subscription<TagsSet>> {
    checkMembers(options, ['executionId', ...WORK, ...OPTIONS]);
    checkEventFilter({ executionId: options.executionId });
    checkNames(options);
    return this.subscribe(options, partitionWanted(options), readTags(options));
  }

  /** Accepted signals and their effects. @throws as `events` */
  async signals(options: SignalFilter & SubscribeOptions = {}): Promise<Subscription<SignalTold>> {
    checkMembers(options, ['effects', 'executionId', ...WORK, ...OPTIONS]);
    checkEventFilter({ executionId: options.executionId });
    checkWorkFilter(options, this.backend.settings.indexedTags);
    checkWords('effects', options.effects, SUBSCRIBED_EFFECTS);
    return this.subscribe(options, partitionWanted(options), readSignals(options));
  }

  /**
   * The current executions and flows of all partitions, row by row, for when the log does not reach back far enough. A
   * subscription with `from: snapshot` continues after it. With `group`, the logs are kept for that group while you
   * read, and the group then continues after the snapshot.
   * @throws EngineError `invalid_input`; every error of the backend
   * @example
   * const snapshot = await feeds.snapshot({ group: 'search' });
   * for await (const row of snapshot) index(row);
   * for await (const { event } of await feeds.events({ from: snapshot, group: 'search' })) apply(event);
   */
  async snapshot(options: { readonly group?: string | undefined } = {}): Promise<Snapshot> {
    checkMembers(options, ['group']);
    if (options.group !== undefined) checkGroup(options.group);
    return beginSnapshot(this.backend, this.count, options.group);
  }

  /** Removes a durable group, so that it no longer holds back the logs. @throws every error of the backend */
  async forget(group: string): Promise<void> {
    checkGroup(group);
    const { backend, count } = this;
    const partitions = Array.from({ length: count }, (_, i) => partitionKeyOf(i));
    await Promise.all(partitions.map((partition) => backend.forgetReader({ partition, readerId: group })));
  }

  private async subscribe<Item>(
    {
      from = 'now',
      group: name,
      signal,
      onStateChange,
      onDamage,
      flowId,
    }: SubscribeOptions & Pick<EventFilter, 'flowId'>,
    partition: string | undefined,
    reading: Reading<Item>,
  ): Promise<Subscription<Item>> {
    if (name !== undefined) checkGroup(name);
    const [firstPartition, count] = partition === undefined ? [0, this.count] : [this.numberOf(partition), 1];
    if (from instanceof Snapshot) checkWhole(from);
    else if (typeof from !== 'string') decodePositions('', 0, 0);
    if (signal?.aborted) throw signal.reason;
    const hub = hubOf(this.backend, this.clock);
    const release = hub.use(() => undefined);
    try {
      await hub.whenSubscribed();
      if (from instanceof Snapshot) await from.check(this.backend);
      const { backend, clock } = this;
      const wanted = beginningsIn(hub, from, firstPartition, count);
      const beginnings = await (name === undefined
        ? Promise.all(wanted.map((beginning) => beginning()))
        : joinGroup({ backend, firstPartition, name }, wanted));
      // The signal can have aborted meanwhile.
      if (signal?.aborted) throw signal.reason;
      const cursors = beginnings.map(({ cursor }) => cursor);
      const members = flowId === undefined ? undefined : new FlowMembers(flowId);
      // After the position is known, because later members are in the log.
      await members?.load(backend);
      const ofMembers = members === undefined ? reading : ofFlow(members, reading);
      const readingOf = from instanceof Snapshot ? behind(from, ofMembers) : ofMembers;
      const group = name === undefined ? undefined : new Group({ backend, clock, name, firstPartition, cursors });
      return new Subscription({
        ...{ hub, firstPartition, beginnings, reading: readingOf, group },
        ...{ signal, onStateChange, onDamage },
      });
    } finally {
      release();
    }
  }

  private get count(): number {
    return this.backend.partitions.count;
  }

  private numberOf(partition: string): number {
    const number = partitionIndexOf(partition);
    if (number < this.count) return number;
    throw new EngineError('invalid_input', `executionId: this deployment has ${this.count} partitions.`, {
      detail: { field: 'executionId' },
    });
  }
}

/** Filters of subscriptions to a flow and its members. */
const ofFlow =
  <Item>(members: FlowMembers, reading: Reading<Item>): Reading<Item> =>
  (entry, partition) =>
    members.has(entry.event) ? reading(entry, partition) : undefined;

/** Filters of the events that a snapshot does not include. */
const behind =
  <Item>(snapshot: Snapshot, reading: Reading<Item>): Reading<Item> =>
  (entry, partition) =>
    snapshot.has(entry, partition) ? undefined : reading(entry, partition);

/** Finds where to begin in each partition. @throws EngineError `invalid_input` */
function beginningsIn(
  hub: LogHub,
  from: string | Snapshot,
  first: number,
  count: number,
): (() => Promise<Beginning>)[] {
  if (from === 'now' || from === 'earliest') {
    const isEarliest = from === 'earliest';
    return Array.from({ length: count }, (_, i) => async () => ({
      cursor: await hub.tail(first + i).place(from),
      isEarliest,
    }));
  }
  const cursors =
    from instanceof Snapshot ? from.cursors.slice(first, first + count) : decodePositions(from, first, count);
  return cursors.map((cursor) => () => Promise.resolve({ cursor, isEarliest: false }));
}

/** A group that received its own commits would commit them, and so on. */
function checkNoEcho({ types, group }: EventFilter & SubscribeOptions): void {
  if (group === undefined || !types?.some(isOfReader)) return;
  throw new EngineError('invalid_input', 'types: a group does not hear of commits.', { detail: { field: 'types' } });
}

function checkWords(field: string, words: readonly string[] | undefined, known: readonly string[]): void {
  if (words === undefined) return;
  if (Array.isArray(words) && words.length > 0 && words.every((word) => known.includes(word))) return;
  throw new EngineError('invalid_input', `${field}: must be a list of some of ${known.join(', ')}.`, {
    detail: { field },
  });
}

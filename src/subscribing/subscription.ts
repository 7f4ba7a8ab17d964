/**
 * A reader of the logs of several partitions, as one async iterator. It pulls: a page is read when the previous one has
 * been consumed, so a slow consumer delays only itself, and holds at most one page.
 */
import { present } from '../../model/core/present.js';
import { EngineError, type ErrorCode } from '../../model/errors.js';
import type { LogEntry } from '../../model/events.js';
import { partitionKeyOf } from '../../model/ids.js';
import { BEGINNING, encodeCursor } from '../../model/partition/cursor.js';
import type { LogPage } from '../../model/partition/reads.js';
import { spread } from '../engine/clock.js';
import { onAbort } from '../shared/abort-listeners.js';
import { orWarn } from '../util/quietly.js';
import type { Group } from './group.js';
import type { LogHub } from './hub.js';
import { encodePositions } from './positions.js';
import type { PartitionTail } from './tail.js';

/** The meaning of a log entry for a subscriber; undefined when it does not match. */
export type Reading<Item> = (entry: LogEntry, partition: number) => Item | undefined;

/** Whether the store answers. While it does not, a subscription waits and retries. */
export type SubscriptionState = 'live' | 'interrupted';

/** Told that the log of a partition is damaged; without an error, that it can be read again. */
export type DamageListener = (partition: string, error: EngineError | undefined) => void;

/** Where a subscription begins in a partition. */
export interface Beginning {
  readonly cursor: string;
  /** The position of the oldest entry at the time of the first read. */
  readonly isEarliest: boolean;
}

export interface SubscriptionSettings<Item> {
  readonly hub: LogHub;
  readonly firstPartition: number;
  /** Where to begin in each partition. */
  readonly beginnings: readonly Beginning[];
  /** Reads entries, each partition's in order. */
  readonly reading: Reading<Item>;
  /** Stores in the engine which events have been processed. */
  readonly group: Group | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onStateChange: ((state: SubscriptionState, error?: unknown) => void) | undefined;
  /** With it, a damaged log does not end the subscription: see `SubscribeOptions`. */
  readonly onDamage: DamageListener | undefined;
}

/** One event and its position. Partition and sequence identify it; events of a partition come in order. */
export class Delivery<Item> {
  constructor(
    readonly event: Item,
    /** Number of the partition. */
    readonly partition: number,
    /** Position in the log of the partition. */
    readonly sequence: number,
    private readonly firstPartition: number,
    /** The positions in all partitions by then. */
    readonly cursors: readonly string[],
  ) {}

  /** A subscription from this cursor continues after this event. At most 4 KiB at 256 partitions. */
  get cursor(): string {
    return encodePositions(this.firstPartition, this.cursors);
  }
}

/** Before the first entry of any log. */
const BEFORE_ALL = encodeCursor(BEGINNING);

/** Pause between two tries of a damaged log, ms; it doubles with each try. */
const FIRST_TRY_MS = 1_000;
const LAST_TRY_MS = 60_000;

/** Errors of a log that differs from the log that the reader knows. */
const LOSSES: ReadonlySet<ErrorCode> = new Set(['cursor_too_old', 'cursor_lost']);

interface Source {
  readonly index: number;
  readonly tail: PartitionTail;
  /** The position read so far. */
  cursor: string;
  /** Nothing was read yet, and any oldest entry will do. */
  fromEarliest: boolean;
  /** How often in a row its log was found to be damaged. */
  damages: number;
  stopWaiting: () => void;
}

export class Subscription<Item> implements AsyncIterableIterator<Delivery<Item>>, AsyncDisposable {
  private readonly sources: readonly Source[];
  /** Partitions that may have more. */
  private readonly ready: Source[];
  private buffer: Delivery<Item>[] = [];
  /** Positions read so far, and of the last delivery. */
  private reached: readonly string[];
  private delivered: readonly string[];
  private readonly atEnd: (() => void)[] = [];
  private over: { readonly error: unknown } | undefined;
  /** Ends the wait for a partition with more. */
  private wake: () => void = () => undefined;
  /** End the waits for answers. */
  private readonly stops = new Set<() => void>();
  private pulling: Promise<unknown> = Promise.resolve();
  /** The partition of the last delivery, which the consumer is processing. */
  private inHand: number | undefined;

  constructor(private readonly settings: SubscriptionSettings<Item>) {
    const { hub, firstPartition, beginnings, signal, onStateChange } = settings;
    this.reached = this.delivered = beginnings.map(({ cursor }) => cursor);
    this.sources = beginnings.map(({ cursor, isEarliest }, index) => {
      const tail = hub.tail(firstPartition + index);
      this.atEnd.push(tail.use());
      return { index, tail, cursor, fromEarliest: isEarliest, damages: 0, stopWaiting: () => undefined };
    });
    this.ready = [...this.sources];
    this.atEnd.push(
      hub.use((error) => {
        const state = error === undefined ? 'live' : 'interrupted';
        orWarn('onStateChange', () => onStateChange?.(state, error));
      }),
      signal === undefined ? () => undefined : onAbort(signal, () => this.end({ error: signal.reason })),
    );
  }

  /** After the last delivery and the entries skipped since: where to continue later. */
  get cursor(): string {
    return encodePositions(this.settings.firstPartition, this.delivered);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /**
   * The next event.
   * @throws EngineError `cursor_too_old` or `cursor_lost` when events are gone, with `detail.earliest` to continue
   *   from; what the store refuses for good; the reason of the signal. The subscription is then over.
   */
  next(): Promise<IteratorResult<Delivery<Item>, undefined>> {
    const next = this.pulling.then(() => this.pull());
    this.pulling = next.catch(() => undefined);
    return next;
  }

  /**
   * For a group: commits everything that was delivered. Without it, an event counts as processed when you ask for the
   * next one, and is committed within a second.
   * @throws every error of the backend
   */
  async commit(): Promise<void> {
    const { group } = this.settings;
    if (group === undefined) throw new EngineError('invalid_input', 'commit: only a subscription of a group commits.');
    group.note(this.delivered, this.inHand);
    this.inHand = undefined;
    await group.commit();
  }

  /** Ends the subscription and a pending `next`. Leaving a `for await` does the same. */
  async return(): Promise<IteratorResult<Delivery<Item>, undefined>> {
    await this.close();
    return { done: true, value: undefined };
  }

  /**
   * Ends the subscription. A group commits what was processed; the last delivered event is not, unless you called
   * `commit`.
   */
  async close(): Promise<void> {
    this.end({ error: undefined });
    // Events that are not committed now are delivered again.
    await this.settings.group?.commit().catch(() => undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async pull(): Promise<IteratorResult<Delivery<Item>, undefined>> {
    for (;;) {
      if (this.over !== undefined) return this.finish(this.over);
      // A consumer that asks for the next event has processed the previous one.
      this.settings.group?.reach(
        this.delivered,
        this.inHand,
        (error, index) => void this.fail(present(this.sources[index]), error),
      );
      this.inHand = undefined;
      const delivery = this.buffer.shift();
      if (delivery !== undefined) {
        this.delivered = this.buffer.length === 0 ? this.reached : delivery.cursors;
        this.inHand = delivery.partition;
        return { done: false, value: delivery };
      }
      this.delivered = this.reached;
      await this.fill();
    }
  }

  /** An error is thrown once. */
  private finish(over: { readonly error: unknown }): IteratorResult<Delivery<Item>, undefined> {
    this.over = { error: undefined };
    if (over.error !== undefined) throw over.error;
    return { done: true, value: undefined };
  }

  private async fill(): Promise<void> {
    const source = this.ready.shift();
    if (source === undefined) return new Promise((resolve) => (this.wake = resolve));
    try {
      const page = await this.interrupted(source.tail.read(source.cursor));
      if (page !== undefined) this.take(source, page);
    } catch (error) {
      await this.fail(source, error);
    }
  }

  private take(source: Source, page: LogPage): void {
    const { firstPartition, reading } = this.settings;
    const partition = firstPartition + source.index;
    const generation = page.end.slice(0, page.end.indexOf('.'));
    for (const entry of page.events) {
      const item = reading(entry, partition);
      if (item === undefined) continue;
      const cursor = encodeCursor({ generation, sequence: entry.sequence, time: entry.event.at });
      this.reached = this.reached.with(source.index, cursor);
      this.buffer.push(new Delivery(item, partition, entry.sequence, firstPartition, this.reached));
    }
    source.cursor = page.next;
    source.fromEarliest = false;
    if (source.damages > 0) {
      source.damages = 0;
      this.noteDamage(source, undefined);
    }
    this.reached = this.reached.with(source.index, page.next);
    if (!page.atEnd) return void this.ready.push(source);
    source.stopWaiting = source.tail.whenMore(page.end, () => this.markReady(source));
  }

  /** The answer; undefined when the subscription ends before it arrives. */
  private interrupted<Answer>(answer: Promise<Answer>): Promise<Answer | undefined> {
    return new Promise((resolve, reject) => {
      const stop = (): void => resolve(undefined);
      this.stops.add(stop);
      answer.then(resolve, reject).finally(() => this.stops.delete(stop));
    });
  }

  private async fail(source: Source, error: unknown): Promise<void> {
    if (this.over !== undefined) return;
    if (!(error instanceof EngineError)) return this.end({ error });
    if (error.code === 'corruption' && this.settings.onDamage !== undefined) return this.tryLater(source, error);
    if (!LOSSES.has(error.code)) return this.end({ error });
    const earliest =
      error.detail['earliest'] ?? (await this.interrupted(source.tail.place('earliest')).catch(() => undefined));
    if (source.fromEarliest && earliest !== undefined) {
      // From the oldest entry.
      source.cursor = earliest;
      this.ready.unshift(source);
      return;
    }
    this.end({ error: this.lossOf(source, error, earliest) });
  }

  /** The other partitions go on meanwhile. */
  private tryLater(source: Source, error: EngineError): void {
    const { hub } = this.settings;
    if (source.damages++ === 0) this.noteDamage(source, error);
    const waitMs = Math.min(LAST_TRY_MS, FIRST_TRY_MS * 2 ** (source.damages - 1));
    source.stopWaiting = hub.clock.after(spread(hub.clock, waitMs, 0.2), () => this.markReady(source));
  }

  private noteDamage({ index }: Source, error: EngineError | undefined): void {
    const { firstPartition, onDamage } = this.settings;
    orWarn('onDamage', () => onDamage?.(partitionKeyOf(firstPartition + index), error));
  }

  /** The source may have more. */
  private markReady(source: Source): void {
    this.ready.push(source);
    this.wake();
  }

  private lossOf(source: Source, error: EngineError, earliest = BEFORE_ALL): EngineError {
    const { firstPartition } = this.settings;
    const partition = partitionKeyOf(firstPartition + source.index);
    // Events that were read and not delivered are read again later.
    const cursors = this.delivered.with(source.index, earliest);
    return new EngineError(
      error.code,
      `The log of ${partition} is not what the subscription knew; begin with a snapshot, or go on from detail.earliest.`,
      {
        detail: { partition, earliest: encodePositions(firstPartition, cursors) },
      },
    );
  }

  private end(over: { readonly error: unknown }): void {
    if (this.over !== undefined) return;
    this.over = over;
    this.buffer = [];
    for (const { stopWaiting } of this.sources) stopWaiting();
    for (const fn of this.atEnd.splice(0)) fn();
    this.wake();
    for (const stop of this.stops) stop();
  }
}

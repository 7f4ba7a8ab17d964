/**
 * Moves long bytes in parts, a MiB of them at a time, so that calls on the same connection are answered between the
 * parts: a renewal behind 100 MiB on a slow link would come after the end of its lease. Transfers take turns part by
 * part, so a short one does not wait for a long one. The time of a part begins when it leaves. Reads of pages take turns
 * among themselves: a page is short, or the server answers with its length and it is read again when there is room.
 */
import { EngineError, type ErrorCode } from '../../../model/errors.js';
import { LIMITS } from '../../../model/limits.js';
import type { CallRetrier } from '../connection/call-retrier.js';
import type { WireReply } from '../wire/reply.js';

/** The commands of the client that transfers use. */
export interface TransferClient {
  getrangeBuffer(key: string, from: number, to: number): Promise<Buffer>;
  set(key: string, bytes: Buffer, unit: 'PX', ms: number): Promise<unknown>;
  append(key: string, bytes: Buffer): Promise<number>;
  pexpire(key: string, ms: number): Promise<unknown>;
  unlink(...keys: readonly string[]): Promise<unknown>;
}

export interface TransfersOptions {
  readonly client: () => TransferClient;
  /** Runs a function that sends several commands, which leave in one write. */
  readonly inOneWrite: <Value>(send: () => Value) => Value;
  readonly retrier: Pick<CallRetrier, 'read' | 'make' | 'fromNow' | 'isOver'>;
  /** The node that has a key, by any name. */
  readonly nodeOf: (key: string) => string;
}

/** Most bytes in flight to one node: enough to fill a fast link with a long round trip. */
const MAX_IN_FLIGHT_BYTES = 1024 * 1024;

/**
 * Room for a page whose length is unknown. Mostly it is short, and many may leave at once. One that is alone may be as long
 * as a full page with its names.
 */
const SHORT_PAGE_BYTES = 16 * 1024;
const LONE_PAGE_BYTES = MAX_IN_FLIGHT_BYTES / 2;

/** Faults of parts that were tried for the whole time of a call. */
const LATE: ReadonlySet<string> = new Set<ErrorCode>(['call_timeout', 'transport_failed']);

/** Reports that a part was stored in another order, or not behind the parts before it. */
const NOT_BEHIND = new Error('A part was not stored behind the others.');

export class Transfers {
  /** By node: one may not answer while the others do. */
  private readonly parts = new Map<string, Queue>();
  private readonly pages = new Map<string, Queue>();

  constructor(private readonly options: TransfersOptions) {}

  /** The bytes of a key, or undefined if it no longer has so many. @throws EngineError */
  async fetch(key: string, bytes: number): Promise<Buffer | undefined> {
    const { client, retrier } = this.options;
    const parts: Buffer[] = [];
    await this.queueOf(this.parts, key).run(bytes, async (from, to) => {
      parts[from / LIMITS.maxPartBytes] = await retrier.read(() => client().getrangeBuffer(key, from, to - 1));
    });
    const whole = Buffer.concat(parts);
    return whole.byteLength === bytes ? whole : undefined;
  }

  /**
   * Stores bytes under a new key, which expires when it gets no part for `ttlMs`. @returns false if the server did not
   * store all parts in their order @throws EngineError
   */
  async store(key: string, bytes: Buffer, ttlMs: number): Promise<boolean> {
    const { client, inOneWrite, retrier } = this.options;
    try {
      await this.queueOf(this.parts, key).run(bytes.length, async (from, to) => {
        const part = bytes.subarray(from, to);
        if (from === 0) {
          await retrier.make(() => client().set(key, part, 'PX', ttlMs));
          return;
        }
        // In one write, because an APPEND after the end of the key makes a new one that stays.
        const [length] = await retrier.make(() =>
          inOneWrite(() => Promise.all([client().append(key, part), client().pexpire(key, ttlMs)])),
        );
        if (length !== to) throw NOT_BEHIND;
      });
      return true;
    } catch (error) {
      if (error === NOT_BEHIND) return false;
      throw error;
    }
  }

  /**
   * Reads a page in its turn among the pages of the node. Its time begins then. The read gets the most bytes that there is
   * room for, and answers with the page, or with its length if that is greater. @throws EngineError
   */
  async readPage(key: string, read: (mostBytes: number) => Promise<WireReply>): Promise<WireReply> {
    let mostBytes = this.queueOf(this.pages, key).isIdle ? LONE_PAGE_BYTES : SHORT_PAGE_BYTES;
    for (;;) {
      let page: WireReply = null;
      await this.queueOf(this.pages, key).run(Math.min(mostBytes, MAX_IN_FLIGHT_BYTES), async () => {
        page = await read(mostBytes);
      });
      if (typeof page !== 'number') return page;
      mostBytes = page;
    }
  }

  /** Removes bytes of one partition that no call will use, if the server can be reached now. Otherwise they expire. */
  remove(keys: readonly string[]): void {
    if (keys.length === 0) return;
    this.options
      .client()
      .unlink(...keys)
      .catch(() => undefined);
  }

  private queueOf(queues: Map<string, Queue>, key: string): Queue {
    const node = this.options.nodeOf(key);
    const known = queues.get(node);
    if (known !== undefined) return known;
    const partBytes = queues === this.pages ? MAX_IN_FLIGHT_BYTES : LIMITS.maxPartBytes;
    const queue = new Queue(this.options.retrier, partBytes, () => queues.delete(node));
    queues.set(node, queue);
    return queue;
  }
}

/** Moves one part. */
type Move = (from: number, to: number) => Promise<void>;

interface Transfer {
  readonly bytes: number;
  readonly move: Move;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  /** When the time of a call has passed since it began. */
  readonly deadline: number;
  /** Bytes that have left. */
  sent: number;
  /** Bytes that have arrived. */
  moved: number;
}

/** Transfers that take turns. */
class Queue {
  /** Transfers with parts that have not left; the first one has the next turn. */
  private waiting: Transfer[] = [];
  private inFlightBytes = 0;
  /** When the time of a call has passed since the last part arrived. */
  private deadline = 0;

  constructor(
    private readonly retrier: TransfersOptions['retrier'],
    /** Most bytes of one part. */
    private readonly partBytes: number,
    private readonly onEmpty: () => void,
  ) {}

  /** Whether nothing is in flight. */
  get isIdle(): boolean {
    return this.inFlightBytes === 0;
  }

  run(bytes: number, move: Move): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ bytes, move, resolve, reject, deadline: this.retrier.fromNow(), sent: 0, moved: 0 });
      this.send();
    });
  }

  private send(): void {
    for (let transfer = this.waiting[0]; transfer !== undefined; transfer = this.waiting[0]) {
      const bytes = Math.min(this.partBytes, transfer.bytes - transfer.sent);
      if (this.inFlightBytes + bytes > MAX_IN_FLIGHT_BYTES) return;
      this.waiting.shift();
      void this.sendPart(transfer, bytes);
    }
    if (this.inFlightBytes === 0) this.onEmpty();
  }

  /** Never rejects. */
  private async sendPart(transfer: Transfer, bytes: number): Promise<void> {
    const from = transfer.sent;
    transfer.sent += bytes;
    this.inFlightBytes += bytes;
    if (transfer.sent < transfer.bytes) this.waiting.push(transfer);
    try {
      await transfer.move(from, transfer.sent);
      this.deadline = this.retrier.fromNow();
      transfer.moved += bytes;
      if (transfer.moved === transfer.bytes) transfer.resolve();
    } catch (error) {
      this.failed(transfer, error);
    }
    this.inFlightBytes -= bytes;
    this.send();
  }

  private failed(transfer: Transfer, error: unknown): void {
    const isLate = error instanceof EngineError && LATE.has(error.code);
    // A server that has answered nothing for the time of a call fails all that have waited as long.
    const hasStalled = isLate && this.retrier.isOver(this.deadline);
    const late = hasStalled ? this.waiting.filter(({ deadline }) => this.retrier.isOver(deadline)) : [];
    const failed = new Set([transfer, ...late]);
    this.waiting = this.waiting.filter((each) => !failed.has(each));
    for (const each of failed) each.reject(error);
  }
}

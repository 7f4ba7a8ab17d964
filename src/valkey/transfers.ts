/**
 * Moves long bytes in parts, a few at a time, so that other calls on the same connection are answered between them: a
 * renewal behind 100 MiB on a slow link would come after the end of its lease. The time of a call begins when its part
 * leaves, so many transfers wait for each other without any of them being late.
 */
import { LIMITS } from '../../model/limits.js';
import { EngineError } from '../../model/errors.js';
import type { CallRetrier } from './connection/call-retrier.js';

/** The commands of the client that transfers use. */
export interface TransferClient {
  getrangeBuffer(key: string, from: number, to: number): Promise<Buffer>;
  set(key: string, bytes: Buffer, unit: 'PX', ms: number): Promise<unknown>;
  append(key: string, bytes: Buffer): Promise<number>;
  pexpire(key: string, ms: number): Promise<unknown>;
}

/** Parts in flight: enough for a long way to a fast server. */
const PARTS_AT_ONCE = 4;

interface Transfer {
  readonly bytes: number;
  /** How many parts one of its parts counts for. */
  readonly weight: number;
  /** Moves one part. */
  readonly move: (from: number, to: number) => Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  /** Bytes that have left. */
  sent: number;
  /** Parts in flight. */
  moving: number;
}

export class Transfers {
  /** Transfers with parts that have not left, in the order in which they began. */
  private waiting: Transfer[] = [];
  private moving = 0;

  constructor(
    private readonly client: () => TransferClient,
    private readonly retrier: CallRetrier,
  ) {}

  /** The bytes of a key, or undefined if it no longer has so many. @throws EngineError */
  async fetch(key: string, bytes: number): Promise<Buffer | undefined> {
    const parts: Buffer[] = [];
    await this.run({ bytes }, async (from, to) => {
      parts[from / LIMITS.maxPartBytes] = await this.retrier.read(() =>
        this.client().getrangeBuffer(key, from, to - 1),
      );
    });
    const whole = Buffer.concat(parts);
    return whole.byteLength === bytes ? whole : undefined;
  }

  /**
   * Stores bytes under a new key, which expires when it gets no part for `ttlMs`. @returns false if the server did not
   * store all parts in their order @throws EngineError
   */
  async store(key: string, bytes: Buffer, ttlMs: number): Promise<boolean> {
    let isWhole = true;
    await this.run({ bytes: bytes.length }, async (from, to) => {
      const part = bytes.subarray(from, to);
      const stored = await this.retrier.make(async () => {
        const client = this.client();
        if (from === 0) {
          await client.set(key, part, 'PX', ttlMs);
          return to;
        }
        // In the same write: a part that comes after the end of its key must not make one that stays.
        const [length] = await Promise.all([client.append(key, part), client.pexpire(key, ttlMs)]);
        return length;
      });
      isWhole &&= stored === to;
    });
    return isWhole;
  }

  /** Makes a call that carries long bytes, or whose answer can, in its turn. @throws what the call throws */
  async make<Value>(call: () => Promise<Value>, atOnce: 'few' | 'one'): Promise<Value> {
    const answers: Value[] = [];
    const weight = atOnce === 'one' ? PARTS_AT_ONCE : 1;
    await this.run({ bytes: 1, weight }, async () => void answers.push(await call()));
    return answers[0] as Value;
  }

  private run({ bytes, weight = 1 }: { bytes: number; weight?: number }, move: Transfer['move']): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ bytes, weight, move, resolve, reject, sent: 0, moving: 0 });
      this.send();
    });
  }

  private send(): void {
    for (let transfer = this.waiting[0]; transfer !== undefined; transfer = this.waiting[0]) {
      if (this.moving + transfer.weight > PARTS_AT_ONCE) return;
      this.begin(transfer);
    }
  }

  private begin(transfer: Transfer): void {
    const from = transfer.sent;
    transfer.sent = Math.min(transfer.bytes, from + LIMITS.maxPartBytes);
    if (transfer.sent === transfer.bytes) this.waiting.shift();
    this.moving += transfer.weight;
    transfer.moving++;
    transfer.move(from, transfer.sent).then(
      () => this.moved(transfer),
      (error: unknown) => {
        this.failed(transfer, error);
        this.moved(transfer);
      },
    );
  }

  private moved(transfer: Transfer): void {
    this.moving -= transfer.weight;
    transfer.moving--;
    if (transfer.moving === 0 && transfer.sent === transfer.bytes) transfer.resolve();
    this.send();
  }

  private failed(transfer: Transfer, error: unknown): void {
    // What waits behind a part that was not answered in time has waited as long.
    const isStuck = error instanceof EngineError && error.code === 'call_timeout';
    const failed = isStuck ? [transfer, ...this.waiting] : [transfer];
    this.waiting = this.waiting.filter((each) => !failed.includes(each));
    for (const each of failed) each.reject(error);
  }
}

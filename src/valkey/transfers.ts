/**
 * Moves long bytes in parts, at most a MiB at a time, and makes calls with many bytes in their turn, so that other calls on the same connection are answered between them: a
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

/** Most bytes in flight: enough for a long way to a fast server. */
const MAX_IN_FLIGHT_BYTES = 1024 * 1024;

interface Transfer {
  readonly bytes: number;
  /** The size of its parts. */
  readonly partBytes: number;
  /** Moves one part. */
  readonly move: (from: number, to: number) => Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  /** Bytes that have left. */
  sent: number;
  /** Bytes that have arrived. */
  moved: number;
}

export class Transfers {
  /** Transfers with parts that have not left, in the order in which they began. */
  private waiting: Transfer[] = [];
  private inFlightBytes = 0;

  constructor(
    private readonly client: () => TransferClient,
    private readonly retrier: CallRetrier,
  ) {}

  /** The bytes of a key, or undefined if it no longer has so many. @throws EngineError */
  async fetch(key: string, bytes: number): Promise<Buffer | undefined> {
    const parts: Buffer[] = [];
    await this.run({ bytes, partBytes: LIMITS.maxPartBytes }, async (from, to) => {
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
    await this.run({ bytes: bytes.length, partBytes: LIMITS.maxPartBytes }, async (from, to) => {
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

  /**
   * Makes a call that carries so many bytes, or whose answer can, in its turn; in the same turn of the event loop when
   * nothing is in the way. @throws what the call throws
   */
  async make<Value>(bytes: number, call: () => Promise<Value>): Promise<Value> {
    const answers: Value[] = [];
    await this.run({ bytes, partBytes: bytes }, async () => void answers.push(await call()));
    return answers[0] as Value;
  }

  private run({ bytes, partBytes }: Pick<Transfer, 'bytes' | 'partBytes'>, move: Transfer['move']): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ bytes, partBytes, move, resolve, reject, sent: 0, moved: 0 });
      this.send();
    });
  }

  private send(): void {
    for (let transfer = this.waiting[0]; transfer !== undefined; transfer = this.waiting[0]) {
      const next = Math.min(transfer.partBytes, transfer.bytes - transfer.sent);
      if (this.inFlightBytes > 0 && this.inFlightBytes + next > MAX_IN_FLIGHT_BYTES) return;
      this.begin(transfer, next);
    }
  }

  private begin(transfer: Transfer, bytes: number): void {
    const from = transfer.sent;
    transfer.sent += bytes;
    if (transfer.sent === transfer.bytes) this.waiting.shift();
    this.inFlightBytes += bytes;
    const end = (): void => {
      this.inFlightBytes -= bytes;
      this.send();
    };
    transfer.move(from, transfer.sent).then(
      () => {
        transfer.moved += bytes;
        if (transfer.moved === transfer.bytes) transfer.resolve();
        end();
      },
      (error: unknown) => {
        this.failed(transfer, error);
        end();
      },
    );
  }

  private failed(transfer: Transfer, error: unknown): void {
    // What waits behind a part that was not answered in time has waited as long.
    const isStuck = error instanceof EngineError && error.code === 'call_timeout';
    const failed = isStuck ? [transfer, ...this.waiting] : [transfer];
    this.waiting = this.waiting.filter((each) => !failed.includes(each));
    for (const each of failed) each.reject(error);
  }
}

/**
 * Sends long payloads and results outside of the call that uses them. The server's scripting engine hashes every text
 * of a call byte by byte and copies it twice: 4 KiB cost about as much as the rest of a creation. So long bytes are
 * stored by a separate command just before the call, under a unique name. An accepted call takes them over by renaming;
 * unused bytes expire.
 * Bytes of more than 256 KiB are stored in parts before the call, so that other calls leave between them.
 */
import { randomBytes } from 'node:crypto';
import { STAGED_SEPARATOR } from '../../lua/layout.js';
import { EngineError, type ErrorCode } from '../../model/errors.js';
import { LIMITS } from '../../model/limits.js';
import type { Transfers } from './transfers.js';

/**
 * Bytes from this size are staged: half of the 4 KiB at which staging was measured to save more than its command costs.
 */
export const STAGED_FROM_BYTES = 2_048;

/** Life of staged bytes, ms. The call that takes them over follows at once, in the same write to the connection. */
const STAGED_FOR_MS = 60_000;

/** First part of the names, unique to this process; the second part is a count. */
const PROCESS = randomBytes(9).toString('base64url');
let count = 0;

interface StagedBytes {
  readonly key: string;
  readonly bytes: Buffer;
}

/** The commands of the client that staging uses. */
export interface StagingClient {
  set(key: string, bytes: Buffer, unit: 'PX', ms: number): Promise<unknown>;
}

/** Faults after which it is unknown what was stored. */
const UNREACHED: ReadonlySet<string> = new Set<ErrorCode>(['call_timeout', 'transport_failed', 'backend_closed']);

/** The staged bytes of one call. */
export class Staging {
  private readonly staged: StagedBytes[] = [];
  private readonly long: StagedBytes[] = [];
  /** Number of bytes in the write of the call. */
  bytes = 0;

  constructor(private readonly fromBytes: number) {}

  /** Stages bytes for `key`. @returns their name, or undefined if they are too short to stage */
  place(key: string | undefined, bytes: Buffer): string | undefined {
    if (key === undefined || bytes.length < this.fromBytes) return undefined;
    const name = PROCESS + (count++).toString(36);
    const isLong = bytes.length > LIMITS.maxPartBytes;
    if (!isLong) this.bytes += bytes.length;
    (isLong ? this.long : this.staged).push({ key: `${key}${STAGED_SEPARATOR}${name}`, bytes });
    return name;
  }

  /** Whether nothing is stored in the write of the call. */
  get isEmpty(): boolean {
    return this.staged.length === 0;
  }

  /** Whether some bytes are too long for the write of the call, and are stored before it. */
  get hasLong(): boolean {
    return this.long.length > 0;
  }

  /** Stores long bytes. @returns false if the server refused them @throws EngineError if it was not reached */
  async sendLong(transfers: Transfers): Promise<boolean> {
    try {
      const stored = await Promise.all(this.long.map(({ key, bytes }) => transfers.store(key, bytes, STAGED_FOR_MS)));
      return !stored.includes(false);
    } catch (error) {
      if (error instanceof EngineError && UNREACHED.has(error.code)) throw error;
      return false;
    }
  }

  /** Stores the other bytes. Faults are ignored here, because the call reports missing bytes. */
  send(client: StagingClient): void {
    for (const { key, bytes } of this.staged) client.set(key, bytes, 'PX', STAGED_FOR_MS).catch(() => undefined);
  }
}

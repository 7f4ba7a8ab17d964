/**
 * Sends payloads and results outside of the call that uses them. The server's scripting engine hashes every text of a
 * call byte by byte and copies it twice: 4 KiB cost about as much as the rest of a creation. So such bytes are stored by
 * a separate command just before the call, under a unique name. An accepted call takes them over by renaming; unused
 * bytes expire. Bytes of more than 32 KiB are stored earlier (long-bytes.ts).
 */
import { randomBytes } from 'node:crypto';
import { STAGED_SEPARATOR } from '../../../lua/layout.js';

/**
 * Bytes from this size are staged: half of the 4 KiB at which staging was measured to save more than its command costs.
 */
export const STAGED_FROM_BYTES = 2_048;

/** Life of staged bytes, ms. The call that takes them over follows at once, in the same write to the connection. */
const STAGED_FOR_MS = 60_000;

/** First part of the names, unique to this process; the second part is a count. */
const PROCESS = randomBytes(9).toString('base64url');
let count = 0;

/** A name for staged bytes. */
export const newName = (): string => PROCESS + (count++).toString(36);

/** Where bytes for `key` are staged. */
export const stagedKey = (key: string, name: string): string => `${key}${STAGED_SEPARATOR}${name}`;

/** The commands of the client that staging uses. */
export interface StagingClient {
  set(key: string, bytes: Buffer, unit: 'PX', ms: number): Promise<unknown>;
}

/** The bytes of one call that leave in its write. */
export class Staging {
  private readonly staged: { readonly key: string; readonly bytes: Buffer }[] = [];

  constructor(private readonly fromBytes: number) {}

  /** Stages bytes for `key`. @returns their name, or undefined if they are too short to stage */
  place(key: string | undefined, bytes: Buffer): string | undefined {
    if (key === undefined || bytes.length < this.fromBytes) return undefined;
    const name = newName();
    this.staged.push({ key: stagedKey(key, name), bytes });
    return name;
  }

  get isEmpty(): boolean {
    return this.staged.length === 0;
  }

  /** Stores the bytes. Faults are ignored here, because the call reports missing bytes. */
  send(client: StagingClient): void {
    for (const { key, bytes } of this.staged) client.set(key, bytes, 'PX', STAGED_FOR_MS).catch(() => undefined);
  }
}

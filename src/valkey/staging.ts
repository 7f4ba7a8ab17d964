/**
 * Long payloads and results travel beside the call that names them. Every text that a call carries is hashed byte by
 * byte and copied twice by the server's scripting engine: 4 KiB cost about as much as the rest of a creation. So they
 * are stored by a command of their own just before, under a name that nothing else has; the call that is accepted takes
 * them over by renaming, and what no call came for expires.
 */
import { randomBytes } from 'node:crypto';
import { STAGED_SEPARATOR } from '../../lua/layout.js';

/** From this size on bytes are staged: half of the 4 KiB that were seen to save more than the further command costs. */
export const STAGED_FROM_BYTES = 2_048;

/** Life of staged bytes that no call took over, ms. The call follows at once, in the same write to the connection. */
const STAGED_FOR_MS = 60_000;

/** Names are unique among processes by their first part, and in this one by a count. */
const PROCESS = randomBytes(9).toString('base64url');
let count = 0;

/** What a client can do for it. */
export interface StagingClient {
  set(key: string, bytes: Buffer, unit: 'PX', ms: number): Promise<unknown>;
}

/** The bytes that travel beside one call. */
export class Staging {
  private readonly staged: { readonly key: string; readonly bytes: Buffer }[] = [];

  constructor(private readonly fromBytes: number) {}

  /** The name under which these bytes will be found beside `key`, or nothing when they are short. */
  place(key: string | undefined, bytes: Buffer): string | undefined {
    if (key === undefined || bytes.length < this.fromBytes) return undefined;
    const name = PROCESS + (count++).toString(36);
    this.staged.push({ key: `${key}${STAGED_SEPARATOR}${name}`, bytes });
    return name;
  }

  get isEmpty(): boolean {
    return this.staged.length === 0;
  }

  /** Stores them. A fault needs no answer here: the call finds them missing and says so. */
  send(client: StagingClient): void {
    for (const { key, bytes } of this.staged) client.set(key, bytes, 'PX', STAGED_FOR_MS).catch(() => undefined);
  }
}

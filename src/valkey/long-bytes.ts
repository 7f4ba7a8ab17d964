/**
 * Stores payloads and results of more than 32 KiB before the call that uses them, by transfers. So no call carries them,
 * and nothing that is joined to a call waits for them.
 */
import type { ByteSlot } from '../../model/core/operation.js';
import { EngineError, type ErrorCode } from '../../model/errors.js';
import { LIMITS } from '../../model/limits.js';
import { operationNamed, type ParsedCommand } from '../../model/machine.js';
import { bytesKey } from './keys.js';
import { newName, stagedKey } from './staging.js';
import type { Transfers } from './transfers.js';
import { bufferOf } from './wire.js';

/** Life of stored bytes after each part, ms: other transfers have their turns before the next part, and before the call. */
const STORED_FOR_MS = 5 * 60_000;

/** Faults after which it is unknown what was stored. */
const UNREACHED: ReadonlySet<string> = new Set<ErrorCode>(['call_timeout', 'transport_failed', 'backend_closed']);

/** The arguments of a command. */
type Args = Parameters<typeof bytesKey>[2];

interface Long {
  readonly args: Args;
  readonly slot: ByteSlot;
  readonly key: string;
  readonly bytes: Uint8Array;
}

/** Bytes that are stored before their call. */
export class LongBytes {
  private readonly places = new WeakMap<Args, Map<ByteSlot, { readonly name: string | undefined }>>();

  constructor(
    private readonly prefix: string,
    private readonly transfers: Transfers,
  ) {}

  /** Where the bytes of a command were stored, without a name if the server refused them; undefined if they are not long. */
  placeOf(args: Args, slot: ByteSlot): { readonly name: string | undefined } | undefined {
    return this.places.get(args)?.get(slot);
  }

  /**
   * Stores the long bytes of commands. Undefined, with nothing to await, if there are none. @returns how many bytes they
   * are @throws EngineError if the server was not reached
   */
  store(commands: readonly ParsedCommand[]): Promise<number> | undefined {
    const all = commands.flatMap((command) => this.longBytesOf(command));
    return all.length === 0 ? undefined : this.storeAll(all);
  }

  private async storeAll(all: readonly Long[]): Promise<number> {
    const stored = await Promise.all(
      all.map(async ({ args, slot, key, bytes }) => {
        const name = newName();
        const isStored = await this.reach(this.transfers.store(stagedKey(key, name), bufferOf(bytes), STORED_FOR_MS));
        const places = this.places.get(args) ?? new Map<ByteSlot, { readonly name: string | undefined }>();
        this.places.set(args, places.set(slot, { name: isStored ? name : undefined }));
        return isStored ? bytes.byteLength : 0;
      }),
    );
    return stored.reduce((sum, bytes) => sum + bytes, 0);
  }

  private async reach(storing: Promise<boolean>): Promise<boolean> {
    try {
      return await storing;
    } catch (error) {
      if (error instanceof EngineError && UNREACHED.has(error.code)) throw error;
      return false;
    }
  }

  private longBytesOf({ name, args: given }: ParsedCommand): Long[] {
    const args = given as unknown as Args & Readonly<Record<string, Uint8Array | undefined>>;
    return Object.entries(operationNamed(name).bytes ?? {}).flatMap(([field, slot]) => {
      const bytes = args[field];
      if (bytes === undefined || bytes.byteLength <= LIMITS.maxClaimedInputBytes) return [];
      const key = bytesKey(this.prefix, slot, args);
      return key === undefined ? [] : [{ args, slot, key, bytes }];
    });
  }
}

/**
 * Stores bytes of more than 32 KiB (inputs, results, values of steps) before the call that uses them, by transfers. So no
 * call carries them, and nothing that is joined to a call waits for them.
 */
import type { ByteSlot } from '../../../model/core/entity.js';
import { present } from '../../../model/core/present.js';
import { EngineError, type ErrorCode } from '../../../model/errors.js';
import { LIMITS } from '../../../model/limits.js';
import { operationNamed, type ParsedCommand } from '../../../model/machine.js';
import { bytesKey } from '../keys.js';
import { newName, STAGED_FROM_BYTES, stagedKey } from './staging.js';
import type { Answer } from '../wire/answers.js';
import type { Transfers } from './transfers.js';
import { bufferOf } from '../wire/format.js';

/** Life of stored bytes after each part, ms: other transfers have their turns before the next part, and before the call. */
const STORED_FOR_MS = 5 * 60_000;

/** Most bytes that leave in one write with their call. */
const MOST_BYTES = LIMITS.maxClaimedInputBytes;

/** Faults after which it is unknown what was stored. */
const UNREACHED: ReadonlySet<string> = new Set<ErrorCode>(['call_timeout', 'transport_failed', 'backend_closed']);

type Slot = ByteSlot | 'step';

/** The arguments of a command, or a new member. */
type Args = Parameters<typeof bytesKey>[2];

interface Long {
  readonly args: Args;
  readonly slot: Slot;
  readonly name: string;
  /** Where they are stored under the name. */
  readonly key: string;
  readonly bytes: Uint8Array;
}

/** Where bytes were stored: without a name if their command has to carry them. */
interface Place {
  readonly key: string;
  name: string | undefined;
}

/** Bytes that are stored before their call. */
export class LongBytes {
  private readonly places = new WeakMap<Args, Map<Slot, Place>>();

  constructor(
    private readonly prefix: string,
    private readonly transfers: Transfers,
  ) {}

  /** Where the bytes of a command were stored, without a name if it has to carry them; undefined if they are not long. */
  placeOf(args: Args, slot: Slot): Readonly<Place> | undefined {
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

  /** The server did not find all bytes of these commands, which carry them from now on. */
  giveUp(commands: readonly ParsedCommand[]): void {
    for (const place of commands.flatMap((command) => this.placesOf(command))) place.name = undefined;
  }

  /**
   * Removes what answered commands of a partition left: refused ones, and those that carried their bytes. The others were
   * accepted, and the library has taken over or removed what they name.
   */
  removeLeft(commands: readonly ParsedCommand[], answers: readonly Answer[]): void {
    const left = commands.flatMap((command, index) => {
      const answer = answers[index];
      // A command that met a fault may run later.
      if (answer === undefined || 'fault' in answer) return [];
      return this.placesOf(command).filter(({ name }) => !answer.ok || name === undefined);
    });
    this.transfers.remove(left.map(({ key }) => key));
  }

  private placesOf({ name, args }: ParsedCommand): Place[] {
    const owners = [args as unknown as Args, ...(operationNamed(name).newMembers?.(args as never) ?? [])];
    return owners.flatMap((owner) => [...(this.places.get(owner)?.values() ?? [])]);
  }

  private async storeAll(all: readonly Long[]): Promise<number> {
    const stores = all.map((long) => this.storeOne(long));
    try {
      const stored = await Promise.all(stores);
      return stored.reduce((sum, bytes) => sum + bytes, 0);
    } catch (error) {
      // No call will name any of them.
      stores.forEach((store, index) => {
        const remove = (): void => this.transfers.remove([present(all[index]).key]);
        store.then(remove, remove);
      });
      throw error;
    }
  }

  /** @returns how many bytes were stored */
  private async storeOne({ args, slot, key, name, bytes }: Long): Promise<number> {
    const isStored = await this.reach(this.transfers.store(key, bufferOf(bytes), STORED_FOR_MS));
    const places = this.places.get(args) ?? new Map<Slot, Place>();
    this.places.set(args, places.set(slot, { key, name: isStored ? name : undefined }));
    return isStored ? bytes.byteLength : 0;
  }

  private async reach(storing: Promise<boolean>): Promise<boolean> {
    try {
      return await storing;
    } catch (error) {
      if (error instanceof EngineError && UNREACHED.has(error.code)) throw error;
      return false;
    }
  }

  private longBytesOf({ name, args }: ParsedCommand): Long[] {
    const { bytes: slots = {}, newMembers } = operationNamed(name);
    const own = args as unknown as Args & Readonly<Record<string, Uint8Array | undefined>>;
    const members = newMembers?.(args as never) ?? [];
    const total = members.reduce((sum, { inputPayload }) => sum + inputPayload.byteLength, 0);
    // Many short inputs are as long as a long one.
    const mostBytes = total > LIMITS.maxPartBytes ? STAGED_FROM_BYTES : MOST_BYTES;
    return [
      ...Object.entries(slots).flatMap(([field, slot]) => this.longOf(own, slot, own[field], MOST_BYTES)),
      ...members.flatMap((member) => this.longOf(member, 'input', member.inputPayload, mostBytes)),
    ];
  }

  private longOf(args: Args, slot: Slot, bytes: Uint8Array | undefined, mostBytes: number): Long[] {
    if (bytes === undefined || bytes.byteLength <= mostBytes) return [];
    const key = bytesKey(this.prefix, slot, args);
    if (key === undefined) return [];
    const name = newName();
    return [{ args, slot, name, key: stagedKey(key, name), bytes }];
  }
}

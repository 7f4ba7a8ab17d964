/**
 * Bytes in every form in which callers have them: arrays of their own, views into the middle of longer ones, buffers of
 * Node and of its pool. Callers may write to theirs once a call is answered, so what carried them is overwritten then.
 */

const CARRIERS: readonly ((bytes: Uint8Array) => Uint8Array)[] = [
  (bytes) => Uint8Array.from(bytes),
  (bytes) => within(bytes, new Uint8Array(bytes.byteLength + 9)),
  (bytes) => Buffer.from(bytes),
  (bytes) => within(bytes, Buffer.allocUnsafe(bytes.byteLength + 9)),
  (bytes) => within(bytes, new Uint8Array(new ArrayBuffer(bytes.byteLength + 16), 5, bytes.byteLength + 9)),
];

/** Bytes in the middle of others. */
function within(bytes: Uint8Array, room: Uint8Array): Uint8Array {
  room.fill(0xee);
  const view = room.subarray(4, 4 + bytes.byteLength);
  view.set(bytes);
  return view;
}

export interface Carried<Value> {
  readonly value: Value;
  /** Overwrites all bytes that were carried. */
  overwrite(): void;
}

/** A copy of arguments with their bytes in other carriers; `turn` chooses which. */
export function carried<Value>(value: Value, turn: number): Carried<Value> {
  const used: Uint8Array[] = [];
  const copy = (member: unknown): unknown => {
    if (member instanceof Uint8Array) {
      const carrier = CARRIERS[(turn + used.length) % CARRIERS.length] as (bytes: Uint8Array) => Uint8Array;
      used.push(carrier(member));
      return used.at(-1);
    }
    if (Array.isArray(member)) return member.map(copy);
    if (typeof member !== 'object' || member === null || Object.getPrototypeOf(member) !== Object.prototype)
      return member;
    return Object.fromEntries(Object.entries(member).map(([name, each]) => [name, copy(each)]));
  };
  return {
    value: copy(value) as Value,
    overwrite: () => {
      for (const bytes of used) bytes.fill(0x5a);
    },
  };
}

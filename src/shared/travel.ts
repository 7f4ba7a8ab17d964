/**
 * What becomes of a value on its way through the store, as types. Values travel as JSON, or as bytes when they are a
 * `Uint8Array`: a `Date` arrives as the text that its `toJSON` makes, members that are functions are left out, and an
 * item that is undefined arrives as null. Other values that JSON would change are refused (json.ts).
 */

/** Stands where a value cannot travel; the compiler shows the reason. */
export interface CannotTravel<Reason extends string> {
  readonly __cannotTravel: Reason;
}

type Simple = string | number | boolean | null | undefined | void;

/** JSON makes `{}` of these, or nothing, without a word. */
type Lost =
  | ReadonlyMap<unknown, unknown>
  | ReadonlySet<unknown>
  | WeakMap<WeakKey, unknown>
  | WeakSet<WeakKey>
  | RegExp
  | Error
  | Promise<unknown>
  | ArrayBuffer
  | ArrayBufferView
  | SharedArrayBuffer
  | Iterator<unknown, unknown, never>
  | AsyncIterator<unknown, unknown, never>
  // A boxed bigint or symbol; a WeakRef; an Intl object; a Blob, Request or Response; Headers; URLSearchParams or a
  // FormData; a ReadableStream; an AbortSignal or another EventTarget.
  | { valueOf(): bigint | symbol }
  | { deref(): unknown }
  | { resolvedOptions(): unknown }
  | { arrayBuffer(): Promise<unknown> }
  | { getSetCookie(): unknown }
  | { getAll(name: string): unknown }
  | { getReader(...args: never[]): unknown }
  | { addEventListener(...args: never[]): unknown };

type LostReason = 'a Map, Set, RegExp, Error, Promise or nested bytes do not survive JSON: make a plain value of it';
type BigintReason = 'a bigint or symbol cannot be written as JSON: convert it to a string or a number';
type FunctionReason = 'a function cannot be written as JSON';

type AnyFunction = (...args: never[]) => unknown;

/** The names of the members that JSON writes. */
type Written<T> = { [Key in keyof T]-?: T[Key] extends AnyFunction ? never : Key }[keyof T];

/** An item of a list: JSON writes null for one that is undefined. */
type JsonItem<T> = T extends undefined | void ? null : Jsonify<T>;

/** What a value is after it was written as JSON and read again. */
export type Jsonify<T> = 0 extends 1 & T
  ? T
  : unknown extends T
    ? T
    : T extends Simple
      ? T
      : T extends bigint | symbol
        ? CannotTravel<BigintReason>
        : T extends Lost
          ? CannotTravel<LostReason>
          : T extends AnyFunction
            ? CannotTravel<FunctionReason>
            : T extends { toJSON(...args: never[]): infer Text }
              ? Jsonify<Text>
              : T extends readonly unknown[]
                ? { [Key in keyof T]: JsonItem<T[Key]> }
                : {
                    [Key in keyof T as Extract<Key, Written<T> | ([T[Key]] extends [never] ? Key : never)>]: Jsonify<
                      T[Key]
                    >;
                  };

/** What arrives when this value is sent: bytes as they are, anything else by way of JSON. */
export type Travelled<T> = T extends Uint8Array ? Uint8Array : Jsonify<T>;

/** The value itself where all of it can be sent; `CannotTravel` stands in the place of what cannot. */
type Sendable<T> = 0 extends 1 & T
  ? T
  : unknown extends T
    ? T
    : T extends Simple
      ? T
      : T extends bigint | symbol
        ? CannotTravel<BigintReason>
        : T extends Lost
          ? CannotTravel<LostReason>
          : T extends AnyFunction
            ? CannotTravel<FunctionReason>
            : T extends { toJSON(...args: never[]): unknown }
              ? T
              : { [Key in keyof T]: T[Key] extends AnyFunction ? T[Key] : Sendable<T[Key]> };

/** `unknown`, which adds nothing to a type, where all of a value can be sent; else the reason why it cannot. */
export type IfSendable<T> = [T] extends [Uint8Array]
  ? unknown
  : [T] extends [Sendable<T> | Uint8Array]
    ? unknown
    : CannotTravel<'this value holds what does not survive JSON: a Map, Set, RegExp, Error, bigint or nested bytes'>;

/** The same for the input of a schema, which has to accept what arrives of it. */
export type IfAcceptable<Input, Parsed> = [Parsed, Travelled<Input>] extends [Travelled<Input>, Parsed]
  ? unknown
  : [Travelled<Input>] extends [Input]
    ? unknown
    : CannotTravel<'the schema does not accept what arrives: a Date arrives as text, so take the text (z.coerce.date(), z.iso.datetime())'>;

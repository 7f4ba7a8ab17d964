/**
 * The form in which arguments go to the library and outcomes and log entries come back. All of it follows from the
 * declarations: a field is one text, an absent field is an empty one, bytes stay bytes; what is absent at the end of a
 * command or of an outcome does not travel. Bytes are two texts: where they are, and themselves or, when they travel
 * beside the call, how many (lua/execution/bytes.lua).
 */
import { isAscii } from 'node:buffer';
import type { z } from 'zod';
import { EngineError, isRejectionCode } from '../../model/errors.js';
import { EVENTS, type Event, type EventType, type LoggedEvent } from '../../model/events.js';
import { BYTES_HERE } from '../../lua/layout.js';
import { fieldsOf, snakeCase, variantsOf, type Field } from '../../model/core/kinds.js';
import { policyRules, type ExecutionPolicy } from '../../model/execution/policy.js';
import { OPERATIONS, type OperationName, type OutcomeOf } from '../../model/machine.js';
import type { Decision } from '../../model/core/operation.js';

export type WireArgument = string | Buffer;
/** What the server answers: bytes, integers, and lists of them. */
export type WireReply = Buffer | number | null | WireReply[];

/** The place of bytes that travel beside the call, if they do. */
export type Stage = (field: string, bytes: Buffer) => string | undefined;

type Encoder = (argv: WireArgument[], value: unknown, stage: Stage) => void;
type Decoder = (value: WireReply) => unknown;

const byName = <Value>(make: (name: OperationName) => Value): Record<OperationName, Value> =>
  Object.fromEntries((Object.keys(OPERATIONS) as OperationName[]).map((name) => [name, make(name)])) as Record<
    OperationName,
    Value
  >;

/** Up to here, ASCII bytes travel as text: a command of texts alone is written in one piece, and a copy is cheap. */
const TEXT_MAX_BYTES = 16 * 1024;

const asText = (buffer: Buffer): WireArgument =>
  buffer.length <= TEXT_MAX_BYTES && isAscii(buffer) ? buffer.toString('latin1') : buffer;

/** Bytes as arguments; the client library would write an array that is no Buffer as text. */
function bytesEncoder({ name, optional }: Field): Encoder {
  return (argv, value, stage) => {
    const bytes = value as Uint8Array | undefined;
    if (bytes === undefined || (!optional && bytes.byteLength === 0)) {
      argv.push('', '');
      return;
    }
    const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const place = stage(name, buffer);
    if (place === undefined) argv.push(BYTES_HERE, asText(buffer));
    else argv.push(place, String(buffer.length));
  };
}

function encoderOf(field: Field): Encoder {
  switch (field.kind) {
    case 'text':
    case 'literal':
      return (argv, value) => argv.push((value as string | undefined) ?? '');
    case 'number':
      return (argv, value) => argv.push(value === undefined ? '' : String(value));
    case 'bytes':
      return bytesEncoder(field);
    case 'list':
      return (argv, value) => argv.push(((value as string[] | undefined) ?? []).join(','));
    case 'map':
      return (argv, value) => {
        const count = Object.keys(value as object).length;
        if (count === 0) argv.push('', '');
        else argv.push(String(count), JSON.stringify(value));
      };
    case 'policy':
      return (argv, value) => pushPolicy(argv, value as ExecutionPolicy | undefined);
    case 'object': {
      const encode = objectEncoder(field.fields);
      return (argv, value, stage) => encode(argv, (value as Record<string, unknown> | undefined) ?? {}, stage);
    }
    case 'rows': {
      const encode = objectEncoder(field.fields);
      return (argv, value, stage) => {
        for (const row of value as Record<string, unknown>[]) encode(argv, row, stage);
      };
    }
  }
}

function objectEncoder(
  fields: readonly Field[],
): (argv: WireArgument[], values: Record<string, unknown>, stage: Stage) => void {
  const names = fields.map(({ name }) => name);
  const encoders = fields.map(encoderOf);
  return (argv, values, stage) => {
    for (let i = 0; i < encoders.length; i++) (encoders[i] as Encoder)(argv, values[names[i] as string], stage);
  };
}

/** A policy is five texts: itself, its rules, and what creation takes from it. */
function pushPolicy(argv: WireArgument[], policy: ExecutionPolicy | undefined): void {
  if (policy === undefined) {
    argv.push('', '', '', '', '');
    return;
  }
  argv.push(
    JSON.stringify(policy),
    policyRules(policy),
    policy.routingRequirements?.requiredCapabilities.join(',') ?? '',
    policy.priority === undefined ? '' : String(policy.priority),
    policy.delayUntil === undefined ? '' : String(policy.delayUntil),
  );
}

const ARGUMENTS = byName((name) => objectEncoder(fieldsOf(OPERATIONS[name].args as unknown as z.ZodObject)));
const LUA_NAMES = byName(snakeCase);

/** Appends a command to the arguments of a call: its name, the count of its arguments, and these. */
export function pushCommand(
  argv: WireArgument[],
  name: OperationName,
  args: Record<string, unknown>,
  stage: Stage,
): void {
  const countAt = argv.push(LUA_NAMES[name], '') - 1;
  ARGUMENTS[name](argv, args, stage);
  while (argv.at(-1) === '') argv.pop();
  argv[countAt] = String(argv.length - 1 - countAt);
}

const textOf = (value: WireReply): string => (Buffer.isBuffer(value) ? value.toString('utf8') : String(value));
const isEmpty = (value: WireReply): boolean => value === null || (Buffer.isBuffer(value) && value.length === 0);

function decoderOf(field: Field): Decoder {
  switch (field.kind) {
    case 'text':
      return field.optional ? (value) => (isEmpty(value) ? undefined : textOf(value)) : textOf;
    case 'number':
      return field.optional
        ? (value) => (isEmpty(value) ? undefined : Number(textOf(value)))
        : (value) => (typeof value === 'number' ? value : Number(textOf(value)));
    case 'bytes':
      return (value) => value as Buffer;
    case 'list':
      return (value) => (value as WireReply[]).map(textOf);
    case 'map':
      return (value) => (isEmpty(value) ? {} : JSON.parse(textOf(value)));
    case 'rows': {
      const decode = objectDecoder(field.fields);
      return (value) => (value as WireReply[]).map((row) => decode(row as WireReply[], 0));
    }
    case 'literal':
    case 'object':
    case 'policy':
      throw new TypeError(`An outcome cannot hold a field of kind ${field.kind}.`);
  }
}

/** Decodes the parts of an object; a text that is always the same does not travel. */
function objectDecoder(
  fields: readonly Field[],
): (parts: readonly WireReply[], from: number, values?: Record<string, unknown>) => Record<string, unknown> {
  const constants = fields.flatMap((field) => (field.kind === 'literal' ? [[field.name, field.value] as const] : []));
  const travelling = fields.filter(({ kind }) => kind !== 'literal');
  const names = travelling.map(({ name }) => name);
  const decoders = travelling.map(decoderOf);
  return (parts, from, values = {}) => {
    for (let i = 0; i < decoders.length; i++)
      values[names[i] as string] = (decoders[i] as Decoder)(parts[from + i] ?? null);
    for (const [name, value] of constants) values[name] = value;
    return values;
  };
}

/** Decodes an outcome after its first two parts: that it is accepted, and its kind. */
function outcomeDecoder(
  kind: string,
  fields: readonly Field[],
): (parts: readonly WireReply[]) => Record<string, unknown> {
  const decode = objectDecoder(fields);
  return (parts) => decode(parts, 2, { kind });
}

const OUTCOMES = byName(
  (name) =>
    new Map([...variantsOf(OPERATIONS[name].outcome)].map(([kind, fields]) => [kind, outcomeDecoder(kind, fields)])),
);
const NO_EVENTS: readonly never[] = Object.freeze([]);

/** First parts of replies: bytes were not found beside the call, and nothing was done; the command met an error. */
const NOT_STAGED = 2;
const FAULT = 3;

/** Whether a command did not run, and none behind it, for want of its bytes. */
export function isNotStaged(reply: WireReply): boolean {
  return (reply as WireReply[])[0] === NOT_STAGED;
}

/**
 * The answer to one command. The events stay in the server's log.
 * @throws Error with the words of the server when the command met an error
 */
export function decodeReply<Name extends OperationName>(name: Name, reply: WireReply): Decision<OutcomeOf<Name>> {
  const parts = reply as WireReply[];
  if (parts[0] === FAULT) throw new Error(textOf(parts[1] ?? null));
  const word = textOf(parts[1] ?? null);
  if (parts[0] === 0) return decodeRefusal(name, word, parts);
  const decode = OUTCOMES[name].get(word);
  if (decode === undefined) throw new EngineError('unknown_code', `${name} answered "${word}".`);
  return { ok: true, outcome: decode(parts) as OutcomeOf<Name>, events: NO_EVENTS };
}

function decodeRefusal(name: string, code: string, parts: readonly WireReply[]): Decision<never> {
  if (!isRejectionCode(code)) throw new EngineError('unknown_code', `${name} was refused with "${code}".`);
  const detail: Record<string, string> = {};
  for (let i = 2; i + 1 < parts.length; i += 2)
    detail[textOf(parts[i] as WireReply)] = textOf(parts[i + 1] as WireReply);
  return { ok: false, code, detail };
}

type FactDecoder = (text: string | undefined) => unknown;

function factDecoderOf(field: Field): FactDecoder {
  switch (field.kind) {
    case 'number':
      return (text) => (text === undefined ? undefined : Number(text));
    case 'list':
      return (text) => (text === undefined || text === '' ? [] : text.split(','));
    case 'map':
      return (text) => (text === undefined ? {} : JSON.parse(text));
    case 'policy':
      return (text) => (text === undefined ? undefined : JSON.parse(text));
    case 'text':
    case 'literal':
      return (text) => text;
    default:
      throw new TypeError(`An event cannot carry a fact of kind ${field.kind}.`);
  }
}

const FACTS = new Map(
  Object.values(EVENTS).map(({ type, schema }) => [
    type as EventType,
    fieldsOf(schema as unknown as z.ZodObject).map((field) => ({
      name: field.name,
      wireName: snakeCase(field.name),
      decode: factDecoderOf(field),
    })),
  ]),
);

/** A log entry as an event. @throws EngineError `corruption` when it is none */
export function decodeEntry([id, pairs]: [WireReply, WireReply[]]): LoggedEvent {
  const texts = new Map<string, string>();
  for (let i = 0; i + 1 < pairs.length; i += 2)
    texts.set(textOf(pairs[i] as WireReply), textOf(pairs[i + 1] as WireReply));
  const type = texts.get('type') as EventType;
  const facts = FACTS.get(type);
  if (facts === undefined)
    throw new EngineError('corruption', `The log has an entry of type "${type}", which this version does not know.`);
  const event: Record<string, unknown> = { type };
  for (const { name, wireName, decode } of facts) event[name] = decode(texts.get(wireName));
  return { sequence: sequenceOf(textOf(id)), event: event as unknown as Event };
}

/** Entry ids are `0-<sequence>`. */
export function sequenceOf(entryId: string): number {
  return Number(entryId.slice(entryId.indexOf('-') + 1));
}

/** A flat list of names and values as a map of texts; empty values are left out. */
export function pairsOf(reply: WireReply): Map<string, string> {
  const parts = reply as WireReply[];
  const texts = new Map<string, string>();
  for (let i = 0; i + 1 < parts.length; i += 2)
    texts.set(textOf(parts[i] as WireReply), textOf(parts[i + 1] as WireReply));
  return texts;
}

export { textOf };

/**
 * The format of calls and answers, derived from the declarations of the operations.
 *
 * Adjacent commands of a call with equal shared arguments form a group: the signature of the operation; one text with
 * the number of commands and, line by line, the shared arguments (one text, because every text of a call has a price);
 * then the other arguments of each command. An argument is one text, empty if absent. Bytes are two texts: their place,
 * and the bytes themselves or, if they are sent outside of the call, their number (lua/execution/bytes.lua).
 *
 * An answer is a number, the kind of its outcome; or a text that begins with that number, followed by texts without
 * tabs, because a list costs the server ten times as much; or a list.
 */
import { isAscii } from 'node:buffer';
import type { z } from 'zod';
import { BYTES_HERE, HAS_BROKEN, NOT_STAGED } from '../../../lua/layout.js';
import { SHAPES, type WirePart } from '../../../lua/parameters.js';
import { outcomeNumber, SIGNATURES } from '../../../lua/signatures.js';
import { fieldsOf, variantSchemasOf, type Field } from '../../../model/core/kinds.js';
import type { ByteSlot } from '../../../model/core/entity.js';
import type { Rejected } from '../../../model/operation.js';
import { present } from '../../../model/core/present.js';
import { tableOf } from '../../../model/core/tables.js';
import { readerOf } from '../../../model/core/wire-form.js';
import { EngineError, isRejectionCode, type ErrorCode } from '../../../model/errors.js';
import { entityNameIn } from '../../../model/partition/quarantine.js';
import { OPERATION_NAMES, operationNamed, type OperationName, type OutcomeOf } from '../../../model/machine.js';
import { isShortId, uuidOf } from '../../../model/short-id.js';
import type { Done } from './answers.js';
import { breakIn, BrokeOff, errorOfWords } from '../connection/faults.js';
import { ReplyReader } from './reply-reader.js';
import { textOf, type AnswerPart, type WireReply } from './reply.js';

export type WireArgument = string | Buffer;

type Args = Readonly<Record<string, unknown>>;

/** How the bytes of a command leave outside of its call. */
export interface Stage {
  /** Stages bytes. @returns their place, or undefined if they stay in the call */
  readonly place: (slot: ByteSlot | 'step', bytes: Buffer) => string | undefined;
  /** The name under which the input of a new member was stored before the call, if it was. */
  readonly nameOf: (member: object) => string | undefined;
}

type Encoder = (argv: WireArgument[], args: Args, stage: Stage) => void;

/**
 * ASCII bytes up to this length are sent as text: the client writes a command of texts in one piece, and the copy is
 * cheap.
 */
const TEXT_MAX_BYTES = 16 * 1024;

const asText = (buffer: Buffer): WireArgument =>
  buffer.length <= TEXT_MAX_BYTES && isAscii(buffer) ? buffer.toString('latin1') : buffer;

/** The same bytes as a Buffer. */
export const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Encodes bytes; a Uint8Array becomes a Buffer, because the client library would write it as text. */
function bytesEncoder({ name, optional }: Field, slot: ByteSlot | 'step'): Encoder {
  return (argv, args, stage) => {
    const bytes = args[name] as Uint8Array | undefined;
    if (bytes === undefined || (!optional && bytes.byteLength === 0)) {
      argv.push('', '');
      return;
    }
    const buffer = bufferOf(bytes);
    const place = stage.place(slot, buffer);
    if (place === undefined) argv.push(BYTES_HERE, asText(buffer));
    else argv.push(place, String(buffer.length));
  };
}

/** Encodes bytes without a slot, which always stay in the call. */
function inlineEncoder({ name }: Field): Encoder {
  return (argv, args) => {
    const bytes = args[name] as Uint8Array | undefined;
    argv.push(bytes === undefined ? '' : asText(bufferOf(bytes)));
  };
}

/** Encodes a value as one text. */
function textEncoder(field: Field): (value: unknown) => string {
  switch (field.kind) {
    case 'text':
    case 'literal':
      return (value) => (value as string | undefined) ?? '';
    case 'number':
      return (value) => (value === undefined ? '' : String(value));
    case 'boolean':
      return (value) => (value === true ? '1' : '');
    case 'list':
      return (value) => ((value as string[] | undefined) ?? []).join(',');
    case 'map':
      return (value) => (Object.keys(value as object).length === 0 ? '' : JSON.stringify(value));
    case 'form':
      return (value) => (field.form.encode(value)[0] as string | undefined) ?? '';
    default:
      throw new TypeError(`An argument of kind ${field.kind} is not one text.`);
  }
}

function fieldEncoder(field: Field, slots: Readonly<Record<string, ByteSlot | 'step'>>): Encoder {
  const { name } = field;
  if (field.kind === 'bytes') {
    const slot = slots[name];
    return slot === undefined ? inlineEncoder(field) : bytesEncoder(field, slot);
  }
  if (field.kind === 'rows') {
    const encodeRow = joinedEncoder(field.fields);
    return (argv, args, stage) => {
      for (const row of args[name] as Args[]) encodeRow(argv, row, stage);
    };
  }
  const { texts = [] } = field.kind === 'form' ? field.form : {};
  if (field.kind === 'form' && (texts.length > 1 || texts[0] === '...')) {
    const { form } = field;
    return (argv, args, { nameOf }) => {
      for (const text of form.encode(args[name], nameOf))
        argv.push(typeof text === 'string' ? text : asText(bufferOf(text)));
    };
  }
  const encode = textEncoder(field);
  return (argv, args) => argv.push(encode(args[name]));
}

function joinedEncoder(fields: readonly Field[]): Encoder {
  const parts = fields.map((field) => ({ name: field.name, encode: textEncoder(field) }));
  return (argv, args) => {
    let joined = '';
    let isEmpty = true;
    for (let i = 0; i < parts.length; i++) {
      const { name, encode } = present(parts[i]);
      const text = encode(args[name]);
      if (text !== '') isEmpty = false;
      joined = i === 0 ? text : `${joined}\t${text}`;
    }
    argv.push(isEmpty ? '' : joined);
  };
}

function encoderOf(name: OperationName, parts: readonly WirePart[]): Encoder {
  const slots = operationNamed(name).bytes ?? {};
  const encoders = parts.map((part) =>
    part.kind === 'joined' ? joinedEncoder(part.fields) : fieldEncoder(part.field, slots),
  );
  return (argv, args, stage) => {
    for (const encode of encoders) encode(argv, args, stage);
  };
}

const NEVER_STAGED: Stage = { place: () => undefined, nameOf: () => undefined };

/** The shared arguments of a command, each after a line break; a test makes sure that none contains one. */
const SHARED = tableOf(OPERATION_NAMES, (name) => {
  const encode = encoderOf(name, SHAPES[name].shared);
  return (args: Args): string => {
    const texts: WireArgument[] = [];
    encode(texts, args, NEVER_STAGED);
    return texts.map((text) => `\n${text as string}`).join('');
  };
});
/** Whether the shared arguments of two commands of an operation have the same encoding. */
const SHARES_ALIKE = tableOf(OPERATION_NAMES, (name) => {
  const fields = SHAPES[name].shared.flatMap((part) => (part.kind === 'joined' ? part.fields : [part.field]));
  const names = fields.map((field) => field.name);
  return (a: Args, b: Args): boolean =>
    names.every((each) => a[each] === b[each] || (isEmpty(a[each]) && isEmpty(b[each])));
});

const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0;
const NO_ARGS: Args = {};

const EACH = tableOf(OPERATION_NAMES, (name) => encoderOf(name, SHAPES[name].each));

/** Writes the commands of one call. */
export class CallWriter {
  private name: OperationName | undefined;
  private args = NO_ARGS;
  private shared = '';
  private headingAt = 0;
  private count = 0;

  constructor(readonly argv: WireArgument[]) {}

  push(name: OperationName, args: Args, stage: Stage): void {
    const { argv } = this;
    const isAlike = name === this.name && SHARES_ALIKE[name](args, this.args);
    const shared = isAlike ? this.shared : SHARED[name](args);
    this.args = args;
    if (isAlike || (name === this.name && shared === this.shared)) {
      argv[this.headingAt] = `${++this.count}${shared}`;
    } else {
      this.name = name;
      this.shared = shared;
      this.count = 1;
      this.headingAt = argv.push(SIGNATURES[name], `1${shared}`) - 1;
    }
    if (SHAPES[name].eachCount !== undefined) {
      EACH[name](argv, args, stage);
      return;
    }
    const lengthAt = argv.push('') - 1;
    EACH[name](argv, args, stage);
    argv[lengthAt] = String(argv.length - 1 - lengthAt);
  }
}

type Decoder = (reply: ReplyReader, args: Args) => object;
type FieldReader = (reply: ReplyReader, args: Args) => unknown;

function fieldReader(field: Field): FieldReader {
  const { name, kind, optional } = field;
  if (field.echo) return (_, args) => args[name];
  switch (kind) {
    case 'literal':
      return () => field.value;
    case 'text':
      return optional ? (reply) => reply.optionalText() : (reply) => reply.text();
    case 'number':
      return optional ? (reply) => reply.optionalNumber() : (reply) => reply.number();
    case 'form': {
      const { decode } = field.form;
      if (decode === undefined) throw new TypeError(`${name}: an outcome cannot hold it.`);
      return (reply) => {
        const text = reply.text();
        return optional && text === '' ? undefined : decode(text, reply.partition);
      };
    }
    default:
      throw new TypeError(`${name}: an outcome cannot hold a field of kind ${kind}.`);
  }
}

function outcomeDecoder(kind: string, schema: z.ZodObject): Decoder {
  const reader = readerOf(schema);
  if (reader !== undefined) return (reply, args) => reader(reply, args as never);
  const fields = fieldsOf(schema).filter(({ name }) => name !== 'kind');
  const members = fields.map((field) => ({ name: field.name, read: fieldReader(field) }));
  return (reply, args) => {
    const outcome: Record<string, unknown> = { kind };
    for (const { name, read } of members) outcome[name] = read(reply, args);
    return outcome;
  };
}

/** Decoders of an operation's outcomes, by the number of their kind. */
const OUTCOMES = tableOf(OPERATION_NAMES, (name) => {
  const decoders = new Map<number, Decoder>();
  for (const [kind, schema] of variantSchemasOf(operationNamed(name).outcome)) {
    decoders.set(outcomeNumber(kind), outcomeDecoder(kind, schema));
  }
  return decoders;
});

const NO_PARTS: readonly AnswerPart[] = Object.freeze([]);

let lastText = '';
let lastParts: readonly AnswerPart[] = [''];

function partsOf(reply: WireReply): readonly AnswerPart[] {
  if (!Buffer.isBuffer(reply)) return typeof reply === 'number' ? NO_PARTS : (reply as WireReply[]);
  const text = textOf(reply);
  // Commands of one call mostly have the same answer.
  if (text !== lastText) {
    lastText = text;
    lastParts = text.split('\t');
  }
  return lastParts;
}

/** First parts of answers without an outcome: a refusal, and an error inside the command. */
const REFUSED = 0;
const FAULT = -1;
const SET_ASIDE = -2;

/** Whether a command, and all commands after it, did not run because its bytes were missing. */
export function isNotStaged(reply: WireReply): boolean {
  return reply === NOT_STAGED;
}

/** What a call tells behind its answers. */
export interface Aside {
  /** Names of records that it has set aside, and no answer names. */
  readonly setAside: readonly string[];
  /** Whether calls broke off in the partition; told by passes over due work. */
  readonly hasBroken: boolean;
}

const NOTHING_ASIDE: Aside = { setAside: [], hasBroken: false };

/** Takes what a call tells behind its answers off the end of its replies. */
export function takeAside(replies: WireReply[], partition: string): Aside {
  const last = replies.at(-1);
  if (!Array.isArray(last) || last[0] !== SET_ASIDE) return NOTHING_ASIDE;
  replies.pop();
  const names = last.slice(1).map((name) => textOf(name));
  const setAside = names.filter((name) => name !== HAS_BROKEN).map((name) => entityNameIn(partition, name));
  return { setAside, hasBroken: setAside.length < names.length };
}

/**
 * The answer to one command.
 * @throws EngineError for an error inside the command: `corruption` of a record, a refusal by the server, or
 *   `function_failed`
 */
export function decodeReply<Name extends OperationName>(
  name: Name,
  args: Args,
  reply: WireReply,
  partition: string,
): Done<OutcomeOf<Name>> | Rejected {
  const parts = partsOf(reply);
  const number = typeof reply === 'number' ? reply : Number(parts[0]);
  if (number === FAULT) throw faultInside(name, textOf(parts[1] ?? null));
  if (number === REFUSED) return decodeRefusal(name, parts);
  const decode = OUTCOMES[name].get(number);
  if (decode === undefined) throw new EngineError('unknown_code', `${name} answered kind ${number}.`);
  const outcome = decode(new ReplyReader(parts, 1, partition), args) as OutcomeOf<Name>;
  return { ok: true, outcome };
}

/** The library's error for an unreadable record (lua/core/call.lua). */
const DAMAGED = /DAMAGED (.*)$/;

function faultInside(name: string, message: string): EngineError {
  const { said, isMarked } = breakIn(message);
  const known = knownFault(said);
  if (known === undefined) return errorOfWords(message, name);
  const [code, what] = known;
  const words = `${name}: ${what}.`;
  return isMarked === undefined ? new EngineError(code, words) : new BrokeOff(code, words, isMarked);
}

function knownFault(said: string): readonly [code: ErrorCode, what: string] | undefined {
  // Reads of records cannot fail like this, so the key is an index.
  if (said.startsWith('WRONGTYPE')) return ['corruption', 'an index of the partition is not what it should be'];
  if (said.startsWith('MISMATCH')) return ['library_mismatch', 'the library on the server has it in another form'];
  const damage = DAMAGED.exec(said)?.[1];
  return damage === undefined ? undefined : ['corruption', damage];
}

/** Details of refusals that are ids. Names, such as that of a lane, can look like a short id. */
const ID_DETAILS: ReadonlySet<string> = new Set(['executionId', 'flowId', 'waitpointId', 'attemptId']);

/** Converts a short id to the form of the API. An id can be absent. */
function wholeIdOf(value: string): string {
  const at = value.lastIndexOf(':') + 1;
  const id = value.slice(at);
  return isShortId(id) ? value.slice(0, at) + uuidOf(id) : value;
}

function decodeRefusal(name: string, parts: readonly AnswerPart[]): Rejected {
  const code = textOf(parts[1] ?? null);
  if (!isRejectionCode(code)) throw new EngineError('unknown_code', `${name} was refused with "${code}".`);
  const detail: Record<string, string> = {};
  for (let i = 2; i + 1 < parts.length; i += 2) {
    const value = textOf(present(parts[i + 1]));
    const name = textOf(present(parts[i]));
    detail[name] = ID_DETAILS.has(name) ? wholeIdOf(value) : value;
  }
  return { ok: false, code, detail };
}

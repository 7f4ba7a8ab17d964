/**
 * Records are the lines of a frame. Each is a list of texts; the first one gives its type.
 *
 *     @7                              the next records are of partition 7 of executions; `@b:7` is one of budgets
 *     c|<subject>|<time>|<facts>...   an event, by its letter
 *     #0|<id>|<facts>...              in a snapshot: an entity, by the number of its kind
 *     =input|<subject>|<length>       bytes, which follow the text of the frame in this order
 *     $<JSON>                         settings, from here on
 *     !<generation>|<sequence>|<time>|<room> in a snapshot: the header of a partition, and the room of its log
 *     ^<sequence>                     in a snapshot: the next events are log entries, the first with this sequence
 *     .                               in a snapshot: the end of the partition
 *
 * A frame begins in partition `@0`. Texts are separated by U+001F, records by a line feed, and the facts of a text by a
 * tab. The text of a single fact can contain any character, so these separators are escaped there.
 */
import { present } from '../../model/core/present.js';
import { EngineError } from '../../model/errors.js';
import { EVENTS, type Event } from '../../model/events.js';
import { isPartitionOfAnyFamily } from '../../model/families.js';
import { executionIdIn, isExecutionIdForm, isPartitionKey, memberOf } from '../../model/ids.js';
import { isShortId } from '../../model/short-id.js';
import { OWN_CODECS, type FactCodec, type RecordCodec, type TextCodec } from './schema.js';

export const UNIT = '\x1f';
const TO_ESCAPE = /[\\\n\x1f]/;
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\x1f': '\\u' };
const ESCAPED: Readonly<Record<string, string>> = { '\\\\': '\\', '\\n': '\n', '\\u': '\x1f' };

/** Escapes the separators in a text. */
const escaped = (text: string): string =>
  TO_ESCAPE.test(text) ? text.replace(/[\\\n\x1f]/g, (character) => present(ESCAPES[character])) : text;

const plain = (text: string): string =>
  text.includes('\\') ? text.replace(/\\[\\nu]/g, (pair) => present(ESCAPED[pair])) : text;

/** The name of a partition in files: the index for executions, otherwise the text in its braces. */
export function placeOf(partition: string): string {
  return isPartitionKey(partition) ? partition.slice('{fp:'.length, -1) : partition.slice(1, -1);
}

/** The initial place of every frame. */
export const FIRST_PLACE = '0';

/** The partition of a place. @throws EngineError `corruption` */
export function partitionAt(place: string): string {
  const partition = place.includes(':') ? `{${place}}` : `{fp:${place}}`;
  if (!isPartitionOfAnyFamily(partition)) throw unreadable('a valid partition');
  return partition;
}

type Facts = Readonly<Record<string, unknown>>;

function writeText({ facts: codecs }: TextCodec, facts: Facts): string {
  const [first] = codecs as [FactCodec];
  if (codecs.length === 1) return escaped(first.encode(facts[first.name]));
  let text = '';
  let gap = '';
  for (const { name, encode } of codecs) {
    const value = encode(facts[name]);
    // Empty values at the end are omitted.
    if (value !== '') {
      text += gap + value;
      gap = '';
    }
    gap += '\t';
  }
  return text;
}

function writeTexts(start: string, texts: readonly TextCodec[], facts: Facts): string {
  let line = start;
  let gap = '';
  for (const codec of texts) {
    gap += UNIT;
    const text = writeText(codec, facts);
    if (text === '') continue;
    line += gap + text;
    gap = '';
  }
  return line;
}

/** Sets the stored facts of a record, whose texts begin at index `from`. */
function readTexts(
  texts: readonly TextCodec[],
  parts: readonly string[],
  from: number,
  into: Record<string, unknown>,
): void {
  for (let i = 0; i < texts.length; i++) {
    const { facts, required } = present(texts[i]);
    const text = parts[from + i] ?? '';
    if (text === '' && !required) continue;
    if (facts.length === 1) set(into, present(facts[0]), plain(text));
    else readText(facts, text, into);
  }
}

function readText(facts: readonly FactCodec[], text: string, into: Record<string, unknown>): void {
  let start = 0;
  for (let i = 0; i < facts.length; i++) {
    let end = text.indexOf('\t', start);
    if (end < 0) end = text.length;
    set(into, present(facts[i]), text.slice(start, end));
    start = end + 1;
  }
}

/** An empty optional fact keeps its fallback. */
function set(into: Record<string, unknown>, { name, required, decode }: FactCodec, text: string): void {
  if (text !== '' || required) into[name] = decode(text);
}

const idText = (isExecution: boolean, id: string): string => (isExecution ? memberOf(id) : escaped(id));

function idOf(isExecution: boolean, text: string, partition: string): string {
  if (!isExecution) return plain(text);
  if (!isShortId(text)) throw unreadable('the id of an execution');
  return executionIdIn(partition, text);
}

interface Written {
  readonly letter: string;
  readonly codec: RecordCodec;
}

const WRITTEN: ReadonlyMap<string, Written> = new Map(
  Object.values(EVENTS).map(({ type, letter }) => [type, { letter, codec: present(OWN_CODECS.events.get(letter)) }]),
);

/** Encodes an event. */
export function writeEvent(event: Event): string {
  const { letter, codec } = present(WRITTEN.get(event.type));
  const subject = idText(codec.isExecution, present((event as unknown as Record<string, string>)[codec.key]));
  return writeTexts(`${letter}${UNIT}${subject}${UNIT}${event.at}`, codec.texts, event as unknown as Facts);
}

/** Decodes an event. @throws EngineError `corruption` */
export function readEvent(codec: RecordCodec, parts: readonly string[], partition: string): Event {
  const event: Record<string, unknown> = { ...codec.blank };
  event['at'] = integerOf(parts[2]);
  event[codec.key] = idOf(codec.isExecution, parts[1] ?? '', partition);
  readTexts(codec.texts, parts, 3, event);
  return event as unknown as Event;
}

/** Encodes an entity, by the number of its kind. */
export function writeEntity(kindIndex: number, id: string, entity: object): string {
  const codec = present(OWN_CODECS.entities[kindIndex]);
  return writeTexts(`#${kindIndex}${UNIT}${idText(codec.isExecution, id)}`, codec.texts, entity as Facts);
}

/** Decodes an entity and its id. @throws EngineError `corruption` */
export function readEntity(codec: RecordCodec, parts: readonly string[], partition: string): [string, object] {
  const id = idOf(codec.isExecution, parts[1] ?? '', partition);
  const entity: Record<string, unknown> = { ...codec.blank };
  entity[codec.key] = id;
  readTexts(codec.texts, parts, 2, entity);
  return [id, entity];
}

/** Prefix of a subject that is not an execution. */
const OTHER = '~';

/** Encodes the record of bytes; the bytes themselves follow the text of the frame. */
export function writeBytes(slot: string, subject: string, length: number): string {
  const id = isExecutionIdForm(subject) ? memberOf(subject) : OTHER + escaped(subject);
  return `=${slot}${UNIT}${id}${UNIT}${length}`;
}

export interface BytesRecord {
  readonly slot: string;
  readonly subject: string;
  readonly length: number;
}

/** @throws EngineError `corruption` */
export function readBytes(parts: readonly string[], partition: string): BytesRecord {
  const id = parts[1] ?? '';
  const subject = id.startsWith(OTHER) ? plain(id.slice(1)) : idOf(true, id, partition);
  return { slot: present(parts[0]).slice(1), subject, length: integerOf(parts[2]) };
}

/** Decodes a whole number. @throws EngineError `corruption` */
export function integerOf(text: string | undefined): number {
  const value = Number(text);
  if (text === undefined || text === '' || !Number.isSafeInteger(value)) throw unreadable('a number');
  return value;
}

function unreadable(what: string): EngineError {
  return new EngineError('corruption', `A record of the store lacks ${what}.`);
}

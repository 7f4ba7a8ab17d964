/**
 * Records: the lines of a frame. Each is a list of texts; the first one says what it is.
 *
 *     @7                              what follows is of partition 7 of executions, `@b:7` of budgets; a frame begins with `@0`
 *     c|<subject>|<time>|<facts>...   an event, by its letter
 *     #0|<id>|<facts>...              an entity as a snapshot has it, by the number of its kind
 *     =input|<subject>|<length>       bytes, which follow the text of the frame in this order
 *     $<JSON>                         settings, from here on
 *     !<generation>|<sequence>|<time>|<room> in a snapshot: the header of a partition, and how long its log can be
 *     ^<sequence>                     in a snapshot: the events that follow are entries of the log, from this one on
 *     .                               in a snapshot: that was all of the partition
 *
 * Between two texts stands U+001F, between two records a line feed, between the facts of a text a tab. Facts that stand
 * alone can hold any character: these are escaped.
 */
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

/** A text without the characters that stand between texts. */
const escaped = (text: string): string =>
  TO_ESCAPE.test(text) ? text.replace(/[\\\n\x1f]/g, (character) => ESCAPES[character] as string) : text;

const plain = (text: string): string =>
  text.includes('\\') ? text.replace(/\\[\\nu]/g, (pair) => ESCAPED[pair] as string) : text;

/** A partition as files name it: the index of one of executions, what stands in the braces of another. */
export function placeOf(partition: string): string {
  return isPartitionKey(partition) ? partition.slice('{fp:'.length, -1) : partition.slice(1, -1);
}

/** The place that every frame begins in. */
export const FIRST_PLACE = '0';

/** The partition of a place. @throws EngineError `corruption` */
export function partitionAt(place: string): string {
  const partition = place.includes(':') ? `{${place}}` : `{fp:${place}}`;
  if (!isPartitionOfAnyFamily(partition)) throw unreadable('the partition that it names');
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
    // Empty values at the end are left out.
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

/** Sets the facts of a record that are stored; its texts begin at a place of the list. */
function readTexts(
  texts: readonly TextCodec[],
  parts: readonly string[],
  from: number,
  into: Record<string, unknown>,
): void {
  for (let i = 0; i < texts.length; i++) {
    const { facts, required } = texts[i] as TextCodec;
    const text = parts[from + i] ?? '';
    if (text === '' && !required) continue;
    if (facts.length === 1) set(into, facts[0] as FactCodec, plain(text));
    else readText(facts, text, into);
  }
}

function readText(facts: readonly FactCodec[], text: string, into: Record<string, unknown>): void {
  let start = 0;
  for (let i = 0; i < facts.length; i++) {
    let end = text.indexOf('\t', start);
    if (end < 0) end = text.length;
    set(into, facts[i] as FactCodec, text.slice(start, end));
    start = end + 1;
  }
}

/** What is empty stands as it is, unless it must be there. */
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
  Object.values(EVENTS).map(({ type, letter }) => [
    type,
    { letter, codec: OWN_CODECS.events.get(letter) as RecordCodec },
  ]),
);

/** An event as a record. */
export function writeEvent(event: Event): string {
  const { letter, codec } = WRITTEN.get(event.type) as Written;
  const subject = idText(codec.isExecution, (event as unknown as Record<string, string>)[codec.key] as string);
  return writeTexts(`${letter}${UNIT}${subject}${UNIT}${event.at}`, codec.texts, event as unknown as Facts);
}

/** The event of a record. @throws EngineError `corruption` */
export function readEvent(codec: RecordCodec, parts: readonly string[], partition: string): Event {
  const event: Record<string, unknown> = { ...codec.blank };
  event['at'] = integerOf(parts[2]);
  event[codec.key] = idOf(codec.isExecution, parts[1] ?? '', partition);
  readTexts(codec.texts, parts, 3, event);
  return event as unknown as Event;
}

/** An entity as a record, by the number of its kind. */
export function writeEntity(kindIndex: number, id: string, entity: object): string {
  const codec = OWN_CODECS.entities[kindIndex] as RecordCodec;
  return writeTexts(`#${kindIndex}${UNIT}${idText(codec.isExecution, id)}`, codec.texts, entity as Facts);
}

/** The entity of a record, and its id. @throws EngineError `corruption` */
export function readEntity(codec: RecordCodec, parts: readonly string[], partition: string): [string, object] {
  const id = idOf(codec.isExecution, parts[1] ?? '', partition);
  const entity: Record<string, unknown> = { ...codec.blank };
  entity[codec.key] = id;
  readTexts(codec.texts, parts, 2, entity);
  return [id, entity];
}

/** Before the id of a subject of bytes that is no execution. */
const OTHER = '~';

/** The record of bytes, which themselves stand behind the text of the frame. */
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
  return { slot: (parts[0] as string).slice(1), subject, length: integerOf(parts[2]) };
}

/** A whole number of a record. @throws EngineError `corruption` */
export function integerOf(text: string | undefined): number {
  const value = Number(text);
  if (text === undefined || text === '' || !Number.isSafeInteger(value)) throw unreadable('a number');
  return value;
}

function unreadable(what: string): EngineError {
  return new EngineError('corruption', `A record of the store lacks ${what}.`);
}

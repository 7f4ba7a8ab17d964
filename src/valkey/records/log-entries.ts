/** Log entries as events. An entry is the letter of its event, its subject, and its facts as texts (lua/core/log.lua). */
import { factCodec } from '../../../model/core/codec.js';
import { textsOf, type EventDeclaration } from '../../../model/core/event.js';
import type { ValueCodec } from '../../../model/core/facts.js';
import { present } from '../../../model/core/present.js';
import { EngineError } from '../../../model/errors.js';
import { EVENTS, type Event, type LogEntry, type UnknownEvent } from '../../../model/events.js';
import { executionIdIn } from '../../../model/ids.js';
import { uuidOf } from '../../../model/short-id.js';
import { listOf, repliesOf, textOf, type WireReply } from '../wire/reply.js';

interface EventCodec {
  readonly type: string;
  readonly key: string;
  readonly isExecution: boolean;
  readonly isShort: boolean;
  readonly texts: readonly { readonly names: readonly string[]; readonly codecs: readonly ValueCodec[] }[];
}

const CODECS: ReadonlyMap<string, EventCodec> = new Map(
  (Object.values(EVENTS) as EventDeclaration[]).map(({ type, letter, subject, facts }) => [
    letter,
    {
      type,
      key: subject.key,
      isExecution: subject.kind === 'execution',
      isShort: subject.shortId === true,
      texts: textsOf(facts).map((text) => ({
        names: Object.keys(text.facts),
        codecs: Object.entries(text.facts).map(([name, fact]) => factCodec(name, fact)),
      })),
    },
  ]),
);

/** The form of every letter; another text was not written by any build. */
const LETTER = /^[A-Za-z]{1,2}$/;

/** An entry of a newer build. @throws EngineError `corruption` when it has not the form of an entry */
function unknownEvent(letter: string, pairs: readonly WireReply[], at: number): UnknownEvent {
  const [, subject, ...texts] = pairs.map((text) => textOf(text ?? null));
  if (!LETTER.test(letter) || subject === undefined || subject === '' || pairs.length % 2 !== 0)
    throw new EngineError(
      'corruption',
      `The log has an entry "${letter.slice(0, 4)}", which is no event of any version.`,
    );
  return { type: 'unknown', at, letter, subject, texts };
}

/** Decodes a log entry. @throws EngineError `corruption` for an invalid one */
export function decodeEntry(entry: WireReply, partition: string): LogEntry {
  const [id, parts] = repliesOf(entry, 2);
  const pairs = listOf(parts);
  const [sequence, at] = textOf(id).split('-');
  const letter = textOf(pairs[0] ?? null);
  const codec = CODECS.get(letter);
  if (codec === undefined) return { sequence: Number(sequence), event: unknownEvent(letter, pairs, Number(at)) };
  const subject = textOf(pairs[1] ?? null);
  const event: Record<string, unknown> = {
    type: codec.type,
    [codec.key]: codec.isExecution ? executionIdIn(partition, subject) : codec.isShort ? uuidOf(subject) : subject,
    at: Number(at),
  };
  codec.texts.forEach(({ names, codecs }, index) => {
    const part = pairs[index + 2];
    const text = part === undefined ? '' : textOf(part);
    // The text of a single fact can contain tabs.
    const values = names.length === 1 ? [text] : text.split('\t');
    for (let i = 0; i < names.length; i++) {
      event[present(names[i])] = present(codecs[i]).decode(values[i] ?? '');
    }
  });
  return { sequence: Number(sequence), event: event as unknown as Event };
}

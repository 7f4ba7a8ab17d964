/** The facts that a flow stores in its tags, for later callers and for other processes. */
import { createHash, randomUUID } from 'node:crypto';
import { utf8Bytes } from '../../../model/ids.js';
import { LIMITS } from '../../../model/limits.js';
import { decode, encode, JSON_ENCODING, VALUES_HINT } from '../../shared/codec.js';
import { InvalidDefinitionError } from '../../shared/errors.js';
import {
  fill,
  labelsOf,
  TEMPLATE_LEVELS,
  templateOf,
  type Hole,
  type Path,
  type Template,
} from '../../shared/template.js';
import { OWN_ID_TAG, RESERVED_TAGS } from '../runs/tags.js';

const OUTPUT = `${RESERVED_TAGS}output`;
const INPUT = `${RESERVED_TAGS}input`;

export interface StoredOfFlow {
  readonly output: Template | undefined;
  /** A digest of the input; inputs with the same digest count as equal. */
  readonly input: string;
  readonly ownId: string | undefined;
}

/** @throws InvalidDefinitionError if the output cannot be written as JSON, or is too large for a tag */
export function tagsOf(where: string, { output, input, ownId }: StoredOfFlow): Record<string, string> {
  const tags: Record<string, string> = { [INPUT]: input };
  if (ownId !== undefined) tags[OWN_ID_TAG] = ownId;
  if (output === undefined) return tags;
  const refusal = (problem: string): InvalidDefinitionError =>
    new InvalidDefinitionError(`${where}: the value that its builder returns: ${problem}`, VALUES_HINT);
  const written = decode(encode(output, refusal, TEMPLATE_LEVELS)) as Partial<Template>;
  if (written.value === undefined) throw refusal(`a ${typeof output.value} cannot be written as JSON.`);
  const text = textOf(templateOf(written));
  if (utf8Bytes(text) > LIMITS.maxTagValueBytes)
    throw new InvalidDefinitionError(
      `${where}: the value that its builder returns takes more than ${LIMITS.maxTagValueBytes} bytes`,
      'Join the results in a last task, and return its node.',
    );
  return { ...tags, [OUTPUT]: text };
}

/** Stands for a node while a value is written or read: no value of a user contains it. */
const MARK = `${randomUUID()} `;
const MARKS = new RegExp(`"${MARK}\\d+"(?:,"${MARK}\\d+")*`, 'g');

/**
 * The output as JSON, with the numbers of nodes in their places: `{"first":@0,"others":[@1-24,@30]}`. Nodes of a list
 * that were declared one after the other take no more than two, so that a flow can return as many as its input has.
 */
function textOf({ value, holes }: Template): string {
  const marks = new Map(labelsOf({ holes }).map((label) => [label, MARK + label]));
  return JSON.stringify(fill({ value, holes }, marks)).replace(MARKS, (list) => {
    const runs: { readonly first: number; last: number }[] = [];
    for (const mark of list.split(',')) {
      const node = Number(mark.slice(MARK.length + 1, -1));
      const run = runs.at(-1);
      if (run !== undefined && node === run.last + 1) run.last = node;
      else runs.push({ first: node, last: node });
    }
    return runs.map(({ first, last }) => (first === last ? `@${first}` : `@${first}-${last}`)).join(',');
  });
}

/** Texts in the JSON, or nodes. */
const TOKENS = /"(?:[^"\\]|\\.)*"|@(\d{1,5})(?:-(\d{1,5}))?/g;

/** @throws EngineError `corruption` */
function templateIn(text: string): Template {
  const json = text.replace(TOKENS, (token, first?: string, last = first) => {
    if (first === undefined) return token;
    const count = Number(last) - Number(first) + 1;
    return Array.from({ length: Math.max(0, count) }, (_, index) => `"${MARK}${Number(first) + index}"`).join();
  });
  const holes: Hole[] = [];
  const collect = (part: unknown, at: Path): void => {
    if (typeof part === 'string' && part.startsWith(MARK))
      holes.push({ at, take: 'one', of: [part.slice(MARK.length)] });
    else if (typeof part === 'object' && part !== null)
      for (const [name, member] of Object.entries(part)) collect(member, [...at, name]);
  };
  const value = decode({ bytes: Buffer.from(json), encoding: JSON_ENCODING });
  collect(value, []);
  return { value, holes };
}

/** Whether an app started the flow with these tags; the children of a handler are a flow too. */
export const isOfApp = (tags: Readonly<Record<string, string>>): boolean => Object.hasOwn(tags, INPUT);

/** @throws EngineError `corruption` if the stored output cannot be read */
export function storedIn(tags: Readonly<Record<string, string>>): StoredOfFlow {
  const text = tags[OUTPUT];
  return {
    output: text === undefined ? undefined : templateIn(text),
    input: tags[INPUT] ?? '',
    ownId: tags[OWN_ID_TAG],
  };
}

/** A digest of an input: the order of members does not matter. */
export function inputDigest(json: string): string {
  const canonical = JSON.stringify(JSON.parse(json), inKeyOrder);
  return createHash('sha256').update(canonical).digest('base64url').slice(0, 22);
}

function inKeyOrder(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * What a client and a library must agree on, operation by operation (ruling 31). A signature is what begins a group of
 * commands: the operation's name, a hash of the arguments that must be given and of what it answers, and how many texts are
 * shared and each command's own. A further optional argument at the end makes only the counts larger: a library takes calls
 * of clients that do not know it yet. A further operation changes nothing.
 */
import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { snakeCase, variantsOf, type Field } from '../model/core/kinds.js';
import { crc16 } from '../model/ids.js';
import { OPERATIONS, operationNamed, type OperationName } from '../model/machine.js';
import { SHAPES, type WirePart } from './parameters.js';

const NAMES = Object.keys(OPERATIONS) as OperationName[];

const HASH_LENGTH = 6;
/** Stands for the count of texts where that differs from command to command. */
const ANY_COUNT = '*';

/** What stands up to the last that must be there. */
function upToRequired<Item>(items: readonly Item[], isOptional: (item: Item) => boolean): readonly Item[] {
  let end = items.length;
  while (end > 0 && isOptional(items[end - 1] as Item)) end--;
  return items.slice(0, end);
}

const isOptional = ({ optional }: Field): boolean => optional;

const describeFields = (fields: readonly Field[]): string => upToRequired(fields, isOptional).map(describe).join(',');

function describe(field: Field): string {
  const inner = 'fields' in field ? `{${describeFields(field.fields)}}` : '';
  const texts = field.kind === 'form' ? `(${(field.form.texts ?? []).join(',')})` : '';
  return `${field.name}:${field.kind}${texts}${inner}${field.optional ? '?' : ''}`;
}

const isOptionalPart = (part: WirePart): boolean =>
  part.kind === 'joined' ? part.fields.every(isOptional) : part.field.optional;

const describeParts = (parts: readonly WirePart[]): string =>
  upToRequired(parts, isOptionalPart)
    .map((part) => (part.kind === 'joined' ? `${part.name}[${describeFields(part.fields)}]` : describe(part.field)))
    .join(' ');

/** The number under which the kind of an outcome travels: of the word alone, so that further kinds change none. */
export const outcomeNumber = (kind: string): number => 1 + crc16(new TextEncoder().encode(kind));

/** What is hashed, in words. */
export function describeOperation(name: OperationName): string {
  const { shared, each } = SHAPES[name];
  const outcomes = [...variantsOf(operationNamed(name).outcome as z.ZodType)]
    .map(([kind, fields]) => `${kind}{${describeFields(fields.filter(({ echo }) => !echo))}}`)
    .sort();
  return `${describeParts(shared)}|${describeParts(each)}|${outcomes.join(' ')}`;
}

/** The text that begins a group of commands. */
function signatureText(name: OperationName, described: string): string {
  const { sharedCount, eachCount } = SHAPES[name];
  const hash = createHash('sha256').update(described).digest('hex').slice(0, HASH_LENGTH);
  return [snakeCase(name), hash, sharedCount, eachCount ?? ANY_COUNT].join(':');
}

export const SIGNATURES: Readonly<Record<OperationName, string>> = Object.fromEntries(
  NAMES.map((name) => [name, signatureText(name, describeOperation(name))]),
) as Record<OperationName, string>;

/** The texts that a command of a client may have at most, of those that a library takes. */
const takes = (theirs: string, own: string): boolean =>
  theirs === own || (theirs !== ANY_COUNT && own !== ANY_COUNT && Number(theirs) >= Number(own));

/**
 * Operations of this client that a library with these signatures does not have, or has in another form.
 * Those that the library has besides do not matter.
 */
export function unlike(found: readonly string[], own: readonly string[] = Object.values(SIGNATURES)): string[] {
  const theirs = new Map(found.map((signature) => [signature.split(':')[0], signature.split(':')]));
  return own
    .map((signature) => signature.split(':') as [string, string, string, string])
    .filter(([name, hash, shared, each]) => {
      const [, itsHash, itsShared = '', itsEach = ''] = theirs.get(name) ?? [];
      return itsHash !== hash || !takes(itsShared, shared) || !takes(itsEach, each);
    })
    .map(([name]) => name);
}

/**
 * What a client and a library must agree on, operation by operation (ruling 31). Every group of commands starts with a
 * signature: the name of the operation, a hash of its required arguments and of its answers, and the numbers of texts
 * that are shared and that each command has. A new optional argument at the end only increases the numbers, so a
 * library accepts calls of clients that do not know it yet. A new operation changes no signature.
 */
import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { snakeCase, variantsOf, type Field } from '../model/core/kinds.js';
import { present } from '../model/core/present.js';
import { tableOf } from '../model/core/tables.js';
import { crc16 } from '../model/ids.js';
import { OPERATION_NAMES, operationNamed, type OperationName } from '../model/machine.js';
import { SHAPES, type WirePart } from './parameters.js';

const HASH_LENGTH = 6;
/** Replaces the number of texts where it varies from command to command. */
const ANY_COUNT = '*';

/** The items up to the last required one. */
function upToRequired<Item>(items: readonly Item[], isOptional: (item: Item) => boolean): readonly Item[] {
  let end = items.length;
  while (end > 0 && isOptional(present(items[end - 1]))) end--;
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

/** The number that is sent for a kind of outcome: made from the word alone, so new kinds do not change it. */
export const outcomeNumber = (kind: string): number => 1 + crc16(new TextEncoder().encode(kind));

/** The text that is hashed. */
export function describeOperation(name: OperationName): string {
  const { shared, each } = SHAPES[name];
  const outcomes = [...variantsOf(operationNamed(name).outcome as z.ZodType)]
    .map(([kind, fields]) => `${kind}{${describeFields(fields.filter(({ echo }) => !echo))}}`)
    .sort();
  return `${describeParts(shared)}|${describeParts(each)}|${outcomes.join(' ')}`;
}

/** The text at the start of a group of commands. */
function signatureText(name: OperationName, described: string): string {
  const { sharedCount, eachCount } = SHAPES[name];
  const hash = createHash('sha256').update(described).digest('hex').slice(0, HASH_LENGTH);
  return [snakeCase(name), hash, sharedCount, eachCount ?? ANY_COUNT].join(':');
}

export const SIGNATURES: Readonly<Record<OperationName, string>> = tableOf(OPERATION_NAMES, (name) =>
  signatureText(name, describeOperation(name)),
);

/** Whether a library accepts as many texts as a client sends. */
const takes = (theirs: string, own: string): boolean =>
  theirs === own || (theirs !== ANY_COUNT && own !== ANY_COUNT && Number(theirs) >= Number(own));

/**
 * Operations of this client that a library with these signatures lacks, or has in another form.
 * Further operations of the library do not matter.
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

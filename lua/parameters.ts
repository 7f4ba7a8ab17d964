/**
 * The parameters of an operation's Lua, from its declaration: first those that a group of commands shares, then those
 * of each command. The client writes calls and the library reads them accordingly; a test compares the Lua with it.
 */
import type { z } from 'zod';
import { fieldsOf, snakeCase, type Field } from '../model/core/kinds.js';
import type { WireText } from '../model/operation.js';
import { tableOf } from '../model/core/tables.js';
import { OPERATION_NAMES, operationNamed, type OperationName } from '../model/machine.js';

/** One or more texts of a call: an argument, or several arguments joined by tabs. */
export type WirePart =
  | { readonly kind: 'argument'; readonly field: Field }
  | { readonly kind: 'joined'; readonly name: string; readonly fields: readonly Field[] };

export interface Shape {
  readonly shared: readonly WirePart[];
  readonly each: readonly WirePart[];
  /** Number of shared texts. */
  readonly sharedCount: number;
  /** Number of texts of each command; undefined when it varies, and is sent before them. */
  readonly eachCount: number | undefined;
}

/** Names of the texts of an argument. Bytes of a slot are two texts: where they are, and the text. */
function textNamesOf(field: Field, slots: Readonly<Record<string, unknown>>): readonly string[] {
  const name = snakeCase(field.name);
  switch (field.kind) {
    case 'form':
      return field.form.texts ?? [name];
    case 'bytes':
      return Object.hasOwn(slots, field.name) ? [`${name}_at`, name] : [name];
    case 'rows':
      return ['...'];
    default:
      return [name];
  }
}

const namesOf = (parts: readonly WirePart[], slots: Readonly<Record<string, unknown>>): string[] =>
  parts.flatMap((part) => (part.kind === 'joined' ? [part.name] : textNamesOf(part.field, slots)));

function shapeOf(name: OperationName): Shape {
  const { args, wire, bytes: slots = {} } = operationNamed(name);
  const fields = new Map(fieldsOf(args as unknown as z.ZodObject).map((field) => [field.name, field]));
  const fieldNamed = (argument: string): Field => {
    const field = fields.get(argument);
    if (field === undefined) throw new TypeError(`${name} has no argument "${argument}".`);
    return field;
  };
  const partOf = (text: WireText): WirePart[] =>
    typeof text === 'string'
      ? [{ kind: 'argument', field: fieldNamed(text) }]
      : Object.entries(text).map(([joined, members]) => ({
          kind: 'joined',
          name: joined,
          fields: members.map(fieldNamed),
        }));
  const [shared, each] = [wire.shared.flatMap(partOf), wire.each.flatMap(partOf)];
  const eachNames = namesOf(each, slots);
  return {
    shared,
    each,
    sharedCount: namesOf(shared, slots).length,
    eachCount: eachNames.includes('...') ? undefined : eachNames.length,
  };
}

export const SHAPES: Readonly<Record<OperationName, Shape>> = tableOf(OPERATION_NAMES, shapeOf);

/** Parameters of an operation's Lua: of `prepare`, which gets the shared texts, and of `decide`, called per command. */
export function parametersOf(name: OperationName): { readonly prepare: string[]; readonly decide: string[] } {
  const { shared, each } = SHAPES[name];
  const slots = operationNamed(name).bytes ?? {};
  const prepared = namesOf(shared, slots);
  return {
    prepare: ['call', ...prepared],
    decide: ['call', ...(prepared.length > 0 ? ['group'] : []), ...namesOf(each, slots)],
  };
}

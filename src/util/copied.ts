/** Copies of plain values, down to the last member. Bytes and instances are shared. */
import { LIMITS } from '../../model/limits.js';

/** A copy of an answer, which its reader may change. */
export const copiedAnswer = <Answer>(answer: Answer): Answer => copyOf(answer, undefined) as Answer;

/**
 * A copy of what a user gave, who may change it afterwards. An object that is in many places of it is one object in the
 * copy too: copies of their own could be more than there is memory for.
 */
export const copied = <Given>(given: Given): Given => copyOf(given, new Map()) as Given;

function copyOf(value: unknown, made: Map<object, unknown> | undefined): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const known = made?.get(value);
  if (known !== undefined) return known;
  if (Array.isArray(value)) {
    // A list of that length is mostly holes. The check of the user's value refuses it afterwards.
    if (value.length > LIMITS.maxPayloadBytes) return value;
    const list: unknown[] = [];
    made?.set(value, list);
    for (const item of value as unknown[]) list.push(copyOf(item, made));
    return list;
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  // Begun with all members, because an assignment does not make one of the name `__proto__`.
  const copy = { ...value } as Record<string, unknown>;
  made?.set(value, copy);
  for (const name of Object.keys(copy)) copy[name] = copyOf(copy[name], made);
  return copy;
}

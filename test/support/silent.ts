/** Looks for a secret in an error, however deep one looks into it. */
import { inspect } from 'node:util';
import { expect } from 'vitest';
import { EngineError } from '../../model/errors.js';

/** What a logger's serializer can find: own properties and causes, also those that are hidden, at any depth. */
function everythingIn(value: unknown, seen = new Set<unknown>()): string {
  if (typeof value !== 'object' || value === null) return String(value);
  if (seen.has(value)) return '';
  seen.add(value);
  if (ArrayBuffer.isView(value))
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1');
  return Reflect.ownKeys(value)
    .map((key) => `${String(key)}: ${everythingIn(Reflect.get(value, key), seen)}`)
    .join('\n');
}

const shown = (error: unknown): string =>
  [
    everythingIn(error),
    inspect(error, { depth: Infinity, showHidden: true, maxStringLength: null, maxArrayLength: null }),
    JSON.stringify(error),
    String(error),
    error instanceof Error ? error.stack : '',
  ].join('\n');

/** @throws unless it is an error of the interface that tells nothing of the secret */
export function expectSilent(error: unknown, secret: string): void {
  expect(error).toBeInstanceOf(EngineError);
  const text = shown(error);
  for (const form of [
    secret,
    encodeURIComponent(secret),
    Buffer.from(secret).toString('base64'),
    inspect(Buffer.from(secret)),
  ])
    expect(text.includes(form), text).toBe(false);
}

/** Values in comparable form. */
import { WaitpointToken } from '../model/signing/token.js';

/** The value as JSON represents it: undefined members are left out, and bytes are texts. */
export const plain = (value: unknown): unknown => copyOf(value, (token) => token.toJSON()) ?? null;

/** The same with tokens in clear, so that they are compared too. */
export const revealed = (value: unknown): unknown => copyOf(value, (token) => token.reveal()) ?? null;

type TextOf = (token: WaitpointToken) => string;

/** Undefined for what JSON leaves out. Written by hand because runs spend a sixth of their time in `JSON.stringify` otherwise. */
function copyOf(value: unknown, textOf: TextOf): unknown {
  // JSON has one zero.
  if (typeof value === 'number') return Number.isFinite(value) ? value + 0 : null;
  if (typeof value === 'function' || typeof value === 'symbol') return undefined;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => copyOf(item, textOf) ?? null);
  if (value instanceof WaitpointToken) return textOf(value);
  if (value instanceof Uint8Array) return `bytes:${Buffer.from(value).toString('hex')}`;
  const { toJSON } = value as { readonly toJSON?: unknown };
  if (typeof toJSON === 'function') return copyOf(toJSON.call(value), textOf);
  const copy: Record<string, unknown> = {};
  for (const name of Object.keys(value)) {
    const member = copyOf((value as Record<string, unknown>)[name], textOf);
    if (member !== undefined) setMember(copy, name, member);
  }
  return copy;
}

/** An assignment to `__proto__` makes no member. */
function setMember(copy: Record<string, unknown>, name: string, value: unknown): void {
  if (name === '__proto__')
    Object.defineProperty(copy, name, { value, enumerable: true, configurable: true, writable: true });
  else copy[name] = value;
}

/** Tokens of waitpoints: `<kid>:<40 hex digits>`. The Lua twin is `lua/signing/token.lua`. Spec 06 section 3. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { withWireForm } from '../core/wire-form.js';
import type { View } from '../view.js';

/** Characters of the digest that a listing shows. */
export const FINGERPRINT_LENGTH = 16;

/** The text that a token signs: the waitpoint, its key and its creation. */
export interface Bound {
  readonly waitpointId: string;
  readonly waitpointKey: string;
  readonly createdAt: number;
}

export const messageOf = ({ waitpointId, waitpointKey, createdAt }: Bound): string =>
  `${waitpointId}|${waitpointKey}|${createdAt}`;

export const digestOf = (secret: Uint8Array, message: string): string =>
  createHmac('sha1', secret).update(message).digest('hex');

/** Fingerprint of a secret, and digest of a text that has to be recognised. */
export const fingerprintOf = (secret: Uint8Array): string =>
  createHash('sha1').update(secret).digest('hex').slice(0, FINGERPRINT_LENGTH);

/** Characters of a hex digest. */
const DIGEST_BYTES = 40;

/** The parts of a token; undefined when it is not one. */
function partsOfToken(token: string): { readonly kid: string; readonly digest: string } | undefined {
  const end = token.indexOf(':');
  const digest = token.slice(end + 1);
  // Length in bytes, as the server counts.
  return end > 0 && Buffer.byteLength(digest) === DIGEST_BYTES ? { kid: token.slice(0, end), digest } : undefined;
}

/** Whether two digests are equal, in constant time. */
function isSameDigest(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** Why a token is invalid for every waitpoint. */
export function tokenFault(view: View, token: string, now: number) {
  if (token === '') return 'missing_token';
  const parts = partsOfToken(token);
  if (parts === undefined) return 'invalid_token';
  if (view.signing.current() === undefined) return 'hmac_secret_not_initialized';
  const key = view.signing.get(parts.kid);
  if (key === undefined) return 'invalid_token';
  return key.expiresAt !== undefined && key.expiresAt < now ? 'token_expired' : undefined;
}

/** Whether a well-formed token is that of the waitpoint. */
export function isTokenOf(view: View, token: string, bound: Bound): boolean {
  const parts = partsOfToken(token);
  const expected = parts && view.signing.digest(parts.kid, messageOf(bound));
  return parts !== undefined && expected !== undefined && isSameDigest(parts.digest, expected);
}

/** The token of a waitpoint under the current key; undefined without a key. */
export function currentTokenOf(view: View, bound: Bound): WaitpointToken | undefined {
  const kid = view.signing.current()?.kid;
  const digest = kid === undefined ? undefined : view.signing.digest(kid, messageOf(bound));
  return kid === undefined || digest === undefined ? undefined : new WaitpointToken(`${kid}:${digest}`);
}

/** A token that prints redacted, and reveals itself only on request. */
export class WaitpointToken {
  readonly #token: string;

  constructor(token: string) {
    this.#token = token;
  }

  /** The secret token. A client that holds it can send the signal. */
  reveal(): string {
    return this.#token;
  }

  toString(): string {
    const parts = partsOfToken(this.#token);
    return parts === undefined ? '<REDACTED:malformed>' : `${parts.kid}:<REDACTED:len=40>`;
  }

  toJSON(): string {
    return this.toString();
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}

/** A token in an outcome. */
export const handedOut = withWireForm(z.instanceof(WaitpointToken), {
  encode: (token) => [(token as WaitpointToken).reveal()],
  decode: (text) => new WaitpointToken(text),
});

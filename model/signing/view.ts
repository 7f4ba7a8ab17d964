/** What decisions and reads see of signing keys, and its definition. */
import { compareBytes } from '../ids.js';
import type { Partition } from '../state.js';
import type { SigningKey } from './entity.js';
import { digestOf } from './token.js';

export interface SigningView {
  /** The current key; undefined before the first one. */
  current(): Readonly<SigningKey> | undefined;
  get(kid: string): Readonly<SigningKey> | undefined;
  /** Every key, by id. */
  all(): readonly Readonly<SigningKey>[];
  /** The digest of a message under a key; undefined when there is no such key. */
  digest(kid: string, message: string): string | undefined;
}

/** The definition. A partition has few keys, so they have no index. */
export function signingByDefinition({ state: { tables }, bytes }: Partition): SigningView {
  const keys = tables.signing_key;
  return {
    current: () => [...keys.values()].find(({ expiresAt }) => expiresAt === undefined),
    get: (kid) => keys.get(kid),
    all: () => [...keys.values()].sort((a, b) => compareBytes(a.kid, b.kid)),
    digest(kid, message) {
      const secret = bytes.secret.get(kid);
      return secret === undefined ? undefined : digestOf(secret, message);
    },
  };
}

/** What holds for signing keys. Source: spec 06, the section named Invariants. */
import type { Invariant } from '../specification/invariant.js';

export const signingInvariants: readonly Invariant[] = [
  {
    name: 'one signing key is current, where there are any',
    check({ state }) {
      const keys = [...state.tables.signing_key.values()];
      const current = keys.filter(({ expiresAt }) => expiresAt === undefined);
      return keys.length === 0 || current.length === 1 ? undefined : `${current.length} are current`;
    },
  },
  {
    name: 'a key id stands for one secret as long as it is known',
    check({ log }) {
      const known = new Map<string, string>();
      for (const { event } of log) {
        if (event.type === 'signing_key_dropped') known.delete(event.kid);
        if (event.type !== 'signing_key_installed') continue;
        if ((known.get(event.kid) ?? event.fingerprint) !== event.fingerprint) return `${event.kid} has two secrets`;
        known.set(event.kid, event.fingerprint);
      }
      return undefined;
    },
  },
];

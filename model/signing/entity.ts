/**
 * Signing keys, with which a partition makes and verifies the tokens of its waitpoints. Secrets are beside the state
 * and in no event, error or list (rulings 20 and 39); what is shown of a key is its id and a fingerprint. One key is
 * current; older ones verify until their grace period ends. Spec 06 section 13, spec 01 section 7.6.
 */
import { changes, entity, makes, removes, type EntityState } from '../core/entity.js';
import { event } from '../core/event.js';
import * as fact from '../core/facts.js';
import { subject } from '../core/subject.js';
import type { EventNamed } from '../events.js';

export const SIGNING_KEY = subject('signing_key', 'kid');

/** The algorithm of tokens and its stored letter. A stronger one can be introduced key by key. */
const ALGORITHMS = { hmac_sha1: '1' } as const;

const identity = { fingerprint: fact.text(), algorithm: fact.choice(ALGORITHMS) };

export const signingKeyFacts = fact.factTable({
  identity: { ...identity, installedAt: fact.number() },
  /** The last millisecond in which its tokens verify; unset for the current key. */
  expiry: { expiresAt: fact.optionalNumber() },
});

export type SigningKey = EntityState<typeof SIGNING_KEY, typeof signingKeyFacts>;

export const signingEvents = {
  /** The key becomes the current one. */
  signing_key_installed: event('signing_key_installed', 'R', SIGNING_KEY, { identity }),
  /** Another key became current; tokens of this one verify for a while. */
  signing_key_retired: event('signing_key_retired', 'W', SIGNING_KEY, { expiry: { expiresAt: fact.number() } }),
  /** The grace period is over, and the secret is deleted. */
  signing_key_dropped: event('signing_key_dropped', 'Y', SIGNING_KEY, {}),
} as const;

export const signingKeyEntity = entity({
  subject: SIGNING_KEY,
  facts: signingKeyFacts,
  recipes: {
    signing_key_installed: makes(
      ({ kid, fingerprint, algorithm, at }: EventNamed<'signing_key_installed'>): SigningKey => ({
        kid,
        fingerprint,
        algorithm,
        installedAt: at,
        expiresAt: undefined,
      }),
      'replace',
    ),
    signing_key_retired: changes((key: SigningKey, { expiresAt }: EventNamed<'signing_key_retired'>) => {
      key.expiresAt = expiresAt;
    }),
    signing_key_dropped: removes,
  },
});

/**
 * Signing keys: by them a partition makes and checks the tokens of its waitpoints. Their secrets are beside the state, and
 * in no event, no error and no listing (rulings 20 and 39); what is known of a key is its id and a fingerprint. One key is
 * current; others verify until their grace is over. Spec 06 section 13, spec 01 section 7.6.
 */
import { changes, entity, makes, removes, type EntityState } from '../core/entity.js';
import { event } from '../core/event.js';
import * as fact from '../core/facts.js';
import { subject } from '../core/subject.js';
import type { EventNamed } from '../events.js';

export const SIGNING_KEY = subject('signing_key', 'kid');

/** How tokens are made, and the letter under which that is stored: a stronger way can follow, key by key. */
const ALGORITHMS = { hmac_sha1: '1' } as const;

const identity = { fingerprint: fact.text(), algorithm: fact.choice(ALGORITHMS) };

export const signingKeyFacts = fact.factTable({
  identity: { ...identity, installedAt: fact.number() },
  /** Until when its tokens verify, that millisecond included; unset while it is the current one. */
  expiry: { expiresAt: fact.optionalNumber() },
});

export type SigningKey = EntityState<typeof SIGNING_KEY, typeof signingKeyFacts>;

export const signingEvents = {
  /** The key is the current one from now on. */
  signing_key_installed: event('signing_key_installed', 'R', SIGNING_KEY, { identity }),
  /** Another one took its place; its tokens verify for a while. */
  signing_key_retired: event('signing_key_retired', 'W', SIGNING_KEY, { expiry: { expiresAt: fact.number() } }),
  /** Its grace is over, and its secret is gone. */
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

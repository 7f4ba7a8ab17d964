/**
 * rotateWaitpointHmacSecret: makes a new signing key current. Tokens of the previous key verify for a grace period. A
 * known key is accepted only with its own secret. Safe to repeat. Spec 06 section 13, ruling 30.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, acceptAll, operation, reject } from '../operation.js';
import type { Event } from '../events.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import { fingerprintOf } from './token.js';

export const rotateWaitpointHmacSecret = operation({
  name: 'rotateWaitpointHmacSecret',
  args: z.strictObject({
    partition: field.partitionKey,
    newKid: field.kid,
    /** The secret: at least 32 random bytes. */
    newSecret: field.secret,
    /** How long tokens of the previous key continue to verify, ms. */
    graceMs: field.integer(0, LIMITS.maxTokenGraceMs).default(DEFAULTS.tokenGraceMs),
    /** Installs the key only if there is none yet: for processes that start. */
    onlyFirst: z.boolean().default(false),
  }),
  outcome: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('rotated'),
      newKid: field.kid,
      /** Absent when this is the first key. */
      previousKid: field.kid.optional(),
      /** Keys that were deleted because their grace period was over. */
      gcCount: field.count,
    }),
    /** The key is current already, or another key is and `onlyFirst` was set. */
    z.object({
      kind: z.literal('noop'),
      /** The current key. */
      kid: field.kid,
    }),
  ]),
  rejects: ['rotation_conflict'],
  partition: (args) => args.partition,
  wire: { shared: [], each: ['newKid', 'newSecret', 'graceMs', 'onlyFirst'] },
  bytes: { newSecret: 'secret' },
  memory: 'adds',
  decide(view, { newKid, newSecret, graceMs, onlyFirst }, { now }) {
    const fingerprint = fingerprintOf(newSecret);
    const known = view.signing.get(newKid);
    if (known !== undefined && known.fingerprint !== fingerprint) return reject('rotation_conflict', { kid: newKid });
    const current = view.signing.current();
    if (current !== undefined && (onlyFirst || current.kid === newKid))
      return accept({ kind: 'noop', kid: current.kid });
    const over = view.signing.all().filter(({ kid, expiresAt }) => kid !== newKid && (expiresAt ?? now) < now);
    const events: Event[] = [
      { type: 'signing_key_installed', kid: newKid, at: now, fingerprint, algorithm: 'hmac_sha1' },
    ];
    if (current !== undefined) {
      const expiresAt = Math.min(now + graceMs, LIMITS.maxInteger);
      events.push({ type: 'signing_key_retired', kid: current.kid, at: now, expiresAt });
    }
    for (const { kid } of over) events.push({ type: 'signing_key_dropped', kid, at: now });
    return acceptAll({ kind: 'rotated', newKid, previousKid: current?.kid, gcCount: over.length }, events);
  },
});

/**
 * The idempotency key of a suspension: the same request with the same key gets the same answer, for as long as the key
 * is known. Ids that the caller mints anew for each request are not part of the comparison, nor is what the worker has
 * seen, which only guards the request. Spec 06 section 6.
 */
import { createHash } from 'node:crypto';
import { present } from '../core/present.js';
import { LIMITS } from '../limits.js';
import { SUSPEND_REASONS, SUSPEND_REQUESTERS, type SuspendReason, type TimeoutBehavior } from './facts.js';
import { resumePolicyText, type ResumePolicy } from './policy.js';
import type { Binding } from './validation.js';

interface Asked {
  readonly waitpoints: readonly Binding[];
  readonly reasonCode: SuspendReason;
  readonly requestedBy: keyof typeof SUSPEND_REQUESTERS;
  readonly timeoutAt?: number | undefined;
  readonly timeoutBehavior?: TimeoutBehavior | undefined;
  readonly resumePolicy: ResumePolicy;
  readonly continuationMetadataPointer: string;
  readonly awaitedChildren: number;
}

/** The stored letter of a word; empty for the first. */
const letterOf = (letters: Readonly<Record<string, string>>, word: string): string =>
  Object.keys(letters)[0] === word ? '' : present(letters[word]);

/** A digest of the request. The Lua hashes the same text (`lua/suspension/suspend.lua`). */
export function digestOfRequest(asked: Asked, condition: string): string {
  const text = [
    letterOf(SUSPEND_REASONS, asked.reasonCode),
    letterOf(SUSPEND_REQUESTERS, asked.requestedBy),
    asked.timeoutAt ?? '',
    // A word, because none means that of the policy, and not the first of the letters.
    asked.timeoutBehavior ?? '',
    resumePolicyText(asked.resumePolicy),
    asked.continuationMetadataPointer,
    asked.awaitedChildren || '',
    // An existing waitpoint is named by its id: the caller has not made it for this request.
    ...asked.waitpoints.map(({ waitpointId, waitpointKey }) => waitpointKey ?? `\t${waitpointId}`),
  ].join('\t');
  return createHash('sha1').update(`${text}\n${condition}`).digest('hex');
}

/** How long the key is known after the timeout of the suspension, ms. */
export const SUSPEND_KEY_AFTER_MS = 60_000;

/** Until when the key is known, ms since the epoch. */
export function keyExpiryOf(timeoutAt: number | undefined, now: number): number {
  const waitMs = timeoutAt === undefined ? LIMITS.maxSuspendKeyMs : Math.max(timeoutAt - now, 0) + SUSPEND_KEY_AFTER_MS;
  return Math.min(now + Math.min(waitMs, LIMITS.maxSuspendKeyMs), LIMITS.maxInteger);
}

/**
 * The name that a caller gives a suspension: the same request under the same name is answered like the first one, for as
 * long as the name is known. What its caller minted (ids) is not part of what it asked for. Spec 06 section 6.
 */
import { createHash } from 'node:crypto';
import { LIMITS } from '../limits.js';
import {
  SUSPEND_REASONS,
  SUSPEND_REQUESTERS,
  TIMEOUT_BEHAVIORS,
  type SuspendReason,
  type TimeoutBehavior,
} from './facts.js';
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
}

/** The letter under which a word is stored: nothing for the first. */
const letterOf = (letters: Readonly<Record<string, string>>, word: string): string =>
  Object.keys(letters)[0] === word ? '' : (letters[word] as string);

/** What was asked for, as a digest. The Lua makes the same text (`lua/suspension/suspend.lua`). */
export function digestOfRequest(asked: Asked, condition: string): string {
  const text = [
    letterOf(SUSPEND_REASONS, asked.reasonCode),
    letterOf(SUSPEND_REQUESTERS, asked.requestedBy),
    asked.timeoutAt ?? '',
    asked.timeoutBehavior === undefined ? '' : letterOf(TIMEOUT_BEHAVIORS, asked.timeoutBehavior),
    resumePolicyText(asked.resumePolicy),
    asked.continuationMetadataPointer,
    ...asked.waitpoints.map(({ waitpointKey = '' }) => waitpointKey),
  ].join('\t');
  return createHash('sha1').update(`${text}\n${condition}`).digest('hex');
}

/** How much longer than the suspension its name is known, ms. */
export const SUSPEND_KEY_AFTER_MS = 60_000;

/** Until when the name is known, ms since the epoch. */
export function keyExpiryOf(timeoutAt: number | undefined, now: number): number {
  const waitMs = timeoutAt === undefined ? LIMITS.maxSuspendKeyMs : Math.max(timeoutAt - now, 0) + SUSPEND_KEY_AFTER_MS;
  return Math.min(now + Math.min(waitMs, LIMITS.maxSuspendKeyMs), LIMITS.maxInteger);
}

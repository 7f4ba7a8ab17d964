/**
 * What a suspension says of its resumption, and what the policy of its execution says where it is silent. Spec 06
 * sections 6 and 12.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { withWireForm } from '../core/wire-form.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { LIMITS } from '../limits.js';
import type { SuspensionFacts, TimeoutBehavior } from './facts.js';

const schema = z
  .strictObject({
    /** Where the execution goes: back to its queue. */
    resumeTarget: z.literal('runnable').default('runnable'),
    /** How long what a signal resumed waits before it can be claimed, ms. */
    resumeDelayMs: field.durationMs.default(0),
    /** Signals that satisfied it are shown as consumed once the execution goes on. */
    consumeMatchedSignals: z.boolean().default(true),
    /** Kept and shown; nothing follows from it, since every resumption closes the waitpoints. */
    retainSignalBufferUntilClosed: z.boolean().default(false),
    /** A waitpoint is used once: only `true` is taken. */
    closeWaitpointOnResume: z
      .boolean()
      .refine((closes) => closes, {
        error: 'close_waitpoint_on_resume_unsupported',
        params: { reason: 'close_waitpoint_on_resume_unsupported' },
      })
      .default(true),
  })
  .prefault({});
export type ResumePolicy = z.output<typeof schema>;

/** The policy in the form in which it is stored: delay, whether signals are kept as they are, whether the buffer is. */
export const resumePolicyText = (it: ResumePolicy): string =>
  [
    it.resumeDelayMs === 0 ? '' : it.resumeDelayMs,
    it.consumeMatchedSignals ? '' : '1',
    it.retainSignalBufferUntilClosed ? '1' : '',
  ].join('\t');

/** The policy of a suspension. */
export const resumePolicyOf = (it: Readonly<SuspensionFacts>): ResumePolicy => ({
  resumeTarget: 'runnable',
  resumeDelayMs: it.resumeDelayMs,
  consumeMatchedSignals: !it.keepsSignals,
  retainSignalBufferUntilClosed: it.retainsBuffer,
  closeWaitpointOnResume: true,
});

/** An argument; its text on the wire is the one that is stored. */
export const resumePolicy = withWireForm(schema, { encode: (value) => [resumePolicyText(value as ResumePolicy)] });

/** When a suspension is over, and what comes of it: as its caller says, else as the policy of the execution says. */
export function timeoutOf(
  { policy }: ReadonlyExecution,
  asked: { readonly timeoutAt?: number | undefined; readonly timeoutBehavior?: TimeoutBehavior | undefined },
  now: number,
): { readonly timeoutAt: number | undefined; readonly timeoutBehavior: TimeoutBehavior } {
  const { timeoutAt, timeoutBehavior } = asked;
  const { defaultTimeoutMs, timeoutBehavior: byPolicy } = policy?.suspensionPolicy ?? {};
  if (timeoutAt !== undefined || defaultTimeoutMs === undefined)
    return { timeoutAt, timeoutBehavior: timeoutBehavior ?? 'fail' };
  return {
    timeoutAt: Math.min(now + defaultTimeoutMs, LIMITS.maxInteger),
    timeoutBehavior: timeoutBehavior ?? byPolicy ?? 'fail',
  };
}

/**
 * The resume policy of a suspension, and the defaults from the policy of its execution. Spec 06 sections 6 and 12.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { withWireForm } from '../core/wire-form.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { LIMITS } from '../limits.js';
import type { SuspensionFacts, TimeoutBehavior } from './facts.js';

const schema = z
  .strictObject({
    /** A resumed execution returns to its queue; there is no other target. */
    resumeTarget: z.literal('runnable').default('runnable'),
    /** Delay before an execution that a signal resumed can be claimed, ms. */
    resumeDelayMs: field.durationMs.default(0),
    /** Signals that satisfied it are shown as consumed once the execution resumes. */
    consumeMatchedSignals: z.boolean().default(true),
    /** Stored and shown, but without effect, because every resumption closes the waitpoints. */
    retainSignalBufferUntilClosed: z.boolean().default(false),
    /** A waitpoint is used once: only `true` is accepted. */
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

/** The stored form of the policy: the delay, whether signals stay unconsumed, whether the buffer is retained. */
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

/** The schema of the argument; its wire form is its stored form. */
export const resumePolicy = withWireForm(schema, { encode: (value) => [resumePolicyText(value as ResumePolicy)] });

/** The timeout of a suspension and its effect: from the request, or by default from the policy of the execution. */
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

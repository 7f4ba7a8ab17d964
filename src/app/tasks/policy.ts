/** The engine's policy of a run, from the options of its task and its own. */
import { types } from 'node:util';
import { ABSOLUTE_TIME_FROM, type ExecutionPolicy } from '../../../model/execution/policy.js';
import type { ArgsOf } from '../../../model/machine.js';
import { durationMs, type Duration } from '../../shared/duration.js';
import { isRecord } from '../../shared/shown.js';
import type { RunOptions, TaskSettings } from './task.js';

export type PolicyInput = NonNullable<ArgsOf<'createExecution'>['policy']>;

/** The engine's policy for these settings; undefined if they set nothing. */
export function policyOf({ retry, timeout, needs, retention }: TaskSettings): PolicyInput | undefined {
  const policy: { -readonly [Key in keyof ExecutionPolicy]?: PolicyInput[Key] } = {};
  if (retry !== undefined) {
    policy.retryPolicy = { maxRetries: retry.failures, backoff: retry.backoff };
    if (retry.crashes !== undefined) policy.maxReclaimCount = retry.crashes;
  }
  if (timeout !== undefined) {
    policy.timeoutPolicy = {
      attemptTimeoutMs: timeout.attempt === undefined ? undefined : durationMs(timeout.attempt),
      executionDeadlineMs: timeout.total === undefined ? undefined : durationMs(timeout.total),
    };
  }
  if (needs !== undefined && needs.length > 0) policy.routingRequirements = { requiredCapabilities: [...needs] };
  if (retention !== undefined) policy.streamPolicy = { retentionTtlMs: durationMs(retention) };
  return Object.keys(policy).length === 0 ? undefined : policy;
}

/** The policy of one run: the task's, with the options of the run. */
export function policyOfRun(
  policy: PolicyInput | undefined,
  { idempotencyWindow, deadline }: RunOptions,
): PolicyInput | undefined {
  const deadlineMs = deadline === undefined || isTime(deadline) ? undefined : Math.max(1, durationMs(deadline));
  if (idempotencyWindow === undefined && deadlineMs === undefined) return policy;
  return {
    ...policy,
    ...(idempotencyWindow === undefined ? {} : { dedupWindowMs: durationMs(idempotencyWindow) }),
    ...(deadlineMs === undefined
      ? {}
      : { timeoutPolicy: { ...policy?.timeoutPolicy, executionDeadlineMs: deadlineMs } }),
  };
}

/**
 * The options as they are at the call: callers use one object for several calls, and change it in between. Each is named
 * in one literal: a spread before other members takes fifty times as long, and every run and every node comes here.
 */
export function keptOptions({
  id,
  idempotencyKey,
  idempotencyWindow,
  delay,
  priority,
  tags,
  deadline,
  hold,
}: RunOptions): RunOptions {
  return {
    id,
    idempotencyKey,
    idempotencyWindow,
    delay: ownDate(delay),
    priority,
    hold,
    tags: isRecord(tags) ? { ...tags } : tags,
    deadline: ownDate(deadline),
  };
}

const ownDate = <Option>(option: Option): Option | Date => (types.isDate(option) ? new Date(Number(option)) : option);

/** When a run with this delay may start, ms since the epoch: at the time itself, or so long after `now`. */
export const startOf = (delay: Duration | Date, now: number): number =>
  types.isDate(delay) ? Math.round(Number(delay)) : now + durationMs(delay);

/** Whether a deadline is a time, not a duration. `Date.now() + 60_000` is a time too: no duration is that long. */
export function isTime(deadline: Duration | Date): deadline is number | Date {
  return types.isDate(deadline) || (typeof deadline === 'number' && deadline >= ABSOLUTE_TIME_FROM);
}

/** The time of a deadline, ms since the epoch; undefined for a duration. */
export function timeOf(deadline: Duration | Date | undefined): number | undefined {
  return deadline !== undefined && isTime(deadline) ? Math.round(Number(deadline)) : undefined;
}

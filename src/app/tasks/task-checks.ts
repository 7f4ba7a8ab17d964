/** Checks the options of tasks and runs. Invalid options throw where they are written; errors name them as written. */
import { types } from 'node:util';
import { capabilities, executionKind, label, tags as tagsField, timestampMs } from '../../../model/core/fields.js';
import { retryPolicy } from '../../../model/execution/policy.js';
import { isExecutionIdForm, utf8Bytes } from '../../../model/ids.js';
import { LIMITS } from '../../../model/limits.js';
import {
  checkBoolean,
  checkDuration,
  checkField,
  checkList,
  checkSchema,
  checkWhole,
  isRecord,
  refuse,
  shown,
} from '../../shared/checks.js';
import type { Duration } from '../../shared/duration.js';
import { InvalidDefinitionError } from '../../shared/errors.js';
import { knownOnly } from '../../shared/known-only.js';
import type { AnySchema } from '../../shared/schema.js';
import { propertyOf } from '../../util/thrown.js';
import { isTime } from './policy.js';
import { RESERVED_TAGS } from '../runs/tags.js';
import { checkWaitName } from '../../worker/waits/names.js';
import type { RetryOptions, RunOptions, TaskOptions, TaskSettings } from './task.js';

const TASK_OPTIONS = {
  input: true,
  output: true,
  lane: true,
  needs: true,
  retry: true,
  timeout: true,
  priority: true,
  retention: true,
  quota: true,
  budget: true,
  signals: true,
} as const;
const RETRY_OPTIONS = { failures: true, crashes: true, backoff: true } as const;
const TIMEOUT_OPTIONS = { attempt: true, total: true } as const;
const RUN_OPTIONS = {
  id: true,
  idempotencyKey: true,
  idempotencyWindow: true,
  delay: true,
  priority: true,
  tags: true,
  deadline: true,
  hold: true,
} as const;

const flowKind = label(LIMITS.maxFlowKindBytes);

/** The name of what was given as a task. A function has a name too, but is none: undefined. */
export const nameOfTask = (task: unknown): unknown =>
  typeof task === 'function' ? undefined : propertyOf(task, 'name');

/** How messages name a task. */
export const taskNamed = (name: unknown): string => `Task ${shown(name)}`;

/** @throws InvalidDefinitionError for a name that cannot be one */
export function checkTaskName(name: unknown): asserts name is string {
  if (typeof name === 'string' && executionKind.safeParse(name).success) return;
  throw new InvalidDefinitionError(
    `A task needs a name: 1 to ${LIMITS.maxExecutionKindBytes} bytes of text without control characters, not ${shown(name)}`,
    "Name the task for what it does: app.task('mail:send', ...).",
  );
}

/** @throws InvalidDefinitionError for a name that cannot be one */
export function checkFlowName(name: unknown): asserts name is string {
  if (typeof name === 'string' && flowKind.safeParse(name).success) return;
  throw new InvalidDefinitionError(
    `A flow needs a name: 1 to ${LIMITS.maxFlowKindBytes} bytes of text without control characters, not ${shown(name)}`,
    "Name the flow for what it does: app.flow('nightly', ...).",
  );
}

/** @throws InvalidDefinitionError for an unknown or invalid option */
export function checkTaskOptions(taskName: string, options: TaskOptions<AnySchema, AnySchema>): void {
  const where = taskNamed(taskName);
  knownOnly<typeof options>(where, options, TASK_OPTIONS);
  for (const name of ['input', 'output'] as const) checkSchema(where, name, options[name]);
  if (options.signals !== undefined && !isRecord(options.signals))
    throw refuse(where, 'signals', 'an object of schemas, like { approve: z.object({ ... }) }', options.signals);
  for (const [name, schema] of Object.entries(options.signals ?? {})) {
    checkWaitName(`${where}: signals`, name);
    checkSchema(where, `signals.${name}`, schema);
  }
  checkNeeds(where, options.needs);
  checkRetry(where, options.retry);
  checkTimeout(where, options.timeout);
  checkWhole(where, 'priority', options.priority, LIMITS.minPriority, LIMITS.maxPriority);
  checkDuration(where, 'retention', options.retention, 0, LIMITS.maxDurationMs);
}

function checkNeeds(where: string, needs: unknown): void {
  checkList(where, 'needs', needs);
  checkField(where, 'needs', capabilities, needs);
}

function checkRetry(where: string, retry: RetryOptions | undefined): void {
  if (retry === undefined) return;
  knownOnly<RetryOptions>(`${where}, retry`, retry, RETRY_OPTIONS);
  checkWhole(where, 'retry.failures', retry.failures, 0, LIMITS.maxRetries);
  checkWhole(where, 'retry.crashes', retry.crashes, 0, LIMITS.maxReclaimCount);
  if (retry.backoff !== undefined && !retryPolicy.shape.backoff.safeParse(retry.backoff).success)
    throw refuse(where, 'retry.backoff', 'made by backoff.fixed(...) or backoff.exponential(...)', retry.backoff);
}

function checkTimeout(where: string, timeout: TaskSettings['timeout']): void {
  if (timeout === undefined) return;
  knownOnly<NonNullable<TaskSettings['timeout']>>(`${where}, timeout`, timeout, TIMEOUT_OPTIONS);
  checkDuration(where, 'timeout.attempt', timeout.attempt, 1, LIMITS.maxDurationMs);
  checkDuration(where, 'timeout.total', timeout.total, 1, LIMITS.maxDurationMs);
}

/** @throws InvalidDefinitionError for an unknown or invalid option */
export function checkRunOptions(taskName: string, options: RunOptions): void {
  const where = `Run of task ${shown(taskName)}`;
  knownOnly<RunOptions>(where, options, RUN_OPTIONS);
  if (options.id !== undefined) checkOwnId(where, options.id);
  const { idempotencyKey } = options;
  if (idempotencyKey !== undefined && !isKey(idempotencyKey))
    throw refuse(where, 'idempotencyKey', 'a string without control characters that is not empty', idempotencyKey);
  if (options.id !== undefined && idempotencyKey !== undefined)
    throw new InvalidDefinitionError(`${where}: give an id or an idempotencyKey, not both`);
  checkWindow(where, options.idempotencyWindow, options.id ?? idempotencyKey);
  checkStart(where, options);
  checkTags(where, options.tags, options.id === undefined ? 0 : 1);
  checkBoolean(where, 'hold', options.hold);
}

/** @throws InvalidDefinitionError for an invalid window, and for one without a key that it could keep */
export function checkWindow(where: string, window: Duration | undefined, key: string | undefined): void {
  checkDuration(where, 'idempotencyWindow', window, 1, LIMITS.maxDurationMs);
  if (window !== undefined && key === undefined)
    throw new InvalidDefinitionError(`${where}: idempotencyWindow is about an id or key: give one too`);
}

/** What a run and a flow can say of when work starts and ends. @throws InvalidDefinitionError for an invalid option */
export function checkStart(
  where: string,
  { delay, priority, deadline }: Pick<RunOptions, 'delay' | 'priority' | 'deadline'>,
): void {
  checkDelay(where, delay);
  checkWhole(where, 'priority', priority, LIMITS.minPriority, LIMITS.maxPriority);
  checkDeadline(where, deadline);
}

/** Whether the text is well-formed Unicode without control characters. */
const isPlainText = (text: string): boolean => !/[\p{Cc}\p{Cs}]/u.test(text);

const isKey = (key: unknown): key is string => typeof key === 'string' && key !== '' && isPlainText(key);

const MISSING_ID = 'Leave the id out for a run without one; an empty id is most often a value that is missing.';
const UNKNOWN_ID = "Pass the id of the run as a text, or your own: `{ id: 'my-id' }`.";

/** For a look-up by an own id. @throws InvalidDefinitionError for an own id that is not a string, or empty */
export function checkSoughtId(where: string, id: unknown): asserts id is string {
  checkOwnId(where, id, UNKNOWN_ID);
}

/** @throws InvalidDefinitionError for an own id that is not a string, or empty */
export function checkOwnId(where: string, id: unknown, hint = MISSING_ID): asserts id is string {
  if (!isKey(id))
    throw new InvalidDefinitionError(
      `${where}: id must be a string without control characters that is not empty, not ${shown(id)}`,
      hint,
    );
}

/**
 * @param byOwnId the call that takes own ids
 * @param what the kind of id, in the words of the message
 * @throws InvalidDefinitionError for a text that is not an execution id; usually the caller has passed an id of its own
 */
export function checkExecutionId(where: string, byOwnId: string, id: unknown, what = 'an execution id'): void {
  if (typeof id === 'string' && isExecutionIdForm(id)) return;
  throw new InvalidDefinitionError(
    `${where}: the id must be ${what}, like "{fp:0}:<uuid>", not ${shown(id)}`,
    `Pass \`run.id\`; for your own id: \`${byOwnId}({ id: ${typeof id === 'string' ? shown(id) : "'my-id'"} })\`.`,
  );
}

/** @throws InvalidDefinitionError for an id or a key of more bytes than `most` */
export function checkKeyLength(where: string, option: string, most: number, key: string): void {
  const bytes = utf8Bytes(key);
  if (bytes > most)
    throw new InvalidDefinitionError(`${where}: its ${option} may have ${most} bytes at most, and has ${bytes}`);
}

/**
 * @param kept how many the library adds
 * @throws InvalidDefinitionError for tags that no run can have
 */
export function checkTags(where: string, tags: RunOptions['tags'] | null, kept = 0): void {
  if (tags === undefined) return;
  if (!isRecord(tags)) throw refuse(where, 'tags', "an object of texts, like { 'team.name': 'billing' }", tags);
  if (Object.keys(tags).some((key) => key.startsWith(RESERVED_TAGS)))
    throw new InvalidDefinitionError(`${where}: tags that begin with "${RESERVED_TAGS}" are the library's own`);
  checkField(where, 'tags', tagsField, tags);
  const most = LIMITS.maxTags - kept;
  if (Object.keys(tags).length > most) throw new InvalidDefinitionError(`${where}: there may be ${most} tags at most`);
}

/** @throws InvalidDefinitionError for what is neither a duration nor a time */
export function checkDelay(where: string, delay: RunOptions['delay']): void {
  if (!types.isDate(delay)) checkDuration(where, 'delay', delay, 0, LIMITS.maxDurationMs);
  else if (!timestampMs.safeParse(Math.round(Number(delay))).success)
    throw refuse(where, 'delay', 'a duration or a valid Date', delay);
}

function checkDeadline(where: string, deadline: RunOptions['deadline']): void {
  if (deadline === undefined) return;
  if (isTime(deadline)) {
    if (timestampMs.safeParse(Math.round(Number(deadline))).success) return;
    throw refuse(where, 'deadline', 'a duration, a valid Date, or a time in ms since the epoch', deadline);
  }
  checkDuration(where, 'deadline', deadline, 0, LIMITS.maxDurationMs);
}

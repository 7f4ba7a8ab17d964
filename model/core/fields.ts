/**
 * The vocabulary of arguments: one schema per kind of value, with its bounds. All input of callers is made of these, so
 * both backends refuse the same input with the same code.
 */
import { z } from 'zod';
import { isBytes } from './bytes.js';
import { isPartitionOfAnyFamily } from '../families.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import { shortIdOf, uuidOf } from '../short-id.js';
import { present } from './present.js';
import { keysOf } from './tables.js';
import { withWireForm, type WireForm } from './wire-form.js';
import {
  executionIdIn,
  memberOf,
  compareBytes,
  isExecutionIdForm,
  isPartitionKey,
  isUuid,
  partitionIndexOf,
  utf8Bytes,
} from '../ids.js';

/** The declaration of an argument. */
export type Field = z.ZodType;

const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;
const WHITE_SPACE = /\s/u;

// Most texts are short and ASCII: a loop is faster than a regular expression for them.

function isPrintableAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x20 || unit > 0x7e) return false;
  }
  return true;
}

/** `{ } : ,` separate the parts of keys and lists; a name with one of them could imitate another key. */
function isName(text: string, maxBytes: number): boolean {
  if (text.length === 0 || text.length > maxBytes) return false;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x20 || unit > 0x7e || unit === 0x7b || unit === 0x7d || unit === 0x3a || unit === 0x2c) return false;
  }
  return true;
}

function isLabel(text: string, maxBytes: number): boolean {
  if (text.length === 0 || text.length > maxBytes) return false;
  return isPrintableAscii(text) || (text.isWellFormed() && utf8Bytes(text) <= maxBytes && !CONTROL.test(text));
}

function fitsBytes(text: string, maxBytes: number): boolean {
  if (text.length > maxBytes) return false;
  return isPrintableAscii(text) || (text.isWellFormed() && utf8Bytes(text) <= maxBytes);
}

/** A name that becomes part of a key: printable ASCII without `{ } : ,`, 1 to `maxBytes` bytes. */
const name = (maxBytes: number) =>
  z.string().refine((text) => isName(text, maxBytes), {
    error: `must be 1 to ${maxBytes} printable ASCII characters, none of them a brace, colon or comma`,
  });

/** A printable label that never becomes part of a key, 1 to `maxBytes` bytes. */
export const label = (maxBytes: number) =>
  z.string().refine((text) => isLabel(text, maxBytes), {
    error: `must be 1 to ${maxBytes} bytes of well-formed text without control characters`,
  });

/** A label that can be empty. */
const emptyOrLabel = (maxBytes: number) =>
  z.string().refine((value) => value === '' || isLabel(value, maxBytes), {
    error: `must be at most ${maxBytes} bytes of well-formed text without control characters`,
  });

/** Free text, empty allowed, up to `maxBytes` bytes of UTF-8. */
const text = (maxBytes: number) =>
  z
    .string()
    .refine((value) => fitsBytes(value, maxBytes), { error: `must be well-formed text of at most ${maxBytes} bytes` });

/** Normalises -0, which can result from rounding, to 0. */
const number = z.number().overwrite((value) => value + 0);

const integer = (min: number, max: number) =>
  number.refine((value) => Number.isSafeInteger(value) && value >= min && value <= max, {
    error: `must be an integer from ${min} to ${max}`,
  });

export const laneId = name(LIMITS.maxLaneIdBytes);
/** Served lanes: duplicates removed, ascending by bytes. */
export const lanes = z
  .array(laneId)
  .min(1)
  .max(LIMITS.maxLanesPerRead)
  .transform((names) => (names.length < 2 ? names : [...new Set(names)].sort(compareBytes)));
export const namespace = name(LIMITS.maxNamespaceBytes);
export const workerId = name(LIMITS.maxWorkerIdBytes);
export const readerId = name(LIMITS.maxReaderIdBytes);
export const workerInstanceId = name(LIMITS.maxWorkerIdBytes);
export const executionKind = label(LIMITS.maxExecutionKindBytes);
export const creatorIdentity = label(LIMITS.maxCreatorIdentityBytes);
/** A label of a frame's type or subject. */
export const frameLabel = label(LIMITS.maxFrameLabelBytes);
export const encoding = label(LIMITS.maxEncodingBytes);
/** The name of a step. */
export const stepName = label(LIMITS.maxStepNameBytes);
/** An empty key is no key (spec 04 section 3.1). */
export const idempotencyKey = emptyOrLabel(LIMITS.maxIdempotencyKeyBytes);
export const reason = text(LIMITS.maxReasonBytes);
export const progressMessage = text(LIMITS.maxProgressMessageBytes);
/** A label that can be empty; operations that require one refuse an empty label themselves. */
export const looseLabel = emptyOrLabel(LIMITS.maxSignalTextBytes);
/** Why a worker is marked dead. */
export const deathReason = emptyOrLabel(LIMITS.maxDeathReasonBytes);
/** A label of a signal: its name, category, source, or idempotency key. */
export const signalText = label(LIMITS.maxSignalTextBytes);
/** The name of a signal. Names with a prefix of two underscores are reserved for the engine. */
export const signalName = signalText.refine((name) => !name.startsWith('__'), { error: 'must not begin with "__"' });
/** Most waitpoints of an execution over its life. */
export const maxWaitpoints = integer(1, LIMITS.maxWaitpointsOfExecution).default(LIMITS.maxWaitpointsOfExecution);
/** The id of a signing key: a name, so the first colon of a token ends it. */
export const kid = name(LIMITS.maxKidBytes);
/** A secret for signing tokens. */
export const secret = z.custom<Uint8Array>(
  (value) => isBytes(value) && value.byteLength >= LIMITS.minSecretBytes && value.byteLength <= LIMITS.maxSecretBytes,
  { error: `must be a Uint8Array of ${LIMITS.minSecretBytes} to ${LIMITS.maxSecretBytes} bytes` },
);
/** A token as it was issued, or any text that claims to be one. */
export const token = text(LIMITS.maxTokenBytes);
/** A UUID that is stored unchanged. */
export const plainUuid = z.string().refine(isUuid, { error: 'must be a lower-case UUID with hyphens' });
/** A failure category: a label without `,` and `|`, so that lists of them can be joined. */
export const category = label(LIMITS.maxCategoryBytes).refine((value) => !value.includes(',') && !value.includes('|'), {
  error: 'must not contain "," or "|"',
});

/** One of the words of a table. */
export const wordOf = <const Word extends string>(table: Readonly<Record<Word, unknown>>) => z.enum(keysOf(table));

export const uuid = withWireForm(z.string().refine(isUuid, { error: 'must be a lower-case UUID with hyphens' }), {
  encode: (value) => [value === undefined ? '' : shortIdOf(value as string)],
  decode: (text) => uuidOf(text),
});

/** The index in a partition key of a counted family. */
const indexOf = (key: string): number => Number(key.slice(key.indexOf(':') + 1, -1));
const inRange = (key: string): boolean => partitionIndexOf(key) <= LIMITS.maxPartitions;
const rangeError = { error: `must name a partition from 0 to ${LIMITS.maxPartitions}` };

const executionIdForm: WireForm = {
  encode: (value) => [value === undefined ? '' : memberOf(value as string)],
  decode: (text, partition) => executionIdIn(partition, text),
};

export const executionId = withWireForm(
  z
    .string()
    .refine(isExecutionIdForm, { error: 'must look like "{fp:<partition>}:<uuid>"' })
    .refine(inRange, rangeError),
  executionIdForm,
);
/** The id of a flow, in the form of an execution id: it determines the partition of the flow and of all its members. */
export const flowId = withWireForm(executionId.clone(), executionIdForm);
export const partitionKey = z
  .string()
  .refine(isPartitionKey, { error: 'must look like "{fp:<partition>}"' })
  .refine(inRange, rangeError);

/** A partition of any family. */
export const anyPartitionKey = z
  .string()
  .refine(isPartitionOfAnyFamily, {
    error: 'must look like "{fp:<partition>}", "{b:<partition>}" or "{w:<namespace>}"',
  })
  .refine((key) => key.startsWith('{w:') || indexOf(key) <= LIMITS.maxPartitions, rangeError);

/** A partition of budgets. */
export const budgetPartition = anyPartitionKey.refine((key) => key.startsWith('{b:'), {
  error: 'must look like "{b:<partition>}"',
});

export const timestampMs = integer(0, LIMITS.maxInteger);
export const count = integer(0, LIMITS.maxInteger);
export const durationMs = integer(0, LIMITS.maxDurationMs);
/** How long the building of a flow may take until it is sealed, ms. */
export const buildTimeoutMs = integer(1, LIMITS.maxDurationMs).default(DEFAULTS.flowBuildTimeoutMs);
export const positiveDurationMs = integer(1, LIMITS.maxDurationMs);
export const leaseTtlMs = integer(LIMITS.minLeaseTtlMs, LIMITS.maxLeaseTtlMs);
export const leaseEpoch = integer(0, LIMITS.maxInteger);
export const attemptIndex = integer(0, LIMITS.maxInteger);
export const percent = integer(0, 100);
export const pageSize = integer(0, LIMITS.maxPageSize).default(DEFAULTS.pageSize);
export { integer };

/** A factor from 0 to 1 that the caller draws, so that the transition is deterministic. */
export const unitFactor = number.refine((value) => value >= 0 && value <= 1, { error: 'must be a number from 0 to 1' });

/** Any integer, clamped into 0..9000: out-of-range priorities are a preference, not an error (spec 01, question 2). */
export const priority = integer(-LIMITS.maxInteger, LIMITS.maxInteger).transform((value) =>
  Math.min(LIMITS.maxPriority, Math.max(LIMITS.minPriority, value)),
);

/** Opaque bytes. */
export const bytes = z.custom<Uint8Array>((value) => isBytes(value) && value.byteLength <= LIMITS.maxPayloadBytes, {
  error: `must be a Uint8Array of at most ${LIMITS.maxPayloadBytes} bytes`,
});

/** Bytes of a signal. */
export const signalPayload = z
  .custom<Uint8Array>(isBytes, { error: 'must be a Uint8Array' })
  .refine((value) => !isBytes(value) || value.byteLength <= LIMITS.maxSignalPayloadBytes, {
    error: `must be at most ${LIMITS.maxSignalPayloadBytes} bytes`,
    params: { code: 'payload_too_large' },
  });

/** A fault of a list of capabilities, and its reason by spec 01 section 9. */
const tokenFault = (
  reason: string,
  error = 'must be a non-empty token without comma, white space or control characters',
) => ({
  error,
  params: { reason },
});

const capability = z
  .string()
  .refine((token) => token.length > 0, tokenFault('empty_token'))
  .refine((token) => !token.includes(','), tokenFault('comma_in_token'))
  .refine(
    (token) => token.isWellFormed() && !WHITE_SPACE.test(token) && !CONTROL.test(token),
    tokenFault('control_or_whitespace'),
  );

/** A set of capability tokens: duplicates removed, ascending by bytes. */
export const capabilities = z
  .array(capability)
  .transform((tokens) => (tokens.length < 2 ? tokens : [...new Set(tokens)].sort(compareBytes)))
  .refine(
    (tokens) => tokens.length <= LIMITS.maxCapabilities,
    tokenFault('too_many_tokens', `must have at most ${LIMITS.maxCapabilities} tokens`),
  )
  .refine(
    (tokens) => tokens.length === 0 || fitsBytes(tokens.join(','), LIMITS.maxCapabilityListBytes),
    tokenFault('too_many_bytes', `must be at most ${LIMITS.maxCapabilityListBytes} bytes when joined by commas`),
  );

/** A tag key: `segment.segment` in lower case. Fields of the engine never contain a dot. */
const TAG_KEY_PATTERN = /^[a-z][a-z0-9_]*\.[a-z0-9_][a-z0-9_.]*$/;

/** Kinds of work: duplicates removed, ascending by bytes. */
export const kinds = withWireForm(
  z
    .array(executionKind)
    .min(1)
    .max(LIMITS.maxClaimKinds)
    .transform((names) => (names.length < 2 ? names : [...new Set(names)].sort(compareBytes))),
  // A kind can contain a comma, but no tab.
  { texts: ['kinds'], encode: (value) => [((value as readonly string[] | undefined) ?? []).join('\t')] },
);

export const tagKey = z.string().refine((key) => key.length <= LIMITS.maxTagKeyBytes && TAG_KEY_PATTERN.test(key), {
  error: `must be like "team.name": lower case, digits, "_" and a dot, at most ${LIMITS.maxTagKeyBytes} characters`,
});

function refuseProto<Value>(value: Value, context: z.RefinementCtx): Value {
  // Zod would await it, and throw because the parse is synchronous.
  if (value instanceof Promise) {
    context.addIssue({ code: 'custom', message: 'must be a map, not a promise', input: value });
    return z.NEVER;
  }
  if (typeof value === 'object' && value !== null && Object.hasOwn(value, '__proto__'))
    context.addIssue({ code: 'invalid_key', origin: 'record', issues: [], input: value, path: ['__proto__'] });
  return value;
}

/** A map with caller-defined keys. Zod drops `__proto__` silently; here it is refused. */
export const mapOf = <Key extends z.ZodType<string, string>, Value extends z.ZodType>(key: Key, value: Value) =>
  z.preprocess(refuseProto<Record<string, z.input<Value>>>, z.record(key, value));

/** A map of tags; keys are in byte order so that equal maps have the same text. */
export const tags = mapOf(tagKey, text(LIMITS.maxTagValueBytes))
  .refine((map) => Object.keys(map).length <= LIMITS.maxTags, { error: `must have at most ${LIMITS.maxTags} tags` })
  .transform((map) => {
    const keys = Object.keys(map);
    return keys.length < 2 ? map : Object.fromEntries(keys.sort(compareBytes).map((key) => [key, present(map[key])]));
  });

/** At least one tag. */
export const someTags = tags.refine((map) => Object.keys(map).length > 0, { error: 'must have a tag' });

/**
 * Members are optional so that a partial triple gets its own refusal, which also tells misspelt members. Other members
 * are ignored: the fence of a handler has its token, and a claimed execution is its own fence.
 */
const fenceTriple = z.object({
  leaseId: uuid.optional(),
  leaseEpoch: leaseEpoch.optional(),
  attemptId: uuid.optional(),
});

/** The stored text of a fence: epoch, lease and attempt. Empty when all of them are absent. */
function fenceText(value: { leaseId?: string; leaseEpoch?: number; attemptId?: string } | undefined): string {
  if (value === undefined) return '';
  const { leaseId, leaseEpoch, attemptId } = value;
  if (leaseId === undefined && leaseEpoch === undefined && attemptId === undefined) return '';
  const shortOf = (id: string | undefined): string => (id === undefined ? '' : shortIdOf(id));
  return `${leaseEpoch ?? ''}\t${shortOf(leaseId)}\t${shortOf(attemptId)}`;
}

/** The proof of ownership: the triple that a claim returned. */
export const fence = withWireForm(fenceTriple, {
  texts: ['fence'],
  encode: (value) => [fenceText(value as z.output<typeof fenceTriple> | undefined)],
});

/** The requester of an operator's change, for the log: a person, a script, a service. */
export const requester = creatorIdentity.default('operator');

/** The authority for a change of an owned execution (spec 04 section 2.3). The default fails closed. */
export const source = z.enum(['lease_holder', 'operator_override']).default('lease_holder');

/**
 * The authority for a cancellation: also a flow that is cancelled, or a timeout of the system. Both act as operators.
 */
export const cancelSource = z
  .enum(['lease_holder', 'operator_override', 'flow_cascade', 'system_timeout'])
  .default('lease_holder');

/** Bytes as the text in which they are stored; undefined without bytes. */
export const base64Of = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined || bytes.byteLength === 0 ? undefined : Buffer.from(bytes).toString('base64');

/** A few bytes, at most `maxBytes`, that are stored in the record as text. */
export const smallBytes = (maxBytes: number) =>
  withWireForm(
    z.custom<Uint8Array>((value) => isBytes(value) && value.byteLength <= maxBytes, {
      error: `must be a Uint8Array of at most ${maxBytes} bytes`,
    }),
    { encode: (value) => [base64Of(value as Uint8Array | undefined) ?? ''] },
  );

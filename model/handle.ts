/**
 * A handle is the fence of a claim as one opaque text, for callers that pass ownership around. It says which
 * backend issued it; its check value finds damage, not forgery: the fence is the authority. Source: spec 01
 * section 11.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import * as field from './core/fields.js';
import { EngineError } from './errors.js';
import type { ClaimedExecution } from './schedule/claimed.js';

const VERSION = 'h1';

const BACKEND_LABELS = ['memory', 'embedded', 'valkey'] as const;
export type BackendLabel = (typeof BACKEND_LABELS)[number];

/** How the owner that a handle stands for came to own. `suspended`: of work that waits for a signal. */
export const HANDLE_KINDS = ['fresh', 'reclaimed', 'resumed', 'suspended'] as const;
export type HandleKind = (typeof HANDLE_KINDS)[number];

const handlePayload = z.object({
  backend: z.enum(BACKEND_LABELS),
  kind: z.enum(HANDLE_KINDS),
  executionId: field.executionId,
  attemptIndex: field.attemptIndex,
  attemptId: field.uuid,
  leaseId: field.uuid,
  leaseEpoch: field.leaseEpoch,
  leaseTtlMs: field.leaseTtlMs,
  laneId: field.laneId,
  workerInstanceId: field.workerInstanceId,
});
export type HandlePayload = z.output<typeof handlePayload>;

const checkOf = (text: string): string => createHash('sha1').update(text).digest('hex').slice(0, 8);

/** A handle of its contents. */
export function encodeHandle(payload: HandlePayload): string {
  const text = Buffer.from(JSON.stringify(payload)).toString('base64url');
  return `${VERSION}.${text}.${checkOf(text)}`;
}

/** Who issues a handle: what a claim's outcome does not repeat of its arguments. */
export type HandleIssuer = Pick<HandlePayload, 'backend' | 'leaseTtlMs' | 'laneId' | 'workerInstanceId'>;

/**
 * The handle of a claimed execution. Owner operations take it in the place of the execution and its fence.
 * @example
 * const handle = handleOf(claimed, { backend: backend.label, laneId: 'mail', workerInstanceId: 'mailer-1', leaseTtlMs: 30_000 });
 * await backend.completeExecution({ handle });
 */
export function handleOf(claimed: ClaimedExecution, issuer: HandleIssuer): string {
  const { executionId, attemptIndex, attemptId, leaseId, leaseEpoch, claimKind } = claimed;
  return encodeHandle({ ...issuer, kind: claimKind, executionId, attemptIndex, attemptId, leaseId, leaseEpoch });
}

/**
 * The contents of a handle.
 * @throws EngineError `corruption` for anything that is not an intact handle, `handle_from_other_backend` for one
 * that another kind of backend issued.
 */
export function decodeHandle(handle: unknown, backend: BackendLabel): HandlePayload {
  const [version, text = '', check, ...rest] = typeof handle === 'string' ? handle.split('.') : [];
  if (version !== VERSION || rest.length > 0 || check !== checkOf(text))
    throw new EngineError('corruption', 'handle: not an intact handle.');
  let payload: HandlePayload;
  try {
    payload = handlePayload.parse(JSON.parse(Buffer.from(text, 'base64url').toString('utf8')));
  } catch (cause) {
    throw new EngineError('corruption', 'handle: its contents do not decode.', { cause });
  }
  if (payload.backend !== backend) {
    throw new EngineError('handle_from_other_backend', `expected=${backend} actual=${payload.backend}.`, {
      detail: { expected: backend, actual: payload.backend },
    });
  }
  return payload;
}

/**
 * Signing keys of all partitions (ruling 43, spec 06 section 13). Every partition has its own keys, which should all be
 * equal. Partitions change one by one, and repeating a call is harmless, so after a failure in some partitions the call
 * is simply repeated. The report has the result of each.
 */
import { present } from '../../model/core/present.js';
import { EngineError } from '../../model/errors.js';
import { partitionKeyOf } from '../../model/ids.js';
import type { OutcomeOf } from '../../model/machine.js';
import type { Backend } from '../backend/backend.js';
import { needBackend, needObject } from '../backend/settings.js';

/** Partitions that are changed concurrently. */
const AT_ONCE = 16;

export interface RotateAllArgs {
  /** Id of the new key: a name without `:`. */
  readonly newKid: string;
  /** The secret: at least 32 random bytes. */
  readonly newSecret: Uint8Array;
  /** How long tokens of the previous key continue to verify, ms. Default a day. */
  readonly graceMs?: number;
}

/** The result in one partition. */
export type PartitionRotation =
  | { readonly partition: string; readonly ok: true; readonly outcome: OutcomeOf<'rotateWaitpointHmacSecret'> }
  | { readonly partition: string; readonly ok: false; readonly error: EngineError };

export interface RotationReport {
  /** By partition, in order. */
  readonly entries: readonly PartitionRotation[];
  /** Whether the key is current everywhere; otherwise repeat the call for the rest. */
  readonly complete: boolean;
}

/** Whether the fault is one partition's; a mistake in the arguments is not. */
const isOfPartition = (error: unknown): error is EngineError =>
  error instanceof EngineError && !error.code.startsWith('invalid_');

async function inEach(
  { partitions: { count } }: Backend,
  call: (partition: string) => Promise<OutcomeOf<'rotateWaitpointHmacSecret'>>,
): Promise<PartitionRotation[]> {
  const entries: PartitionRotation[] = [];
  for (let from = 0; from < count; from += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, i) => partitionKeyOf(from + i));
    const answers = await Promise.allSettled(some.map(call));
    for (const [i, answer] of answers.entries()) {
      const partition = present(some[i]);
      if (answer.status === 'fulfilled') entries.push({ partition, ok: true, outcome: answer.value });
      else if (isOfPartition(answer.reason)) entries.push({ partition, ok: false, error: answer.reason });
      else throw answer.reason;
    }
  }
  return entries;
}

/**
 * Makes a new key current in every partition; tokens of the previous one verify for a grace period.
 * @returns the result of each partition; failures in some do not throw
 * @throws EngineError `invalid_input`, `invalid_kid`, `invalid_grace_ms`
 * @example const { complete, entries } = await rotateWaitpointHmacSecretAll(backend, { newKid: '2030-01', newSecret:
 * randomBytes(32) });
 */
export async function rotateWaitpointHmacSecretAll(backend: Backend, args: RotateAllArgs): Promise<RotationReport> {
  needBackend('rotateWaitpointHmacSecretAll()', backend, 'partitionsInUse');
  const entries = await inEach(backend, (partition) => backend.rotateWaitpointHmacSecret({ partition, ...args }));
  return { entries, complete: entries.every(({ ok }) => ok) };
}

export interface SeedReport {
  /** Partitions that had no key and now have this one. */
  readonly installed: number;
  /** Partitions with another current key, which is kept. */
  readonly different: readonly { readonly partition: string; readonly currentKid: string }[];
  /** Partitions that could not be reached, or that know the id with another secret (`rotation_conflict`). */
  readonly failed: readonly { readonly partition: string; readonly error: EngineError }[];
  /** Whether the key is current everywhere. */
  readonly complete: boolean;
}

/**
 * Installs a key in every partition without one: for processes that start. Existing keys are kept.
 * @throws EngineError `invalid_input`, `invalid_kid`
 */
export async function seedWaitpointHmacSecret(
  backend: Backend,
  key: { readonly kid: string; readonly secret: Uint8Array },
): Promise<SeedReport> {
  needBackend('seedWaitpointHmacSecret()', backend, 'partitionsInUse');
  needObject('seedWaitpointHmacSecret()', 'key', key);
  const { kid, secret } = key;
  const entries = await inEach(backend, (partition) =>
    backend.rotateWaitpointHmacSecret({ partition, newKid: kid, newSecret: secret, onlyFirst: true }),
  );
  const failed = entries.flatMap((entry) => (entry.ok ? [] : [{ partition: entry.partition, error: entry.error }]));
  const different = entries.flatMap((entry) =>
    entry.ok && entry.outcome.kind === 'noop' && entry.outcome.kid !== kid
      ? [{ partition: entry.partition, currentKid: entry.outcome.kid }]
      : [],
  );
  const installed = entries.filter((entry) => entry.ok && entry.outcome.kind === 'rotated').length;
  return { installed, different, failed, complete: failed.length === 0 && different.length === 0 };
}

/** Own ids of runs: how the engine stores them, and how a second use of an id is treated. */
import { isDeepStrictEqual } from 'node:util';
import { assert, EngineError } from '../../../model/errors.js';
import { partitionKeyOf, utf8Bytes } from '../../../model/ids.js';
import { LIMITS } from '../../../model/limits.js';
import { placementOf } from '../../../model/partition.js';
import type { Backend } from '../../backend/backend.js';
import { decode, JSON_ENCODING, type Encoded } from '../../shared/codec.js';
import { RunIdConflictError } from '../../shared/errors.js';
import { patiently } from '../patience.js';
import type { RunSurroundings } from './run.js';
import type { RunOptions, TaskDefinition } from '../tasks/task.js';
import { checkKeyLength } from '../tasks/task-checks.js';

/** The prefix of an own id in the engine's key. The length of the name makes it unique for each task. */
const beforeId = (taskName: string): string => `id:${taskName.length}:${taskName}:`;
const BEFORE_KEY = 'key:';
const roomBehind = (before: string): number => Math.max(0, LIMITS.maxIdempotencyKeyBytes - utf8Bytes(before));

/**
 * The engine's idempotency key. An own id is scoped to its task, an idempotency key to the namespace; the two never
 * collide, with any characters in them.
 * @throws InvalidDefinitionError if the id or the key is too long
 */
export function engineKeyOf(taskName: string, { id, idempotencyKey }: RunOptions): string | undefined {
  const where = `Run of task "${taskName}"`;
  if (id !== undefined) {
    checkKeyLength(where, 'id', roomBehind(beforeId(taskName)), id);
    return beforeId(taskName) + id;
  }
  if (idempotencyKey === undefined) return undefined;
  checkKeyLength(where, 'idempotencyKey', roomBehind(BEFORE_KEY), idempotencyKey);
  return BEFORE_KEY + idempotencyKey;
}

/** The execution of the task with this own id; undefined if a run with the id would be a new one. */
export async function findByOwnId(
  backend: Backend,
  namespace: string,
  task: TaskDefinition,
  id: string,
): Promise<string | undefined> {
  const idempotencyKey = engineKeyOf(task.name, { id });
  const { laneId } = task;
  const index = placementOf(backend.partitions, { namespace, laneId, idempotencyKey });
  assert(index !== undefined && idempotencyKey !== undefined, 'a key has its place');
  return backend.findExecution({ partition: partitionKeyOf(index), namespace, idempotencyKey });
}

/**
 * Refuses a second use of an id with another input. The stored input itself is compared, not a digest: this costs one
 * read for a duplicate, and nothing for a new run. A purged run, or one without its input, is not compared.
 * @throws RunIdConflictError
 */
export async function checkSameInput(
  surroundings: Pick<RunSurroundings, 'backend' | 'clock' | 'closing'>,
  executionId: string,
  given: Encoded,
  own: Pick<RunOptions, 'id' | 'idempotencyKey'>,
): Promise<void> {
  const stored = await patiently(surroundings, () => storedInput(surroundings.backend, executionId));
  if (stored === undefined || sameInput(stored, given)) return;
  throw new RunIdConflictError(executionId, stored.kind, own);
}

interface StoredInput {
  readonly kind: string;
  readonly bytes: Uint8Array;
  readonly encoding: string | undefined;
}

async function storedInput(backend: Backend, executionId: string): Promise<StoredInput | undefined> {
  try {
    const [context, info] = await Promise.all([
      backend.readExecutionContext({ executionId }),
      backend.readExecutionInfo({ executionId }),
    ]);
    return { kind: context.executionKind, bytes: context.inputPayload, encoding: info?.payloadEncoding };
  } catch (error) {
    if (error instanceof EngineError && error.code === 'execution_not_found') return undefined;
    throw error;
  }
}

function sameInput(stored: StoredInput, { bytes = new Uint8Array(0), encoding }: Encoded): boolean {
  // Equal bytes in different encodings are different inputs: a text can be valid JSON.
  if (stored.encoding !== encoding) return false;
  if (Buffer.compare(stored.bytes, bytes) === 0) return true;
  // Objects with the same members in another order are equal.
  if (encoding !== JSON_ENCODING) return false;
  try {
    return isDeepStrictEqual(decode({ bytes: stored.bytes, encoding }), decode({ bytes, encoding }));
  } catch {
    return false;
  }
}

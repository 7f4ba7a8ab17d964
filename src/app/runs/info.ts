/** What an app tells about one run: what the engine knows, in the words of the app, with the values that belong to it. */
import { EngineError } from '../../../model/errors.js';
import type { ExecutionInfo } from '../../../model/execution/projections.js';
import type { Backend } from '../../backend.js';
import { decode } from '../../shared/codec.js';
import { laneNameOf } from '../../shared/lane-names.js';
import { failureOf, type Failure } from './failure.js';
import { OWN_ID_TAG } from './own-ids.js';
import { RESERVED_TAGS } from '../tasks/task-checks.js';

/** Everything about a run. Times are ms since the epoch. */
export interface RunInfo<Output = unknown> extends ExecutionInfo {
  /** Your own id, if the run was given one. */
  readonly ownId: string | undefined;
  /** The name of its task. */
  readonly task: string;
  /** The lane, as named by the task; `laneId` is the engine's form of it. */
  readonly lane: string;
  readonly tags: Readonly<Record<string, string>>;
  /** The input as stored: a `Date` is a string. */
  readonly input: unknown;
  /** What the handler returned; only if the run completed. */
  readonly result: Output | undefined;
  /** The last failure, also while a retry is due. */
  readonly failure: Failure | undefined;
  /** What is missing: its bytes were lost or cannot be read. */
  readonly unavailable: readonly ('input' | 'result')[];
}

/** Everything about a run; nothing when there is none. @throws EngineError what the backend throws */
export async function runInfoOf<Output>(backend: Backend, executionId: string): Promise<RunInfo<Output> | undefined> {
  const [info, snapshot, payload, result] = await Promise.all([
    backend.readExecutionInfo({ executionId }),
    backend.describeExecution({ executionId }),
    inputOf(backend, executionId),
    backend.getExecutionResult({ executionId }),
  ]);
  if (info === undefined || snapshot === undefined) return undefined;
  const unavailable: ('input' | 'result')[] = [];
  const readable = (what: 'input' | 'result', sizeBytes: number, bytes: Uint8Array | undefined, encoding?: string) => {
    if ((bytes?.byteLength ?? 0) !== sizeBytes) {
      unavailable.push(what);
      return undefined;
    }
    try {
      return decode({ bytes, encoding });
    } catch {
      unavailable.push(what);
      return undefined;
    }
  };
  const { failureReason, failureCategory = '' } = info;
  return {
    ...info,
    ownId: snapshot.tags[OWN_ID_TAG],
    task: info.executionKind,
    lane: laneNameOf(info.laneId),
    tags: withoutReserved(snapshot.tags),
    input: readable('input', info.payloadBytes, payload, info.payloadEncoding),
    result: (info.publicState === 'completed'
      ? readable('result', info.resultBytes ?? 0, result, info.resultEncoding)
      : undefined) as Output | undefined,
    failure: failureReason === undefined ? undefined : failureOf(failureReason, failureCategory),
    unavailable,
  };
}

async function inputOf(backend: Backend, executionId: string): Promise<Uint8Array | undefined> {
  try {
    return (await backend.readExecutionContext({ executionId })).inputPayload;
  } catch (error) {
    // A run that is gone is told by the other reads; bytes that cannot be read by `unavailable`.
    if (error instanceof EngineError && !error.retryable) return undefined;
    throw error;
  }
}

function withoutReserved(tags: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(tags).filter(([key]) => !key.startsWith(RESERVED_TAGS)));
}

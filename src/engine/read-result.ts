/** The result of an execution, with the info that describes it. */
import type { ExecutionInfo } from '../../model/execution/projections.js';
import type { Backend } from '../backend/backend.js';

export interface ReadResult {
  /** Nothing when there is no such execution. */
  readonly info: ExecutionInfo | undefined;
  readonly result: Uint8Array | undefined;
}

/**
 * The info of an execution and its result. One read answers both, because the execution can be replayed between two.
 * @throws EngineError what the backend throws
 */
export async function readResult(backend: Backend, executionId: string): Promise<ReadResult> {
  const read = await backend.readExecutionInfo({ executionId, withResult: true });
  if (read === undefined) return { info: undefined, result: undefined };
  const { result, ...info } = read;
  return { info, result };
}

/** Whether a value has the length that its execution records: half of a value is none. */
export function isWhole(bytes: Uint8Array | undefined, recordedBytes: number | undefined): boolean {
  return (bytes?.byteLength ?? 0) === (recordedBytes ?? 0);
}

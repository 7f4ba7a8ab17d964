/** The result of an execution, with the info that describes it. */
import type { ExecutionInfo } from '../../model/execution/projections.js';
import type { Backend } from '../backend/backend.js';

export interface ReadResult {
  /** Nothing when there is no such execution. */
  readonly info: ExecutionInfo | undefined;
  readonly result: Uint8Array | undefined;
}

/**
 * The info of an execution and its result, of the same run: the bytes of a long result arrive seconds after the info,
 * and the execution can be replayed meanwhile. Where their lengths still differ, the bytes are lost.
 * @throws EngineError what the backend throws
 */
export async function readResult(backend: Backend, executionId: string): Promise<ReadResult> {
  let [info, result] = await Promise.all([
    backend.readExecutionInfo({ executionId }),
    backend.getExecutionResult({ executionId }),
  ]);
  while (info !== undefined && !isWhole(result, info.resultBytes)) {
    const { publicState, replayCount } = info;
    info = await backend.readExecutionInfo({ executionId });
    if (info?.publicState === publicState && info.replayCount === replayCount) break;
    if (isWhole(result, info?.resultBytes)) break;
    result = info?.publicState === 'completed' ? await backend.getExecutionResult({ executionId }) : undefined;
  }
  return { info, result };
}

/** Whether a value has the length that its execution records: half of a value is none. */
export function isWhole(bytes: Uint8Array | undefined, recordedBytes: number | undefined): boolean {
  return (bytes?.byteLength ?? 0) === (recordedBytes ?? 0);
}

/** The information of an app about one run: the engine's facts in the app's terms, with the input and the result. */
import { EngineError } from '../../../model/errors.js';
import type { ExecutionInfo, HoldSummary } from '../../../model/execution/projections.js';
import type { BlockingReason, PublicState } from '../../../model/execution/situation.js';
import type { Backend } from '../../backend/backend.js';
import { waitSentence } from '../../engine/explain.js';
import { isWhole, readResult } from '../../engine/read-result.js';
import { decode } from '../../shared/codec.js';
import { laneNameOf } from '../../shared/lane-names.js';
import { TEMPLATE_ENCODING } from '../../shared/template.js';
import { unlessUnreadable } from '../../shared/unreadable.js';
import { failureOf, type Failure } from './failure.js';
import { memberInput } from './member-input.js';
import { calledBy, type Called } from './tags.js';

/** Why a run does not run, although it has not ended. */
export interface RunWait {
  /** `waiting_for_worker`, `waiting_for_delay`, `paused_by_operator` and so on: docs/operating.md has all of them. */
  readonly reason: Exclude<BlockingReason, 'none'>;
  /** The same in words: the signal, the time, the children, and a hold; empty if the reason says everything. */
  readonly detail: string;
}

/** Everything about a run. Times are ms since the epoch. */
export interface RunInfo<Output = unknown> extends Called {
  /** The execution id. */
  readonly id: string;
  /** The name of its task. */
  readonly task: string;
  /** The lane, as named by the task. */
  readonly lane: string;
  /** Higher starts first within the lane; 0 to 9 000. */
  readonly priority: number;
  /** Its state, as `run.state()` gives it. */
  readonly state: PublicState;
  /** Why it does not run; absent while it runs and after it ended. `run.explain()` looks further. */
  readonly waitsFor: RunWait | undefined;
  /**
   * The input as stored: a `Date` is a string. Of a member of a flow whose input contains results of others: `undefined`
   * until they are there.
   */
  readonly input: unknown;
  /** The value that the handler returned; only if the run completed. */
  readonly result: Output | undefined;
  /** The last failure, also while a retry is due. */
  readonly failure: Failure | undefined;
  /** The parts that are missing, because their bytes were lost or cannot be read. */
  readonly unavailable: readonly ('input' | 'result')[];
  /** The last report of the handler with `progress`. */
  readonly progress: ExecutionInfo['progress'];
  /** Attempts begun so far, the current one included. */
  readonly attempts: number;
  /** How often it was replayed after it had ended. */
  readonly replays: number;
  /** When it was created. */
  readonly createdAt: number;
  /** When its first attempt began. */
  readonly startedAt: number | undefined;
  /** When it ended; absent before. */
  readonly endedAt: number | undefined;
  /** While it is `delayed`: when it goes on, by its `delay` or the backoff of a retry. */
  readonly delayedUntil: number | undefined;
  /** While it is `active`: the id of the worker that holds it, or lost it. */
  readonly worker: string | undefined;
  /** An operator holds it back: the time, the requester and the reason. */
  readonly hold: HoldSummary | undefined;
  /** The source of its cancellation: `operator_override`, `lease_holder`, `flow_cascade`, `system_timeout`. */
  readonly cancelledBy: string | undefined;
  /** Why it was cancelled; absent if it was not. */
  readonly cancelReason: string | undefined;
  /** The flow that it is a member of. */
  readonly flowId: string | undefined;
  /** The execution as the engine tells it (`readExecutionInfo`): its state vector, counters, deadlines, meters, sizes. */
  readonly execution: ExecutionInfo;
}

/** Everything about a run; undefined if it does not exist. @throws EngineError every error of the backend */
export async function runInfoOf<Output>(backend: Backend, executionId: string): Promise<RunInfo<Output> | undefined> {
  const [{ info, result }, snapshot, payload] = await Promise.all([
    readResult(backend, executionId),
    backend.describeExecution({ executionId }),
    inputOf(backend, executionId),
  ]);
  if (info === undefined || snapshot === undefined) return undefined;
  const unavailable: ('input' | 'result')[] = [];
  const readable = async (
    what: 'input' | 'result',
    { sizeBytes, bytes, encoding }: { sizeBytes: number; bytes: Uint8Array | undefined; encoding: string | undefined },
  ): Promise<unknown> => {
    try {
      if (isWhole(bytes, sizeBytes))
        return encoding === TEMPLATE_ENCODING ? await memberInput(backend, info, bytes) : decode({ bytes, encoding });
    } catch (error) {
      if (error instanceof EngineError && error.retryable) throw error;
    }
    unavailable.push(what);
    return undefined;
  };
  const input = { sizeBytes: info.payloadBytes, bytes: payload, encoding: info.payloadEncoding };
  const output = { sizeBytes: info.resultBytes ?? 0, bytes: result, encoding: info.resultEncoding };
  return {
    id: executionId,
    ...calledBy(snapshot.tags),
    worker: snapshot.currentLease?.workerId,
    ...factsOf(info),
    waitsFor: await waitOf(backend, info),
    input: await readable('input', input),
    result: (info.publicState === 'completed' ? await readable('result', output) : undefined) as Output | undefined,
    unavailable,
    execution: info,
  };
}

/** The engine's facts about an execution, in the app's terms. */
function factsOf(info: ExecutionInfo) {
  const { failureReason, failureCategory = '' } = info;
  return {
    task: info.executionKind,
    lane: laneNameOf(info.laneId),
    priority: info.priority,
    state: info.publicState,
    failure: failureReason === undefined ? undefined : failureOf(failureReason, failureCategory),
    progress: info.progress,
    attempts: info.totalAttemptCount,
    replays: info.replayCount,
    createdAt: info.createdAt,
    startedAt: info.startedAt,
    endedAt: info.completedAt,
    delayedUntil: info.publicState === 'delayed' ? info.delayUntil : undefined,
    hold: info.hold,
    cancelledBy: info.cancelledBy,
    cancelReason: info.cancellationReason,
    flowId: info.flowId,
  };
}

/** Reasons that say everything, or whose detail the engine keeps. */
const WITHOUT_READS: readonly BlockingReason[] = ['waiting_for_worker', 'paused_by_operator'];

async function waitOf(backend: Backend, info: ExecutionInfo): Promise<RunWait | undefined> {
  const { blockingDetail, stateVector } = info;
  const { blockingReason: reason } = stateVector;
  if (reason === 'none') return undefined;
  if (WITHOUT_READS.includes(reason)) return { reason, detail: blockingDetail };
  const sentence = await unlessUnreadable(
    () => waitSentence(backend, info),
    () => '',
  );
  return { reason, detail: sentence === '' ? blockingDetail : sentence };
}

async function inputOf(backend: Backend, executionId: string): Promise<Uint8Array | undefined> {
  try {
    return (await backend.readExecutionContext({ executionId })).inputPayload;
  } catch (error) {
    // The other reads report a missing run; `unavailable` reports unreadable bytes.
    if (error instanceof EngineError && !error.retryable) return undefined;
    throw error;
  }
}

/**
 * Replays the members of a flow that were skipped because of a member that runs again: a composition, because a replay
 * in the machine is of one execution (spec 08 section 10, ruling 43). It goes on through members that were replayed
 * before, so a repeated call continues. A member for which another failure still stands is left as it is; the replay of
 * that one comes by here again.
 */
import { EngineError } from '../../model/errors.js';
import { DEPENDENCIES_FAILED, FLOW_UNSETTLED } from '../../model/execution/replay.js';
import type { EdgePage } from '../../model/flow/reads.js';
import { partitionOfExecution } from '../../model/ids.js';
import { LIMITS } from '../../model/limits.js';
import type { ArgsOf } from '../../model/machine.js';
import type { Backend } from '../backend/backend.js';
import { asEngineError } from '../util/engine-error.js';
import { bringForward } from './bring-forward.js';
import type { Clock } from './clock.js';

interface ReplaySkippedOptions extends Pick<ArgsOf<'replayExecution'>, 'reason' | 'requestedBy'> {
  /** The replayed member. */
  readonly executionId: string;
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
  /** Members from which this call, or one beside it, has gone on. */
  readonly passed?: Set<string>;
  /** Is called for each member that this call replays. */
  readonly onReplay?: () => void;
  /** Makes a call that can be repeated. */
  call<T>(command: () => Promise<T>): Promise<T>;
}

/** A member that stays skipped, or that was replayed and behind which members may stay skipped. */
export interface LeftSkipped {
  readonly executionId: string;
  readonly error: unknown;
}

/**
 * Replays what was skipped because of a member, over any distance. It ends early if the store cannot be reached, or when
 * the signal aborts.
 * @returns the members whose replay continues what was left, and why
 */
export async function replaySkipped(backend: Backend, options: ReplaySkippedOptions): Promise<readonly LeftSkipped[]> {
  const { executionId: replayed, signal, passed = new Set() } = options;
  const left: LeftSkipped[] = [];
  const waiting = [replayed];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    try {
      for await (const { edges, damaged } of outgoingOf(backend, next, options)) {
        if (damaged.length > 0) left.push({ executionId: next, error: unreadable(damaged.length) });
        for (const { downstreamExecutionId: executionId } of edges) {
          if (passed.has(executionId)) continue;
          signal?.throwIfAborted();
          try {
            if (!(await runsAgain(backend, executionId, options))) continue;
            if (!passed.has(executionId)) waiting.push(executionId);
          } catch (error) {
            if (!isRefusal(error)) throw error;
            left.push({ executionId, error });
          }
          passed.add(executionId);
        }
      }
    } catch (error) {
      left.push({ executionId: next, error });
      if (!isRefusal(error)) return [...left, ...waiting.map((executionId) => ({ executionId, error }))];
    }
  }
  return left;
}

/** Whether the error is about one member, so that the others are tried. */
const isRefusal = (error: unknown): boolean => asEngineError(error)?.retryable === false;

const unreadable = (count: number): EngineError =>
  new EngineError('corruption', `${count} of the members that depend on it cannot be read; see listQuarantined.`);

/**
 * Whether a member has been replayed, by this call or before. Consequences of its end that are still due are applied
 * first.
 */
async function runsAgain(
  backend: Backend,
  executionId: string,
  { reason, requestedBy, clock, signal, call, onReplay }: ReplaySkippedOptions,
): Promise<boolean> {
  let [isReplayed, unsettled] = [false, undefined as unknown];
  const isDone = async (): Promise<boolean> => {
    signal?.throwIfAborted();
    const info = await call(() => backend.readExecutionInfo({ executionId }));
    const { publicState, replayCount = 0 } = { ...info };
    isReplayed = replayCount > 0;
    if (publicState !== 'skipped') return true;
    try {
      const args = { executionId, reason, requestedBy, expectedReplayCount: replayCount };
      const { kind } = await call(() => backend.replayExecution(args));
      isReplayed = true;
      if (kind === 'replayed') onReplay?.();
    } catch (error) {
      isReplayed = false;
      const problem = asEngineError(error)?.detail['reason'];
      if (problem !== FLOW_UNSETTLED && problem !== DEPENDENCIES_FAILED) throw error;
      unsettled = error;
      return problem === DEPENDENCIES_FAILED;
    }
    return true;
  };
  if (!(await bringForward(backend, partitionOfExecution(executionId), { clock, isDone }))) throw unsettled;
  return isReplayed;
}

/** The edges to executions that depend on another one. */
async function* outgoingOf(
  backend: Backend,
  executionId: string,
  { call }: ReplaySkippedOptions,
): AsyncGenerator<EdgePage> {
  const wanted = { executionId, direction: 'outgoing', limit: LIMITS.maxListPage } as const;
  let cursor: string | undefined;
  do {
    const after = cursor;
    const page = await call(() => backend.listEdges({ ...wanted, cursor: after }));
    yield page;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
}

/**
 * Replays the members of a flow that were skipped because of a member that runs again: a composition, because a replay
 * in the machine is of one execution (spec 08 section 10, ruling 43). A member for which another failure still stands is
 * left as it is; the replay of that one comes by here again.
 */
import { EngineError } from '../../model/errors.js';
import { LIMITS } from '../../model/limits.js';
import type { ArgsOf } from '../../model/machine.js';
import type { Backend } from '../backend/backend.js';

/** Refusals that leave a member as it is, and damage of its record. */
const LEFT: ReadonlySet<string> = new Set([
  'corruption',
  'execution_not_eligible',
  'execution_not_found',
  'execution_not_terminal',
  'flow_already_terminal',
  'max_replays_exhausted',
]);

interface ReplaySkippedOptions extends Pick<ArgsOf<'replayExecution'>, 'reason' | 'requestedBy'> {
  /** The replayed member. */
  readonly executionId: string;
  /** Makes a call that can be repeated. */
  call<T>(command: () => Promise<T>): Promise<T>;
}

/** Replays what was skipped because of a member, over any distance. @throws what `call` throws, except refusals */
export async function replaySkipped(
  backend: Backend,
  { executionId: replayed, call, ...asked }: ReplaySkippedOptions,
): Promise<void> {
  const waiting = [replayed];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for await (const executionId of dependingOn(backend, next, call)) {
      try {
        const info = await call(() => backend.readExecutionInfo({ executionId }));
        if (info?.publicState !== 'skipped') continue;
        const args = { executionId, expectedReplayCount: info.replayCount, ...asked };
        if ((await call(() => backend.replayExecution(args))).kind === 'replayed') waiting.push(executionId);
      } catch (error) {
        if (!(error instanceof EngineError && LEFT.has(error.code))) throw error;
      }
    }
  }
}

/** Executions that need the success of another one and did not get it. */
async function* dependingOn(
  backend: Backend,
  executionId: string,
  call: ReplaySkippedOptions['call'],
): AsyncGenerator<string> {
  const wanted = { executionId, direction: 'outgoing', limit: LIMITS.maxListPage } as const;
  let cursor: string | undefined;
  do {
    const after = cursor;
    const page = await call(() => backend.listEdges({ ...wanted, cursor: after }));
    for (const edge of page.edges) if (edge.edgeState === 'impossible') yield edge.downstreamExecutionId;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
}

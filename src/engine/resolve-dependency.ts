/**
 * resolveDependency: makes sure that an edge is resolved by the end of its upstream. It is a composition: the call that
 * ends an upstream resolves its first edges itself and leaves the others to due work, which this call brings forward.
 * Spec 08 section 3.6, ruling 43.
 */
import { EngineError } from '../../model/errors.js';
import type { TerminalOutcome } from '../../model/execution/situation.js';
import type { EdgeSnapshot } from '../../model/flow/reads.js';
import { partitionOfExecution } from '../../model/ids.js';
import type { Backend } from '../backend/backend.js';
import { bringForward, readPatiently } from './bring-forward.js';
import { systemClock, type Clock } from './clock.js';

export interface ResolveDependencyOptions {
  /** The flow of the edge. */
  readonly flowId: string;
  /** The edge. */
  readonly edgeId: string;
  /** If given, the edge must lead out of this execution. */
  readonly upstreamExecutionId?: string | undefined;
  /** If given, the edge must lead to this execution. */
  readonly downstreamExecutionId?: string | undefined;
  /** How the upstream ended. If given, it must be the stored outcome, which decides. */
  readonly upstreamOutcome?: Exclude<TerminalOutcome, 'none'> | undefined;
  /** The clock of retries and waits. Default that of the system. */
  readonly clock?: Clock | undefined;
}

export interface ResolveDependencyOutcome {
  /**
   * `satisfied`, `impossible`: the edge was resolved during this call. `already_resolved`: before it, mostly by the call
   * that ended the upstream.
   */
  readonly kind: 'satisfied' | 'impossible' | 'already_resolved';
  /** The state of the edge. */
  readonly edgeState: 'satisfied' | 'impossible';
}

/**
 * Resolves an edge whose upstream has ended. Repeating it is safe.
 * @throws EngineError `invalid_dependency`: the flow has no such edge; `execution_not_terminal`: the upstream has not
 *   ended; `invalid_input`: it ended with another outcome than the given one; `corruption`: the due work of the edge is
 *   in quarantine; `call_timeout` after half a minute; what calls throw
 * @example await resolveDependency(backend, { flowId, edgeId, upstreamOutcome: 'success' });
 */
export async function resolveDependency(
  backend: Backend,
  options: ResolveDependencyOptions,
): Promise<ResolveDependencyOutcome> {
  const { flowId, edgeId, clock = systemClock } = options;
  const look = async (): Promise<EdgeSnapshot> => {
    const edge = await readPatiently(clock, () => backend.describeEdge({ flowId, edgeId }));
    if (edge === undefined || !isBetween(edge, options))
      throw new EngineError('invalid_dependency', `There is no such edge ${edgeId} in ${flowId}.`);
    await checkEnd(backend, edge, options, clock);
    return edge;
  };
  let edge = await look();
  if (edge.edgeState !== 'unsatisfied') return { kind: 'already_resolved', edgeState: edge.edgeState };
  const isDone = async (): Promise<boolean> => (edge = await look()).edgeState !== 'unsatisfied';
  await bringForward(backend, partitionOfExecution(flowId), { clock, isDone });
  if (edge.edgeState === 'unsatisfied')
    throw new EngineError('corruption', `What resolves ${edgeId} was set aside; see listQuarantined.`);
  return { kind: edge.edgeState, edgeState: edge.edgeState };
}

const isBetween = (edge: EdgeSnapshot, given: ResolveDependencyOptions): boolean =>
  edge.upstreamExecutionId === (given.upstreamExecutionId ?? edge.upstreamExecutionId) &&
  edge.downstreamExecutionId === (given.downstreamExecutionId ?? edge.downstreamExecutionId);

/**
 * Refuses an edge that waits for a running upstream, and an outcome that neither the end of the upstream nor the state
 * of the edge confirms. A replayed upstream may have another end than the one that resolved the edge.
 */
async function checkEnd(
  backend: Backend,
  { upstreamExecutionId, edgeState }: EdgeSnapshot,
  { upstreamOutcome: given }: ResolveDependencyOptions,
  clock: Clock,
): Promise<void> {
  if (edgeState !== 'unsatisfied' && (given === undefined || (given === 'success') === (edgeState === 'satisfied')))
    return;
  const read = () => backend.readExecutionInfo({ executionId: upstreamExecutionId });
  const stored = (await readPatiently(clock, read))?.stateVector.terminalOutcome;
  if (edgeState === 'unsatisfied' && (stored === undefined || stored === 'none'))
    throw new EngineError('execution_not_terminal', `${upstreamExecutionId} has not ended.`);
  if (given !== undefined && given !== stored)
    throw new EngineError('invalid_input', `upstreamOutcome: ${upstreamExecutionId} did not end with ${given}.`, {
      detail: { field: 'upstreamOutcome' },
    });
}

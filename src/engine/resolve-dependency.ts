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
import { checkClock, checkOptionNames, needBackend } from '../backend/settings.js';
import { bringForward, readPatiently } from './bring-forward.js';
import { systemClock, type Clock } from './clock.js';

type UpstreamOutcome = Exclude<TerminalOutcome, 'none'>;

const OUTCOMES: ReadonlySet<unknown> = new Set(
  Object.keys({
    success: true,
    failed: true,
    cancelled: true,
    expired: true,
    skipped: true,
  } satisfies Record<UpstreamOutcome, true>),
);

export interface ResolveDependencyOptions {
  /** The flow of the edge. */
  readonly flowId: string;
  /** The edge. */
  readonly edgeId: string;
  /** If given, the edge must lead out of this execution. */
  readonly upstreamExecutionId?: string | undefined;
  /** If given, the edge must lead to this execution. */
  readonly downstreamExecutionId?: string | undefined;
  /**
   * How the upstream ended. If given, it must be the stored outcome, which decides. If the upstream was replayed since,
   * or is purged, it must be an outcome that resolves the edge as it was resolved.
   */
  readonly upstreamOutcome?: UpstreamOutcome | undefined;
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
 *   ended; `invalid_input`: no outcome, or another than the one with which it ended; `corruption`: the due work of the edge is
 *   in quarantine; `call_timeout` after half a minute; what calls throw
 * @example await resolveDependency(backend, { flowId, edgeId, upstreamOutcome: 'success' });
 */
export async function resolveDependency(
  backend: Backend,
  options: ResolveDependencyOptions,
): Promise<ResolveDependencyOutcome> {
  const where = 'resolveDependency()';
  needBackend(where, backend);
  checkOptionNames(where, options, [
    'flowId',
    'edgeId',
    'upstreamExecutionId',
    'downstreamExecutionId',
    'upstreamOutcome',
    'clock',
  ]);
  checkClock(where, options.clock);
  const { flowId, edgeId, upstreamOutcome, clock = systemClock } = options;
  if (upstreamOutcome !== undefined && !OUTCOMES.has(upstreamOutcome))
    throw refusedOutcome(`must be one of ${[...OUTCOMES].join(', ')}`);
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

const refusedOutcome = (why: string): EngineError =>
  new EngineError('invalid_input', `upstreamOutcome: ${why}.`, { detail: { field: 'upstreamOutcome' } });

/**
 * Refuses an edge that waits for a running upstream, and an outcome that contradicts the end of the upstream. The end
 * that resolved the edge is not stored any more if the upstream was replayed or purged: the state of the edge tells then
 * whether it was a success.
 */
async function checkEnd(
  backend: Backend,
  { upstreamExecutionId, edgeState }: EdgeSnapshot,
  { upstreamOutcome: given }: ResolveDependencyOptions,
  clock: Clock,
): Promise<void> {
  if (edgeState !== 'unsatisfied' && given === undefined) return;
  const read = () => backend.readExecutionInfo({ executionId: upstreamExecutionId });
  const upstream = await readPatiently(clock, read);
  const stored = upstream?.stateVector.terminalOutcome;
  if (edgeState === 'unsatisfied' && (stored === undefined || stored === 'none'))
    throw new EngineError('execution_not_terminal', `${upstreamExecutionId} has not ended.`);
  if (given === undefined || given === stored) return;
  const isForgotten = edgeState !== 'unsatisfied' && (upstream === undefined || upstream.replayCount > 0);
  if (!isForgotten || (given === 'success') !== (edgeState === 'satisfied'))
    throw refusedOutcome(`${upstreamExecutionId} did not end with ${given}`);
}

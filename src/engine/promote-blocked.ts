/**
 * promoteBlockedToEligible: lets an execution continue whose dependencies are decided. It is a composition: the step
 * that resolves the deciding edge also makes its downstream eligible, and this call brings that step forward if it is
 * still due. Spec 08 section 3.8, ruling 43.
 */
import { EngineError } from '../../model/errors.js';
import type { ExecutionInfo } from '../../model/execution/projections.js';
import { partitionOfExecution } from '../../model/ids.js';
import type { Backend } from '../backend/backend.js';
import { checkClock, checkOptionNames, needBackend } from '../backend/settings.js';
import { bringForward, readPatiently } from './bring-forward.js';
import { systemClock, type Clock } from './clock.js';

export interface PromoteOptions {
  /** The execution that waits for its dependencies. */
  readonly executionId: string;
  /** The clock of retries and waits. Default that of the system. */
  readonly clock?: Clock | undefined;
}

export interface PromoteOutcome {
  /** It waited for its dependencies when this call began, and does so no more. */
  readonly kind: 'promoted';
  readonly executionId: string;
}

/** Ends of executions that no worker has run. */
const NEVER_RAN: ReadonlySet<string> = new Set(['skipped', 'cancelled', 'expired']);

/**
 * Promotes an execution whose dependencies let it continue.
 * @throws EngineError `execution_not_found`; `not_runnable`: it runs, is suspended or has ended; `not_blocked_by_deps`;
 *   `deps_not_satisfied`: too few of its upstreams have completed, or its flow is not sealed, with the numbers of
 *   `unsatisfied` and `impossible` edges in the detail; `call_timeout` after half a minute; what calls throw
 * @example await promoteBlockedToEligible(backend, { executionId });
 */
export async function promoteBlockedToEligible(backend: Backend, options: PromoteOptions): Promise<PromoteOutcome> {
  const where = 'promoteBlockedToEligible()';
  needBackend(where, backend);
  checkOptionNames(where, options, ['executionId', 'clock']);
  checkClock(where, options.clock);
  const { executionId, clock = systemClock } = options;
  const look = (): Promise<ExecutionInfo | undefined> =>
    readPatiently(clock, () => backend.readExecutionInfo({ executionId }));
  let info = blockedIn(executionId, await look());
  const isDone = async (): Promise<boolean> => {
    const now = await look();
    if (now === undefined || !isBlocked(now)) return hasContinued(executionId, now);
    info = now;
    return false;
  };
  if (await bringForward(backend, partitionOfExecution(executionId), { clock, isDone }))
    return { kind: 'promoted', executionId };
  const { runningCount = 0, failedCount = 0, skippedCount = 0 } = { ...info.group };
  throw new EngineError('deps_not_satisfied', `${executionId} still waits for its dependencies.`, {
    detail: { unsatisfied: String(runningCount), impossible: String(failedCount + skippedCount) },
  });
}

const isBlocked = ({ stateVector }: ExecutionInfo): boolean =>
  stateVector.eligibilityState === 'blocked_by_dependencies';

const notRunnable = ({ executionId, publicState }: ExecutionInfo): EngineError =>
  new EngineError('not_runnable', `${executionId} is ${publicState}.`, { detail: { publicState } });

const notFound = (executionId: string): EngineError =>
  new EngineError('execution_not_found', `There is no execution ${executionId}.`);

/** The execution, if it waits for its dependencies. @throws EngineError if it does not */
function blockedIn(executionId: string, info: ExecutionInfo | undefined): ExecutionInfo {
  if (info === undefined) throw notFound(executionId);
  if (isBlocked(info)) return info;
  if (info.stateVector.lifecyclePhase !== 'runnable') throw notRunnable(info);
  throw new EngineError('not_blocked_by_deps', `${executionId} does not wait for dependencies.`);
}

/** Whether an execution that waited for its dependencies went on to run. @throws EngineError if it ended instead */
function hasContinued(executionId: string, info: ExecutionInfo | undefined): true {
  if (info === undefined) throw notFound(executionId);
  if (NEVER_RAN.has(info.stateVector.terminalOutcome)) throw notRunnable(info);
  return true;
}

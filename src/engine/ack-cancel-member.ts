/**
 * ackCancelMember: makes sure that a cancelled flow has ended a member. It is a composition: which members are to end
 * follows from the flow, so there is no list from which an acknowledgement would remove one (ruling 29). This call brings
 * the due work forward that ends the member. Spec 08 section 9.4, ruling 43.
 */
import { EngineError } from '../../model/errors.js';
import { partitionOfExecution } from '../../model/ids.js';
import type { Backend } from '../backend/backend.js';
import { checkClock, checkOptionNames, needBackend } from '../backend/settings.js';
import { bringForward, readPatiently } from './bring-forward.js';
import { pendingMembersOf, statesToEnd } from './cancel-flow.js';
import { systemClock, type Clock } from './clock.js';

export interface AckCancelMemberOptions {
  /** The flow. */
  readonly flowId: string;
  /** The member. */
  readonly executionId: string;
  /** The clock of retries and waits. Default that of the system. */
  readonly clock?: Clock | undefined;
}

export interface AckCancelMemberOutcome {
  /** The flow owes this member no cancellation: it has ended, or the flow does not end it. */
  readonly kind: 'acknowledged';
  /** Number of members that the flow has yet to end; 0 unless it was cancelled. */
  readonly pendingMembers: number;
}

/**
 * Acknowledges the cancellation of a member. Repeating it is safe; so is a flow that was not cancelled or is gone, and an
 * execution that is not its member.
 * @throws EngineError `corruption`: the due work that ends the member is in quarantine; `call_timeout` after half a
 *   minute; what calls throw
 * @example await ackCancelMember(backend, { flowId, executionId });
 */
export async function ackCancelMember(
  backend: Backend,
  options: AckCancelMemberOptions,
): Promise<AckCancelMemberOutcome> {
  const where = 'ackCancelMember()';
  needBackend(where, backend);
  checkOptionNames(where, options, ['flowId', 'executionId', 'clock']);
  checkClock(where, options.clock);
  const { flowId, executionId, clock = systemClock } = options;
  const describe = () => readPatiently(clock, () => backend.describeFlow({ flowId }));
  const { cancellationPolicy: policy = 'flow_only' } = { ...(await describe()) };
  const states = statesToEnd(policy);
  const isDone = async (): Promise<boolean> => {
    if (states.length === 0) return true;
    const member = await readPatiently(clock, () => backend.describeExecution({ executionId }));
    return member?.flowId !== flowId || !states.includes(member.publicState);
  };
  if (!(await bringForward(backend, partitionOfExecution(flowId), { clock, isDone })))
    throw new EngineError('corruption', `What ends ${executionId} was set aside; see listQuarantined.`);
  return { kind: 'acknowledged', pendingMembers: pendingMembersOf(policy, await describe()) };
}

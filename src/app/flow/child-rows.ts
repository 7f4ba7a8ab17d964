/** Members of flows and children of handlers as rows, with the reason of those that did not complete. */
import type { ExecutionInfo } from '../../../model/execution/projections.js';
import type { FlowMember } from '../../../model/flow/reads.js';
import type { Backend } from '../../backend/backend.js';
import { failureOf } from '../runs/failure.js';
import type { FlowChild } from './flow.js';

/** The row of an execution. */
export function childOf(info: ExecutionInfo): FlowChild {
  const { executionId: id, executionKind: task, publicState: state, failureReason = '' } = info;
  const row = { id, task, state, category: undefined };
  switch (state) {
    case 'failed': {
      const { message, category } = failureOf(failureReason, info.failureCategory ?? '');
      return { ...row, message, category };
    }
    case 'expired':
      return { ...row, message: failureReason };
    case 'cancelled':
      return { ...row, message: info.cancellationReason ?? '' };
    default:
      return { ...row, message: '' };
  }
}

/** The row of a member. Only of one that failed or expired more is read than the list of members has. */
export async function childOfMember(
  { executionId, executionKind, publicState, cancellationReason = '' }: FlowMember,
  read: (executionId: string) => ReturnType<Backend['readExecutionInfo']>,
): Promise<FlowChild> {
  const row = { id: executionId, task: executionKind, state: publicState, message: cancellationReason };
  const info = publicState === 'failed' || publicState === 'expired' ? await read(executionId) : undefined;
  return info === undefined ? { ...row, category: undefined } : childOf(info);
}

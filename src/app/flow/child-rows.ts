/**
 * Members of flows and children of handlers as rows, with the reason why a member did not complete. A skipped member
 * has no reason of its own: its row names the members that kept it from running.
 */
import type { ExecutionInfo } from '../../../model/execution/projections.js';
import type { FlowMember } from '../../../model/flow/reads.js';
import { LIMITS } from '../../../model/limits.js';
import type { Backend } from '../../backend/backend.js';
import { describeMembers, type FailedMember } from '../../shared/errors.js';
import { unlessUnreadable } from '../../shared/unreadable.js';
import { boundText } from '../../util/text.js';
import { failureOf } from '../runs/failure.js';
import type { FlowChild } from './flow.js';

/** Longest message of a member in the row of another, bytes. */
const MAX_MESSAGE_BYTES = 500;
/** Most members that the row of a skipped member names. */
const MAX_NAMED = 10;

/** The row in errors and explanations, which name several members. */
export const failedMemberOf = (row: FlowChild): FailedMember => ({
  ...row,
  message: boundText(row.message, MAX_MESSAGE_BYTES),
});

/** The row of a member whose record is unreadable, which the engine knows by its id alone. */
export const unreadableMember = (id: string, message = ''): FailedMember => ({
  id,
  task: id,
  state: 'unreadable',
  message: boundText(message, MAX_MESSAGE_BYTES),
  category: undefined,
});

/** Makes the rows of one list. A member that several rows need is read once. */
export class ChildRows {
  private readonly causesById = new Map<string, Promise<readonly FailedMember[]>>();

  constructor(
    private readonly backend: Backend,
    /** Repeats a read for a while when the store cannot be reached. */
    private readonly call: <T>(read: () => Promise<T>) => Promise<T>,
  ) {}

  /** The row of an execution. */
  async of(info: ExecutionInfo): Promise<FlowChild> {
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
        return { ...row, message: cancellationOf(info) };
      case 'skipped':
        return { ...row, message: describeMembers(await this.causesOf(id)) };
      default:
        return { ...row, message: '' };
    }
  }

  /** The row of a member. The execution is read only if the list does not have the reason of its end. */
  async ofMember(member: FlowMember): Promise<FlowChild> {
    const { executionId, executionKind, publicState, cancellationReason = '' } = member;
    const row = { id: executionId, task: executionKind, state: publicState, category: undefined };
    switch (publicState) {
      case 'skipped':
        return { ...row, message: describeMembers(await this.causesOf(executionId)) };
      case 'failed':
      case 'expired':
        return this.read(row);
      case 'cancelled':
        return cancellationReason === '' ? this.read(row) : { ...row, message: cancellationReason };
      default:
        return { ...row, message: '' };
    }
  }

  /** The members that caused a member to be skipped, at most ten, also through other skipped members. */
  causesOf(executionId: string): Promise<readonly FailedMember[]> {
    let found = this.causesById.get(executionId);
    if (found === undefined) this.causesById.set(executionId, (found = this.readCauses(executionId)));
    return found;
  }

  private async readCauses(executionId: string): Promise<readonly FailedMember[]> {
    const causes = new Map<string, FailedMember>();
    for await (const upstream of this.impossibleUpstreams(executionId)) {
      const own = await unlessUnreadable(
        () => this.causesAt(upstream),
        () => [unreadableMember(upstream)],
      );
      for (const cause of own) causes.set(cause.id, cause);
      if (causes.size >= MAX_NAMED) break;
    }
    return [...causes.values()].slice(0, MAX_NAMED);
  }

  /** An upstream, or the members that caused it to be skipped. An upstream that runs again is no longer a cause. */
  private async causesAt(executionId: string): Promise<readonly FailedMember[]> {
    const info = await this.call(() => this.backend.readExecutionInfo({ executionId }));
    switch (info?.publicState) {
      case 'skipped':
        return this.causesOf(executionId);
      case 'failed':
      case 'cancelled':
      case 'expired':
        return [failedMemberOf(await this.of(info))];
      default:
        return [];
    }
  }

  /** The upstreams that ended without the result that the execution needed. */
  private async *impossibleUpstreams(executionId: string): AsyncGenerator<string, void, undefined> {
    const { backend, call } = this;
    let cursor: string | undefined;
    do {
      const page = await call(() =>
        backend.listEdges({ executionId, direction: 'incoming', cursor, limit: LIMITS.maxListPage }),
      );
      for (const edge of page.edges) if (edge.edgeState === 'impossible') yield edge.upstreamExecutionId;
      cursor = page.nextCursor;
    } while (cursor !== undefined);
  }

  private async read(row: Omit<FlowChild, 'message'>): Promise<FlowChild> {
    const info = await this.call(() => this.backend.readExecutionInfo({ executionId: row.id }));
    return info === undefined ? { ...row, message: '' } : this.of(info);
  }
}

/** Why a run was cancelled; a flow can have been cancelled without a reason. */
const cancellationOf = ({ cancellationReason = '', cancelledBy }: ExecutionInfo): string =>
  cancellationReason === '' && cancelledBy === 'flow_cascade' ? 'its flow was cancelled' : cancellationReason;

/** The row of a flow member in the engine's call, from the requested run. */
import type { ArgsOf } from '../../../model/machine.js';
import type { Duration } from '../../shared/duration.js';
import type { Encoded } from '../../shared/codec.js';
import { meteredPolicy, type RunMeters } from '../metering/meters.js';
import { policyOfRun, startOf, timeOf } from './policy.js';
import type { TaskDefinition } from './task.js';

type Row = NonNullable<NonNullable<ArgsOf<'createFlow'>['graph']>['members']>[number];

export interface RequestedMember {
  readonly task: TaskDefinition;
  readonly input: Encoded;
  readonly options: {
    readonly delay?: Duration | Date | undefined;
    readonly priority?: number | undefined;
    readonly tags?: Readonly<Record<string, string>> | undefined;
    readonly deadline?: Duration | Date | undefined;
  };
  readonly meters: RunMeters;
}

/** The namespace and time of the flow's creation. */
export interface MemberPlace {
  readonly namespace: string;
  /** The time of the store, ms since the epoch; used only by members with a delay, and with `endsBy`. */
  readonly now: number;
  /** When all members of the flow end as `expired`, ms since the epoch. */
  readonly endsBy?: number | undefined;
}

/** The row without the execution id. */
export function memberRow(
  { task, input: { bytes, encoding }, options, meters }: RequestedMember,
  { namespace, now, endsBy }: MemberPlace,
): Omit<Row, 'executionId'> {
  const { delay, tags, deadline, priority = task.priority } = options;
  const policy = meteredPolicy(policyOfRun(task.policy, { deadline }), namespace, meters);
  const { executionDeadlineMs: ownMs = Infinity } = task.policy?.timeoutPolicy ?? {};
  const executionDeadlineAt = endsBy === undefined ? timeOf(deadline) : Math.min(endsBy, now + ownMs);
  return {
    laneId: task.laneId,
    executionKind: task.name,
    ...(bytes === undefined ? {} : { inputPayload: bytes, payloadEncoding: encoding }),
    ...(priority === undefined ? {} : { priority }),
    ...(delay === undefined ? {} : { delayUntil: startOf(delay, now) }),
    ...(executionDeadlineAt === undefined ? {} : { executionDeadlineAt }),
    ...(tags === undefined ? {} : { tags: { ...tags } }),
    ...(policy === undefined ? {} : { policy }),
  };
}

/** What there was to wake for at one moment in a partition of the specification. */
import { compareBytes } from '../../model/ids.js';
import { isQueued } from '../../model/execution/situation.js';
import { queueNameOf, queueScore } from '../../model/schedule/queue.js';
import { timersByDefinition } from '../../model/schedule/view.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import type { PartitionState } from '../../model/state.js';

export interface Queue {
  /** Executions are immutable: one that a step touched is another object. */
  readonly executions: ReadonlySet<ReadonlyExecution>;
  readonly head: ReadonlyExecution;
}

export interface Standing {
  /** By lane, tab and name; empty queues are left out. */
  readonly queues: ReadonlyMap<string, Queue>;
  readonly paused: ReadonlySet<string>;
  /** What is due when, in this order; without purges, which are not announced. */
  readonly timers: readonly { readonly member: string; readonly at: number }[];
}

export function standingOf(state: PartitionState): Standing {
  const members = new Map<string, ReadonlyExecution[]>();
  for (const execution of state.tables.execution.values()) {
    if (!isQueued(execution)) continue;
    const name = `${execution.laneId}\t${queueNameOf(execution)}`;
    const known = members.get(name);
    if (known === undefined) members.set(name, [execution]);
    else known.push(execution);
  }
  const queues = [...members].map(([name, executions]): [string, Queue] => {
    const head = executions.reduce((first, other) => (isBefore(other, first) ? other : first));
    return [name, { executions: new Set(executions), head }];
  });
  const lanes = [...state.tables.lane.values()];
  return {
    queues: new Map(queues),
    paused: new Set(lanes.flatMap(({ laneId, laneState }) => (laneState === 'paused' ? [laneId] : []))),
    timers: timersByDefinition(state).map(({ member, at }) => ({ member, at })),
  };
}

function isBefore(a: ReadonlyExecution, b: ReadonlyExecution): boolean {
  const difference = queueScore(a) - queueScore(b);
  return difference < 0 || (difference === 0 && compareBytes(a.executionId, b.executionId) < 0);
}

/** The work and timers that a partition of the specification could announce at one moment. */
import { compareBytes } from '../../model/ids.js';
import { isQueued } from '../../model/execution/situation.js';
import { queueNameOf, queueScore } from '../../model/schedule/queue.js';
import { timersByDefinition } from '../../model/schedule/view.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import type { PartitionState } from '../../model/state.js';

export interface Queue {
  readonly executions: readonly ReadonlyExecution[];
  readonly head: ReadonlyExecution;
}

export interface Standing {
  /** By lane, tab and name; empty queues are left out. */
  readonly queues: ReadonlyMap<string, Queue>;
  /**
   * By the same name: every execution that is in the queue when it can be claimed. Executions are immutable: a step
   * that changes one makes another object.
   */
  readonly members: ReadonlyMap<string, ReadonlySet<ReadonlyExecution>>;
  readonly paused: ReadonlySet<string>;
  /** Timers with their times, in this order; without purges, which are not announced. */
  readonly timers: readonly { readonly member: string; readonly at: number }[];
}

export function standingOf(state: PartitionState): Standing {
  const members = new Map<string, Set<ReadonlyExecution>>();
  for (const execution of state.tables.execution.values()) {
    const name = `${execution.laneId}\t${queueNameOf(execution)}`;
    members.set(name, (members.get(name) ?? new Set()).add(execution));
  }
  const queues = [...members].flatMap(([name, all]): [string, Queue][] => {
    const executions = [...all].filter(isQueued);
    const [first, ...others] = executions;
    if (first === undefined) return [];
    return [
      [name, { executions, head: others.reduce((head, other) => (isBefore(other, head) ? other : head), first) }],
    ];
  });
  const lanes = [...state.tables.lane.values()];
  return {
    queues: new Map(queues),
    members,
    paused: new Set(lanes.flatMap(({ laneId, laneState }) => (laneState === 'paused' ? [laneId] : []))),
    timers: timersByDefinition(state).map(({ member, at }) => ({ member, at })),
  };
}

function isBefore(a: ReadonlyExecution, b: ReadonlyExecution): boolean {
  const difference = queueScore(a) - queueScore(b);
  return difference < 0 || (difference === 0 && compareBytes(a.executionId, b.executionId) < 0);
}

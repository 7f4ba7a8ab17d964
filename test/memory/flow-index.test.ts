/** Edges that lead out of an execution stay in the order of their ids, also when some come after the first look. */
import { describe, expect, it } from 'vitest';
import type { EventNamed } from '../../model/events.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { emptyPartition } from '../../model/state.js';
import { FlowIndex } from '../../src/memory/flow-index.js';

const FLOW = '00000000-0000-7000-8000-00000000f10f';
const UPSTREAM = '00000000-0000-7000-8000-000000000001';
const uuid = (number: number): string => `00000000-0000-7000-8000-${number.toString(16).padStart(12, '0')}`;
const idOf = (member: string): string => `{fp:0}:${member}`;

function opened() {
  const index = new FlowIndex();
  const { outgoing } = index.view(emptyPartition().state);
  const targets = new Map<number, ReadonlyExecution>();
  /** The target of an edge with this number. */
  const stage = (number: number): void => {
    const edgeId = uuid(number);
    const target = {
      executionId: idOf(uuid(1_000 + number)),
      flow: FLOW,
      rank: number,
      situation: 'blocked_dependencies',
      dependencies: { [edgeId]: { upstream: UPSTREAM } },
    } as unknown as ReadonlyExecution;
    targets.set(number, target);
    index.before(undefined);
    index.after(target, false, {
      type: 'dependencies_staged',
      edges: [{ edgeId, upstream: UPSTREAM, dataPassingRef: '' }],
    } as unknown as EventNamed<'dependencies_staged'>);
  };
  const forget = (number: number): void => {
    const target = targets.get(number) as ReadonlyExecution;
    index.before(target);
    index.after(target, true);
  };
  return {
    stage,
    forget,
    edges: (after = '', limit = 10) => outgoing(idOf(UPSTREAM), after, limit).map(({ edgeId }) => edgeId),
  };
}

describe('outgoing edges', () => {
  it('stay in the order of their ids when an edge with a lower id is added after a read', () => {
    const { stage, edges } = opened();
    stage(5);
    stage(3);
    expect(edges()).toEqual([uuid(3), uuid(5)]);
    stage(4);
    stage(1);
    stage(9);
    expect(edges()).toEqual([1, 3, 4, 5, 9].map(uuid));
  });

  it('are read in pages, after any id', () => {
    const { stage, edges } = opened();
    for (const number of [8, 2, 6, 4]) stage(number);
    expect(edges('', 2)).toEqual([2, 4].map(uuid));
    expect(edges(uuid(4), 2)).toEqual([6, 8].map(uuid));
    expect(edges(uuid(5), 1)).toEqual([uuid(6)]);
    expect(edges(uuid(8))).toEqual([]);
  });

  it('are removed with their downstream execution only', () => {
    const { stage, forget, edges } = opened();
    for (const number of [2, 4, 6]) stage(number);
    forget(4);
    forget(6);
    stage(3);
    expect(edges()).toEqual([2, 3].map(uuid));
  });
});

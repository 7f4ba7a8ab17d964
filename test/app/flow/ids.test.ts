/** Ids of the members and edges of a flow: all are different, and all follow from the id of the flow. */
import { describe, expect, it } from 'vitest';
import { isExecutionId, isUuid, uuidOfExecution } from '../../../model/ids.js';
import { LIMITS } from '../../../model/limits.js';
import { FlowIds } from '../../../src/app/flow/ids.js';

const FLOW = '{fp:3}:0190b0f0-1234-7abc-8def-0123456789ab';
const OTHER = '{fp:3}:0190b0f0-1234-7abc-8def-0123456789ac';

const membersOf = (flowId: string, count: number): string[] => {
  const ids = new FlowIds(flowId);
  return Array.from({ length: count }, (_, node) => ids.member(node));
};

describe('ids of a flow', () => {
  it('are unique for members, lie in the partition of the flow, and begin like the id of the flow', () => {
    const members = membersOf(FLOW, LIMITS.maxFlowMembers);
    expect(new Set(members).size).toBe(LIMITS.maxFlowMembers);
    expect(members.filter((id) => !isExecutionId(id) || !id.startsWith(FLOW.slice(0, 20)))).toEqual([]);
  });

  it('are unique for edges in both directions, and differ from those of members', () => {
    const ids = new FlowIds(FLOW);
    const nodes = [...Array.from({ length: 150 }, (_, node) => node), 4_095, 4_096, LIMITS.maxFlowMembers - 1];
    const edges = nodes.flatMap((upstream) => nodes.map((downstream) => ids.edge(upstream, downstream)));
    const all = [...edges, ...nodes.map((node) => uuidOfExecution(ids.member(node)))];
    expect(new Set(all).size).toBe(all.length);
    expect(all.filter((id) => !isUuid(id))).toEqual([]);
  });

  it('are the same in every process, and differ from those of another flow of the same moment', () => {
    const members = membersOf(FLOW, 100);
    expect(membersOf(FLOW, 100)).toEqual(members);
    expect(membersOf(OTHER, 100).filter((id) => members.includes(id))).toEqual([]);
  });
});

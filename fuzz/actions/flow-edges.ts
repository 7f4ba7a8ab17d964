/** How random runs add edges to flows and decide how many of them a member needs. */
import fc from 'fast-check';
import type { Command } from '../../model/machine.js';
import type { Pick } from './choices.js';
import { anyMember, flowIdOf, flowOf, flowPick, memberId, POLICIES, policy, type FlowPick } from './flow-choices.js';
import { generator } from './generator.js';
import { chosenId, type World } from './world.js';

interface Depend {
  readonly flow: FlowPick;
  readonly upstream: Pick;
  readonly downstream: Pick;
  /** The id of an existing edge, and its ends. */
  readonly again: 'no' | 'same' | 'other';
  readonly revision: 'none' | 'current' | 'old';
  readonly way: 'addDependency' | 'stageDependencyEdge' | 'applyDependencyToChild';
  readonly ref: boolean;
  readonly outside: boolean;
}

function depend(world: World, choices: Depend): Command[] {
  const flow = flowOf(world, choices.flow);
  const known = world.executions.flatMap(({ executionId, flow: of, dependencies = {} }) =>
    of !== flow?.flow
      ? []
      : Object.entries(dependencies).map(([edgeId, { upstream, dataPassingRef }]) => ({
          edgeId,
          upstreamExecutionId: `${world.partition}:${upstream}`,
          downstreamExecutionId: executionId,
          dataPassingRef: dataPassingRef === '' ? undefined : dataPassingRef,
        })),
  );
  const edge = choices.again === 'no' ? undefined : known[choices.upstream.index % Math.max(1, known.length)];
  const fresh = {
    upstreamExecutionId: choices.outside ? chosenId(world, choices.upstream) : memberId(world, flow, choices.upstream),
    downstreamExecutionId: memberId(world, flow, choices.downstream),
    dataPassingRef: choices.ref ? 'it' : undefined,
  };
  const ends = edge !== undefined && choices.again === 'same' ? edge : fresh;
  const args = { ...ends, flowId: flowIdOf(world, choices.flow), edgeId: edge?.edgeId ?? world.uuid() };
  const revision = flow?.graphRevision ?? 0;
  const expected = choices.revision === 'none' ? undefined : choices.revision === 'current' ? revision : revision + 1;
  if (choices.way === 'applyDependencyToChild') {
    const { flowId, edgeId, upstreamExecutionId, downstreamExecutionId } = args;
    return [{ name: choices.way, args: { flowId, edgeId, upstreamExecutionId, downstreamExecutionId } }];
  }
  if (choices.way === 'stageDependencyEdge')
    return [{ name: choices.way, args: { ...args, expectedGraphRevision: expected ?? revision } }];
  return [{ name: choices.way, args: { ...args, expectedGraphRevision: expected } }];
}

export const flowEdgeActions = {
  depend: generator<Depend>({
    weight: 7,
    choices: {
      flow: flowPick,
      upstream: anyMember,
      downstream: anyMember,
      again: fc.constantFrom('no' as const, 'no' as const, 'no' as const, 'same' as const, 'other' as const),
      revision: fc.constantFrom('none' as const, 'current' as const, 'current' as const, 'old' as const),
      way: fc.constantFrom(
        'addDependency' as const,
        'addDependency' as const,
        'stageDependencyEdge' as const,
        'applyDependencyToChild' as const,
      ),
      ref: fc.boolean(),
      outside: fc.constantFrom(false, false, false, false, true),
    },
    resolve: depend,
  }),
  group_policy: generator({
    weight: 4,
    choices: { flow: flowPick, downstream: anyMember, policy, outside: fc.constantFrom(false, false, false, true) },
    resolve(world, { flow, downstream, policy, outside }) {
      const known = flowOf(world, flow);
      return [
        {
          name: 'setEdgeGroupPolicy',
          args: {
            flowId: flowIdOf(world, flow),
            downstreamExecutionId: outside ? chosenId(world, downstream) : memberId(world, known, downstream),
            policy: POLICIES[policy] as (typeof POLICIES)[number],
          },
        },
      ];
    },
  }),
};

/** How random runs let owners spawn children and wait for them. */
import fc from 'fast-check';
import type { Command } from '../../model/machine.js';
import { owner, seldom, type Owner } from './choices.js';
import { flowOf, flowPick, graphOf, POLICIES, policy, row, type FlowPick, type Row } from './flow-choices.js';
import { generator } from './generator.js';
import { claimantOf, type World } from './world.js';

interface Spawn {
  readonly owner: Owner;
  readonly rows: readonly Row[];
  readonly policy: number;
  /** Existing children. */
  readonly again: true | null;
  /** The id of an existing flow. */
  readonly taken: FlowPick;
  /** The id of an existing edge. */
  readonly edge: true | null;
  readonly asNewGroup: boolean;
}

function spawn(world: World, choices: Spawn): Command[] {
  const { execution, args } = claimantOf(world, choices.owner);
  const { members } = graphOf(world, choices.rows, []);
  const wanted = POLICIES[choices.policy] as (typeof POLICIES)[number];
  const [known] = Object.entries(execution?.dependencies ?? {});
  const first = choices.again && known !== undefined ? `${world.partition}:${known[1].upstream}` : undefined;
  const children = members.map((member, at) => ({
    ...member,
    executionId: (at === 0 ? first : undefined) ?? member.executionId,
    edgeId: (at === 0 && choices.edge ? known?.[0] : undefined) ?? world.uuid(),
    dataPassingRef: at === 1 ? 'result' : undefined,
  }));
  const flow = choices.taken === null ? undefined : flowOf(world, choices.taken);
  return [
    {
      name: 'spawnChildren',
      args: {
        ...args,
        flowId: `${world.partition}:${flow?.flow ?? world.uuid()}`,
        policy: wanted.kind === 'quorum' && children.length < wanted.k ? { kind: 'all_of' } : wanted,
        asNewGroup: choices.asNewGroup,
        children,
      },
    },
  ];
}

export const childActions = {
  spawn: generator<Spawn>({
    weight: 5,
    choices: {
      owner,
      rows: fc.array(row, { minLength: 1, maxLength: 3 }),
      policy,
      again: seldom(fc.constant(true), 5),
      taken: seldom(flowPick, 12),
      edge: seldom(fc.constant(true), 12),
      asNewGroup: fc.constantFrom(false, false, true),
    },
    resolve: spawn,
  }),
  /** A parent waits for some of its children, and for a signal or a time beside them. */
  await_children_beside: generator({
    weight: 5,
    choices: {
      owner,
      more: fc.constantFrom(1, 1, 2, 3),
      unseen: fc.constantFrom(0, 0, 0, 1),
      inMs: seldom(fc.constantFrom(1, 500, 5_000), 2),
      resumeDelayMs: fc.constantFrom(0, 0, 0, 5),
      key: seldom(fc.constant('beside'), 4),
    },
    resolve(world, { owner, more, unseen, inMs, resumeDelayMs, key }) {
      const { execution, args } = claimantOf(world, owner);
      const seenChildren = Math.max(0, (execution?.endedChildren ?? 0) - unseen);
      const waitpointKey = 'beside';
      return [
        {
          name: 'suspendExecution',
          args: {
            ...{ executionId: args.executionId, fence: args.fence, attemptIndex: args.attemptIndex },
            suspensionId: world.uuid(),
            waitpoints: [{ waitpointId: world.uuid(), waitpointKey }],
            resumeCondition: { type: 'single', waitpointKey, matcher: { type: 'wildcard' } },
            timeoutAt: inMs === null ? undefined : world.now + inMs,
            resumePolicy: { resumeDelayMs },
            idempotencyKey: key ?? undefined,
            seenChildren,
            awaitedChildren: seenChildren + more,
          },
        },
      ];
    },
  }),
  await_children: generator({
    weight: 5,
    choices: { owner },
    resolve: (world, { owner }) => [{ name: 'moveToWaitingChildren', args: claimantOf(world, owner).args }],
  }),
};

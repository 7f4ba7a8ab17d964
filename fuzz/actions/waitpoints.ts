/** How random runs create waitpoints before they are used, close them, and let them expire. */
import fc from 'fast-check';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { owner, pick, seldom, type Owner } from './choices.js';
import { generator } from './generator.js';
import { KEYS } from './waiting-choices.js';
import { choose, chosenId, claimantOf, type World } from './world.js';

interface OfWaitpoint {
  readonly owner: Owner;
  readonly index: number;
  /** An existing or former one. */
  readonly known: boolean;
}

/** An unused waitpoint, or another one. */
function pendingOf(
  world: World,
  execution: ReadonlyExecution | undefined,
  { index, known }: Omit<OfWaitpoint, 'owner'>,
) {
  const { pendingIds = [], waitpoints = {} } = execution?.waiting ?? {};
  const ids = known && pendingIds.length > 0 ? pendingIds : Object.keys(waitpoints);
  return ids[index % Math.max(1, ids.length)] ?? world.uuid();
}

interface CreatePending extends OfWaitpoint {
  readonly key: number;
  readonly again: true | null;
  readonly inMs: number;
  readonly cap: 1 | null;
}

export const waitpointActions = {
  create_pending: generator<CreatePending>({
    weight: 9,
    choices: {
      owner,
      index: fc.nat(4),
      known: fc.boolean(),
      key: fc.nat(KEYS.length - 1),
      again: seldom(fc.constant(true as const), 6),
      inMs: fc.constantFrom(1, 400, 5_000, 604_800_000),
      cap: seldom(fc.constant(1 as const), 6),
    },
    resolve(world, { owner, key, again, inMs, cap, ...which }) {
      const { execution, args } = claimantOf(world, owner);
      const { executionId, fence, attemptIndex } = args;
      const waitpointId = again === null ? world.uuid() : pendingOf(world, execution, which);
      const known = execution?.waiting?.waitpoints[waitpointId]?.waitpointKey;
      const waitpointKey = which.index > 0 && known !== undefined ? known : (KEYS[key] as string);
      return [
        {
          name: 'createPendingWaitpoint',
          args: {
            ...{ executionId, fence, attemptIndex, waitpointId, waitpointKey, expiresInMs: inMs },
            maxWaitpointsPerExecution: cap ?? undefined,
          },
        },
      ];
    },
  }),
  close_waitpoint: generator<OfWaitpoint>({
    weight: 3,
    choices: { owner, index: fc.nat(4), known: fc.boolean() },
    resolve(world, { owner, ...which }) {
      const { execution, args } = claimantOf(world, owner);
      const { executionId, fence, attemptIndex } = args;
      const waitpointId = pendingOf(world, execution, which);
      return [{ name: 'closeWaitpoint', args: { executionId, fence, attemptIndex, waitpointId } }];
    },
  }),
  expire_pending: generator({
    weight: 3,
    choices: { pick: pick('waited', 'waited', 'running', 'terminal'), index: fc.nat(4), known: fc.boolean() },
    resolve(world, { pick, ...which }) {
      const waitpointId = pendingOf(world, choose(world, pick), which);
      return [{ name: 'expirePendingWaitpoint', args: { executionId: chosenId(world, pick), waitpointId } }];
    },
  }),
};

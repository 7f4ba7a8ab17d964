/**
 * The "eventually" property: from any state, when time passes, the engine applies due work, and an honest worker takes
 * and completes what it can, every execution ends.
 */
import { isBlocked, isTerminal } from '../../model/execution/situation.js';
import { LIMITS } from '../../model/limits.js';
import type { Command } from '../../model/machine.js';
import { nextTimer } from '../../model/schedule/timers.js';
import { claimedIn } from '../claimed.js';
import { apply, decide, idOf, PARTITION, type Node, type Registry, type Small } from './node.js';

/** Rounds within which everything must have ended: each one ends, claims or promotes something, or lets time pass. */
const MAX_ROUNDS = 40;
const ALL = ['gpu'];

/** Why a state does not reach an end, if so. */
export function unsettled(node: Node, registry: Registry): string | undefined {
  // An earlier loop is gone: time passes until the others need not wait for it.
  let world: Small & { readonly now: number } = { ...node, applier: undefined };
  let minted = node.minted;
  const run = (command: Command): void => {
    world = { ...apply(world, decide(world, command, registry)), now: world.now };
  };
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const open = [...world.state.tables.execution.values()].filter(({ situation }) => !isTerminal(situation));
    if (open.length === 0) return undefined;
    const before = world.state;
    // Operators and schedulers release in the end what they hold or block.
    for (const { executionId, situation, heldAt } of open) {
      if (heldAt !== undefined) run({ name: 'releaseHold', args: { executionId } });
      if (isBlocked(situation)) run({ name: 'unblockExecution', args: { executionId } });
    }
    run({ name: 'applyDue', args: { partition: PARTITION, owner: 'honest' } });
    const claims = open.map(() => ({ leaseId: idOf(++minted), attemptId: idOf(++minted) }));
    const decision = decide(
      world,
      {
        name: 'claimForWorker',
        args: {
          partition: PARTITION,
          laneId: 'main',
          workerId: 'pool',
          workerInstanceId: 'honest',
          workerCapabilities: ALL,
          leaseTtlMs: LIMITS.minLeaseTtlMs,
          claims,
        },
      },
      registry,
    );
    world = { ...apply(world, decision), now: world.now };
    if (decision.ok) {
      for (const { executionId, leaseId, leaseEpoch, attemptId } of claimedIn(decision.outcome))
        run({ name: 'completeExecution', args: { executionId, fence: { leaseId, leaseEpoch, attemptId } } });
    }
    if (world.state !== before) continue;
    const next = Math.min(...open.map((execution) => nextTimer(execution)?.at ?? Number.POSITIVE_INFINITY));
    if (!Number.isFinite(next))
      return `nothing is due and nothing can be claimed: ${open.map(({ situation }) => situation).join(', ')}`;
    if (next <= world.now) return `what is due at ${next} changes nothing`;
    world = { ...world, now: next };
  }
  return `not over after ${MAX_ROUNDS} rounds`;
}

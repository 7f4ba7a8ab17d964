/** How random runs call what operators do to one execution: holds. */
import fc from 'fast-check';
import { pick, type Pick } from './choices.js';
import { generator } from './generator.js';
import { chosenId, type World } from './world.js';

/** Who asks and why: short, or too long for the core of a record. */
const WORDS = ['', 'shop is closed', 'because '.repeat(12)] as const;
const REQUESTERS = [undefined, 'ann', `${'team/'.repeat(14)}ann`] as const;

const asked = (
  world: World,
  { pick, words }: { readonly pick: Pick; readonly words: number },
): { executionId: string; reason: string; requestedBy: string | undefined } => ({
  executionId: chosenId(world, pick),
  reason: WORDS[words] as string,
  requestedBy: REQUESTERS[words],
});

export const operatingActions = {
  hold: generator({
    weight: 4,
    choices: { pick: pick('claimable', 'claimable', 'running', 'runnable', 'held', 'terminal'), words: fc.nat(2) },
    resolve: (world, choices) => [{ name: 'holdExecution', args: asked(world, choices) }],
  }),
  release_hold: generator({
    weight: 4,
    choices: { pick: pick('held', 'held', 'held', 'runnable'), words: fc.nat(2) },
    resolve: (world, choices) => [{ name: 'releaseHold', args: asked(world, choices) }],
  }),
};

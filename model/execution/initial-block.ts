/**
 * A block from the first moment: an outside scheduler never races with workers between a creation and
 * `blockExecutionForAdmission`. The execution is created and blocked, or held, in one step. `unblockExecution` ends the
 * block and `releaseHold` the hold, like those that come later.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { keysOf } from '../core/tables.js';
import { withWireForm } from '../core/wire-form.js';
import type { Event } from '../events.js';
import { LIMITS } from '../limits.js';
import { BLOCKS, SITUATIONS, type BlockReason } from './situation.js';

const isBlock = (reason: string): reason is BlockReason => Object.hasOwn(BLOCKS, reason);

/** The letter on the wire that stands for a hold; blocks have those of their situations. */
export const HOLD_LETTER = 'h';

/** A block or hold from the first moment. */
export interface InitialBlock {
  readonly blockingReason: BlockReason | 'paused_by_operator';
  readonly blockingDetail?: string | undefined;
}

export const initialBlock = withWireForm(
  z.strictObject({
    /** `paused_by_operator` is a hold, with the creator as its requester. */
    blockingReason: z.enum([...keysOf(BLOCKS), 'paused_by_operator']),
    /** A description for readers, without control characters. */
    blockingDetail: field.label(LIMITS.maxReasonBytes).optional(),
  }),
  {
    encode(value) {
      if (value === undefined) return [''];
      const { blockingReason, blockingDetail = '' } = value as InitialBlock;
      const letter = isBlock(blockingReason) ? SITUATIONS[BLOCKS[blockingReason]].letter : HOLD_LETTER;
      return [letter + blockingDetail];
    },
  },
);

/** Whether it can be combined with a delay, as a hold can: only work that could be claimed is blocked. */
export const allowsDelay = ({ blockingReason }: InitialBlock): boolean => !isBlock(blockingReason);

/** The event behind the creation. */
export function blockedAtBirth(
  { blockingReason, blockingDetail = '' }: InitialBlock,
  { executionId, creatorIdentity }: { readonly executionId: string; readonly creatorIdentity: string },
  at: number,
): Event {
  return isBlock(blockingReason)
    ? { type: 'execution_blocked', executionId, at, blockingReason, blockingDetail }
    : { type: 'execution_held', executionId, at, heldBy: creatorIdentity, holdReason: blockingDetail };
}

/** The public state of such an execution, which is delayed or not. */
export function publicStateAtBirth(
  { blockingReason }: InitialBlock,
  isDelayed: boolean,
): 'waiting' | 'delayed' | 'rate_limited' {
  if (isDelayed) return 'delayed';
  const { publicState } = SITUATIONS[isBlock(blockingReason) ? BLOCKS[blockingReason] : 'ready'];
  return publicState === 'rate_limited' ? publicState : 'waiting';
}

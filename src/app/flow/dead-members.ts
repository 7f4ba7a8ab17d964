/** Members whose replay can make a failed flow complete, for `replay()` of the flow. */
import { isSiblingReason, PARENT_CANCELLED } from '../../../model/flow/cancellation.js';
import type { ToReplay } from '../../engine/replay-many.js';
import { firstDeciding, type Listed } from './listed-members.js';

/** Members whose facts are read together. */
const TOGETHER = 50;

/**
 * The members that make the flow fail: those that failed or expired, and those that the engine cancelled because of
 * them. The last to join come first, so children come before the parent that asks for their results.
 */
export async function* deadMembers(listed: Listed): AsyncGenerator<ToReplay, void, undefined> {
  const { backend, call } = listed;
  const { members } = await firstDeciding(listed, Infinity);
  const dead = members.filter(
    ({ publicState, cancellationReason = '' }) =>
      publicState !== 'cancelled' || (isSiblingReason(cancellationReason) && cancellationReason !== PARENT_CANCELLED),
  );
  const ids = dead.map(({ executionId }) => executionId).reverse();
  for (let from = 0; from < ids.length; from += TOGETHER) {
    const page = ids.slice(from, from + TOGETHER);
    const infos = page.map((executionId) => call(() => backend.readExecutionInfo({ executionId })));
    for (const info of await Promise.all(infos)) if (info !== undefined) yield info;
  }
}

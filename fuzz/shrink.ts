/**
 * Shortens a failing run by leaving out ever smaller pieces while it still fails. Actions refer to things by choice, so
 * any remaining action still has a meaning. Needs far fewer tries than shrinking values one by one.
 */
import type { Action } from './actions/index.js';

export interface Shrunk {
  readonly actions: readonly Action[];
  /** The failure of the short run. */
  readonly error: unknown;
}

/** The shortest failing run found within the time limit, ms. `attempt` rejects when a run fails. */
export async function shrink(
  failing: readonly Action[],
  error: unknown,
  attempt: (actions: readonly Action[]) => Promise<unknown>,
  timeLimitMs: number,
): Promise<Shrunk> {
  const deadline = performance.now() + timeLimitMs;
  let shortest: Shrunk = { actions: failing, error };
  /** Whether the run still fails; keeps it when it does. */
  const fails = async (actions: readonly Action[]): Promise<boolean> => {
    try {
      await attempt(actions);
      return false;
    } catch (next) {
      shortest = { actions, error: next };
      return true;
    }
  };
  for (let size = Math.ceil(failing.length / 2); size >= 1; ) {
    let shorter = false;
    for (let from = 0; from < shortest.actions.length && performance.now() < deadline; ) {
      const rest = shortest.actions.toSpliced(from, size);
      if (rest.length > 0 && (await fails(rest))) shorter = true;
      else from += size;
    }
    if (performance.now() >= deadline) break;
    if (!shorter || size > 1) size = size === 1 ? 0 : Math.ceil(size / 2);
  }
  for (let at = 0; at < shortest.actions.length; at++) {
    for (let member = 0; performance.now() < deadline; ) {
      const batch = shortest.actions[at];
      if (batch?.do !== 'batch' || member >= batch.actions.length) break;
      const members = batch.actions.toSpliced(member, 1);
      const smaller = members.length === 1 ? (members[0] as Action) : { ...batch, actions: members };
      if (!(await fails(shortest.actions.with(at, smaller)))) member += 1;
    }
  }
  return shortest;
}

/**
 * Applies the due work of a partition now, for a caller that needs its effect before it continues. Timer loops would
 * apply the same work a little later.
 */
import { EngineError } from '../../model/errors.js';
import { LIMITS } from '../../model/limits.js';
import type { Backend } from '../backend/backend.js';
import { sleep, spread, type Clock } from './clock.js';
import { applyDuePass, EAGER_MS, MAX_REST_MS, type DuePass } from './due.js';
import { withRetries } from './retry.js';

/** How long a call is retried while the store is unreachable, and how long due work is applied, ms. */
const PATIENCE_MS = 10_000;
const BRINGING_MS = 30_000;
/** Pause while another loop applies the work, ms. */
const PAUSE_MS = 20;
/** Callers that apply due work by hand share one reservation of the partition. */
const OWNER = 'operator';

/** Reads with retries, as compositions do. */
export const readPatiently = <Answer>(clock: Clock, read: () => Promise<Answer>): Promise<Answer> =>
  withRetries(clock, PATIENCE_MS, read);

/**
 * Applies due work until `isDone`, or until nothing is due that was due when a pass began. Repeating it is safe, in any
 * number of processes.
 * @param isDone looks before every pass
 * @returns the last answer of `isDone`
 * @throws EngineError `call_timeout` after half a minute; what `isDone` throws; what calls throw
 */
export async function bringForward(
  backend: Backend,
  partition: string,
  { clock, isDone }: { readonly clock: Clock; readonly isDone: () => Promise<boolean> },
): Promise<boolean> {
  const endsAt = clock.now() + BRINGING_MS;
  const pass = { limit: LIMITS.maxPageSize, owner: OWNER, random: () => clock.random() };
  let busyMs = 0;
  for (;;) {
    if (await isDone()) return true;
    const begunAt = clock.now();
    const applied = await readPatiently(clock, () => applyDuePass(backend, partition, pass));
    const tookMs = clock.now() - begunAt;
    busyMs += tookMs;
    if (await isAllApplied(backend, clock, applied)) return isDone();
    if (clock.now() >= endsAt) throw new EngineError('call_timeout', `${partition} still has due work.`);
    if (applied.leftUntil !== undefined) await sleep(clock, spread(clock, PAUSE_MS, 0.2));
    // As a timer loop does over a long backlog.
    else if (busyMs > EAGER_MS) await sleep(clock, Math.min(tookMs, MAX_REST_MS));
  }
}

/** Whether the pass left nothing due. Purges come only when nothing else is due. */
async function isAllApplied(backend: Backend, clock: Clock, pass: DuePass): Promise<boolean> {
  const { leftUntil, more, purged, nextDueAt } = pass;
  if (leftUntil !== undefined) return false;
  if (!more || purged > 0 || nextDueAt === undefined) return true;
  return nextDueAt > (await readPatiently(clock, () => backend.serverTime()));
}

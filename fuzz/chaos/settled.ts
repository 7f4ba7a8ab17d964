/** Waiting for the end of work whose duration nobody knows: it depends on the machine, but it must go on. */

/**
 * What has not ended when nothing has for so long never will, ms. A run whose workers were often lost is delayed by up
 * to 90 s.
 */
const STUCK_MS = 150_000;

/** Asks which items have not ended until all have. Returns those that never will. */
export async function settled<Item>(
  items: readonly Item[],
  unended: (items: readonly Item[]) => Promise<readonly Item[]>,
): Promise<readonly Item[]> {
  let pending = items;
  for (let lastAt = performance.now(); pending.length > 0 && performance.now() < lastAt + STUCK_MS; ) {
    const left = await unended(pending);
    if (left.length < pending.length) lastAt = performance.now();
    pending = left;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return pending;
}

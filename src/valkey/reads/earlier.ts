/** The steps, waits and signals of earlier owners of an execution, from the answer to a claim. */
import type { ReadonlyExecution } from '../../../model/execution/facts.js';
import { earlierIn, type Earlier } from '../../../model/schedule/earlier.js';
import { viewOf } from './fetch.js';
import { bytesByName, pairsOf, repliesOf, type WireReply } from '../wire/reply.js';
import { stepsIn } from './steps.js';
import { decodeWaits } from '../records/waits.js';

/**
 * Decodes steps with their values, waits, and signal payloads (`lua/schedule/earlier.lua`). Undefined if they are
 * absent or unreadable: the owner then reads them itself, and gets the error.
 */
export function earlierOf(part: WireReply, executionId: string): Earlier | undefined {
  if (!Array.isArray(part)) return undefined;
  try {
    const [recorded, waits, brought] = repliesOf(part, 3);
    const steps = stepsIn(bytesByName(recorded));
    const execution = { waiting: decodeWaits(pairsOf(waits)) } as ReadonlyExecution;
    const payloads = bytesByName(brought);
    const view = viewOf({
      steps: { page: () => ({ steps, stepCount: steps.length }) },
      executions: { get: () => execution, payload: (_, signalId) => payloads.get(signalId) },
    });
    return earlierIn(view, executionId);
  } catch {
    return undefined;
  }
}

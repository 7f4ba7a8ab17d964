/** The steps, waits and signals of earlier owners of an execution, from the answer to a claim. */
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { earlierIn, type Earlier } from '../../model/schedule/earlier.js';
import { pairsOf, viewOf } from './fetch.js';
import { textOf, type WireReply } from './reply.js';
import { stepOf, withValue } from './steps.js';
import { decodeWaits } from './waits.js';

/**
 * Decodes steps with their values, waits, and signal payloads (`lua/schedule/earlier.lua`). Undefined if they are
 * absent or unreadable: the owner then reads them itself, and gets the error.
 */
export function earlierOf(part: WireReply, executionId: string): Earlier | undefined {
  if (!Array.isArray(part)) return undefined;
  try {
    const [texts, values, waits, brought] = part as [WireReply[], WireReply[], WireReply[], WireReply[]];
    const steps = texts.map((text, index) => withValue(stepOf(textOf(text)), values[index] as Buffer));
    const execution = { waiting: decodeWaits(pairsOf(waits)) } as ReadonlyExecution;
    const payloads = new Map<string, Buffer>();
    for (let i = 0; i + 1 < brought.length; i += 2) payloads.set(textOf(brought[i] ?? null), brought[i + 1] as Buffer);
    const view = viewOf({
      steps: { page: () => ({ steps, stepCount: steps.length }) },
      executions: { get: () => execution, payload: (_, signalId) => payloads.get(signalId) },
    });
    return earlierIn(view, executionId);
  } catch {
    return undefined;
  }
}

/** What earlier owners of an execution left, as a claim's answer brings it. */
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { earlierIn, type Earlier } from '../../model/schedule/earlier.js';
import { pairsOf, viewOf } from './fetch.js';
import { textOf, type WireReply } from './reply.js';
import { stepOf, withValue } from './steps.js';
import { decodeWaits } from './waits.js';

/**
 * Steps and their values, pairs of what it waited for, pairs of what signals brought (`lua/schedule/earlier.lua`). Nothing
 * when it did not come, and when it cannot be read: the owner's own read says what is wrong.
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

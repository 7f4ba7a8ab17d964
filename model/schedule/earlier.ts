/**
 * What earlier owners of an execution left for the next one. A claim carries it while it is small, so that a handler
 * that runs again has its steps and signals without a further call.
 */
import type { ReadonlyExecution } from '../execution/facts.js';
import type { Room } from '../flow/given.js';
import { LIMITS } from '../limits.js';
import type { StepRecord } from '../step/facts.js';
import { waitsOf, type WaitsRead } from '../suspension/read-waits.js';
import { signalsOf, type SignalSummary } from '../suspension/reads.js';
import type { View } from '../view.js';

export interface Earlier {
  /** Every recorded step with its value, in the order of recording. */
  readonly steps: readonly StepRecord[];
  readonly waits: WaitsRead;
  /** Every signal with its payload, in the order of acceptance. */
  readonly signals: readonly SignalSummary[];
}

/** All of it, of any size. */
export function earlierIn(view: View, executionId: string): Earlier {
  const { steps } = view.steps.page(executionId, { from: 0, limit: LIMITS.maxCarried, values: true });
  const execution = view.executions.get(executionId);
  const { signals } = signalsOf(view, execution, executionId, { limit: LIMITS.maxCarried });
  return { steps, waits: waitsOf(execution), signals };
}

/**
 * What a claim carries; undefined for a first owner, and when it is too large, by itself or for what is left of the room
 * of its claim: then it is read.
 */
export function earlierOf(
  view: View,
  execution: ReadonlyExecution,
  leaseEpoch: number,
  room?: Room,
): Earlier | undefined {
  if (leaseEpoch === 1) return undefined;
  const { stepCount, stepBytes, waiting } = execution;
  const { signalCount = 0, waitpointCount = 0, payloadBytes = 0 } = waiting ?? {};
  if (Math.max(stepCount, signalCount, waitpointCount) > LIMITS.maxCarried) return undefined;
  const bytes = stepBytes + payloadBytes;
  if (bytes > LIMITS.maxCarriedBytes) return undefined;
  if (room !== undefined) {
    const parts = stepCount + signalCount + waitpointCount;
    if (parts > room.earlierParts || bytes > room.earlierBytes) return undefined;
    room.earlierParts -= parts;
    room.earlierBytes -= bytes;
  }
  return earlierIn(view, execution.executionId);
}

/** The frames of handlers are stored once, in order, and completely before a result. */
import type { ExecutionFacts } from './facts.js';
import type { Result } from './handlers.js';
import { short } from './story.js';
import type { World } from './world.js';

/** Checks the streams of an execution that has ended. @throws Broken */
export async function said(world: World, { executionId }: ExecutionFacts): Promise<void> {
  const { store } = world.server;
  const byCall = new Map<number, number[]>();
  for (let attemptIndex = 0; ; attemptIndex++) {
    const { frames, attemptCount = 0, isClosed } = await store.readStream({ executionId, attemptIndex, limit: 10_000 });
    if (attemptIndex >= attemptCount) break;
    if (!isClosed) world.broken('the stream of an attempt that is over is closed', short(executionId));
    for (const { payload } of frames) {
      const [call = 0, frame = 0] = Buffer.from(payload).toString().split('.').map(Number);
      byCall.set(call, [...(byCall.get(call) ?? []), frame]);
    }
  }
  for (const [call, frames] of byCall)
    if (frames.some((frame, index) => index > 0 && frame <= (frames[index - 1] as number)))
      world.broken(
        'frames are there once, and in the order in which they were written',
        `call ${call}: ${frames.join()}`,
      );
  const result = await resultOf(world, executionId);
  const wrote = result === undefined ? 0 : (world.facts.calls[result.call]?.frames ?? 0);
  const stored = result === undefined ? 0 : (byCall.get(result.call)?.length ?? 0);
  if (wrote !== stored)
    world.broken(
      'all that a handler said is there once its result is',
      `${stored} of ${wrote} of ${short(executionId)}`,
    );
}

async function resultOf(world: World, executionId: string): Promise<Result | undefined> {
  const bytes = await world.server.store.getExecutionResult({ executionId });
  return bytes === undefined ? undefined : (JSON.parse(Buffer.from(bytes).toString()) as Result);
}

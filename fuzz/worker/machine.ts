/** One run of the machine: plays a program to its end. */
import { finish } from './finish.js';
import type { Program } from './program.js';
import { Broken, World } from './world.js';

export interface Played {
  /** Elapsed virtual time, ms. */
  readonly virtualMs: number;
  readonly runs: number;
  readonly handlerCalls: number;
  readonly claims: number;
}

/**
 * Plays a program. @param told whether to record its story, for the report of a failure
 * @throws Broken when an invariant does not hold
 */
export async function play(program: Program, told: boolean): Promise<Played> {
  const world = new World(program, { told });
  const startedAt = world.scheduler.now();
  const unhandled = (reason: unknown): void => world.broken('no rejection is left unhandled', String(reason));
  process.on('unhandledRejection', unhandled);
  try {
    await world.play();
    await finish(world);
  } catch (error) {
    if (error instanceof Broken) throw error;
    throw new Broken(
      'the machine runs',
      error instanceof Error ? (error.stack ?? error.message) : String(error),
      String(world.story),
    );
  } finally {
    process.off('unhandledRejection', unhandled);
  }
  return {
    virtualMs: world.scheduler.now() - startedAt,
    runs: world.facts.runs.length,
    handlerCalls: world.facts.calls.length,
    claims: world.facts.leases.size,
  };
}

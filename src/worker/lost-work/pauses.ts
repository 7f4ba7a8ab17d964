/** Parks executions that took workers down, before their handler runs again. */
import type { Backend } from '../../backend/backend.js';
import { spread, type Clock } from '../../engine/clock.js';
import type { Announcer } from '../report/announcer.js';
import type { Attempt } from '../attempt/attempt.js';
import type { Blockers } from './blockers.js';
import { lossesOf, mayBeLostOften, pauseAfter } from './lost-often.js';

export interface PausesDependencies {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly announcer: Announcer;
  readonly blockers: Blockers;
}

const SPREAD = 0.5;

export class Pauses {
  constructor(private readonly deps: PausesDependencies) {}

  /** Whether the execution may have to be parked. */
  mayConcern({ executionId, claimed }: Attempt): boolean {
    return mayBeLostOften(claimed) || (claimed.claimKind === 'reclaimed' && this.deps.blockers.knows(executionId));
  }

  /** How long to park the execution, ms; 0 if it can run. */
  async pauseMs(attempt: Attempt): Promise<number> {
    const { backend, announcer, blockers } = this.deps;
    const known = blockers.park(attempt.executionId);
    if (known !== undefined) {
      const inMs = this.spread(known);
      if (inMs > 0) announcer.blockedBefore(attempt, inMs);
      return inMs;
    }
    const losses = await lossesOf(attempt.executionId, backend);
    const inMs = this.spread(pauseAfter(losses));
    if (inMs > 0) announcer.lostOften(attempt, losses, inMs);
    return inMs;
  }

  /** Spread, so that the cause and the executions that were lost with it do not come back together. */
  private spread(ms: number): number {
    return Math.round(spread(this.deps.clock, ms, SPREAD));
  }
}

/**
 * What a worker knows of the executions that lost their lease in it because its event loop was blocked: which of them
 * blocked it, and which only ran beside. Blockers that come back are parked, so that all of them together have a fifth
 * of the worker's time at first, and then less each time. What ran beside is no cause, and comes back without a pause.
 */
import type { Clock } from '../../engine/clock.js';
import type { Block } from '../event-loop/loop-watch.js';

/** A pause is this many times as long as the last blocks of all parked executions together. */
const PAUSE_SHARE = 4;
const MAX_PAUSE_MS = 300_000;
/** A block counts for this long, ms: its execution may have ended in another process. */
const COUNTED_MS = 600_000;
/** Most executions that are remembered; the oldest are forgotten first. */
const MAX_KNOWN = 1_000;

interface Known {
  /** The duration of its last block, ms; 0 for an execution that ran beside blockers. */
  readonly blockMs: number;
  /** When that ended. */
  readonly blockedAt: number;
  /** Its next pause at least, ms: twice the last one, after another block; 0 if it was not parked. */
  pauseMs: number;
}

export class Blockers {
  private readonly known = new Map<string, Known>();
  /** When the last block ended that excuses what ran beside its blockers. */
  private excusedAt = -Infinity;

  constructor(private readonly clock: Clock) {}

  /** Remembers the executions that blocked the event loop, and those of the worker that ran beside them. */
  blame(block: Block<{ readonly executionId: string }>, inHand: Iterable<string>): void {
    const { blockers, holders, culprit } = block;
    for (const [{ executionId }, ms] of blockers) this.blocked(executionId, ms);
    // Runs that blocked the loop only together would do so again if they came back at once: none of them is excused.
    if (culprit === undefined || blockers.size === 0) return;
    const held = new Set([...holders].map(({ executionId }) => executionId));
    for (const executionId of inHand) if (!held.has(executionId)) this.ranBeside(executionId);
    this.excusedAt = this.clock.now();
  }

  /** An execution was claimed by a request of this time. If the answer waited for the end of a block, it ran beside it. */
  arrived(executionId: string, requestedAt: number): void {
    if (requestedAt < this.excusedAt) this.ranBeside(executionId);
  }

  /** The execution blocked the event loop for so long, ms. */
  blocked(executionId: string, blockMs: number): void {
    const pauseMs = 2 * (this.known.get(executionId)?.pauseMs ?? 0);
    this.known.delete(executionId);
    this.remember(executionId, { blockMs, blockedAt: this.clock.now(), pauseMs });
  }

  /** The execution was in hand while others blocked the event loop. */
  ranBeside(executionId: string): void {
    if (!this.known.has(executionId))
      this.remember(executionId, { blockMs: 0, blockedAt: this.clock.now(), pauseMs: 0 });
  }

  /** Whether anything is known of the execution. */
  knows(executionId: string): boolean {
    return this.known.size > 0 && this.known.has(executionId);
  }

  /**
   * Parks an execution that was taken over. @returns for how long, ms; 0 if it ran beside blockers, undefined if nothing
   * is known of it
   */
  park(executionId: string): number | undefined {
    const known = this.known.get(executionId);
    if (known === undefined) return undefined;
    if (known.blockMs === 0) {
      // One loss is excused.
      this.known.delete(executionId);
      return 0;
    }
    // Blockers that were never parked do not count: most of them kept their leases, and have ended.
    let sumMs = known.blockMs;
    const since = this.clock.now() - COUNTED_MS;
    for (const each of this.known.values())
      if (each !== known && each.pauseMs > 0 && each.blockedAt >= since) sumMs += each.blockMs;
    known.pauseMs = Math.min(MAX_PAUSE_MS, Math.max(sumMs * PAUSE_SHARE, known.pauseMs));
    return known.pauseMs;
  }

  /** Call this when the execution has ended. */
  forget(executionId: string): void {
    this.known.delete(executionId);
  }

  private remember(executionId: string, known: Known): void {
    this.known.set(executionId, known);
    const [oldest] = this.known.keys();
    if (this.known.size > MAX_KNOWN && oldest !== undefined) this.known.delete(oldest);
  }
}

/**
 * What a worker knows of the executions that lost their lease in it because its event loop was blocked: which of them
 * blocked it, and which only ran beside. Blockers that come back are parked, so that all of them together have a fifth
 * of the worker's time at first, and then less each time. What ran beside is no cause, and comes back without a pause.
 */

/** A pause is this many times as long as the blocks of all known blockers together. */
const PAUSE_SHARE = 4;
const MAX_PAUSE_MS = 300_000;
/** Most executions that are remembered; the oldest are forgotten first. */
const MAX_KNOWN = 1_000;

interface Known {
  /** The duration of its last block, ms; 0 for an execution that ran beside blockers. */
  readonly blockMs: number;
  /** Its next pause, ms. */
  readonly pauseMs: number;
}

export class Blockers {
  private readonly known = new Map<string, Known>();

  /** The execution blocked the event loop for so long, ms. */
  blocked(executionId: string, blockMs: number): void {
    const last = this.known.get(executionId)?.pauseMs ?? 0;
    this.known.delete(executionId);
    let sum = blockMs;
    for (const each of this.known.values()) sum += each.blockMs;
    this.remember(executionId, { blockMs, pauseMs: Math.min(MAX_PAUSE_MS, Math.max(sum * PAUSE_SHARE, last * 2)) });
  }

  /** The execution was in hand while others blocked the event loop. */
  ranBeside(executionId: string): void {
    if (!this.known.has(executionId)) this.remember(executionId, { blockMs: 0, pauseMs: 0 });
  }

  /** Whether anything is known of the execution. */
  knows(executionId: string): boolean {
    return this.known.size > 0 && this.known.has(executionId);
  }

  /** How long to park the execution, which was taken over, ms; undefined if nothing is known of it. */
  pauseOf(executionId: string): number | undefined {
    const pauseMs = this.known.get(executionId)?.pauseMs;
    // One loss is excused.
    if (pauseMs === 0) this.known.delete(executionId);
    return pauseMs;
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

/** Distinguishes new faults from repeated ones: an outage is one line of the log, and not one for each call. */
import { present } from '../../model/core/present.js';
import { propertyOf } from './thrown.js';

/** By default, ms. Longer than any pause between two tries. */
const ABSENT_MS = 30_000;

/** Most faults that are remembered; the oldest is forgotten first. */
const MAX_FAULTS = 100;

const textIn = (error: unknown, member: string): string => {
  const value = propertyOf(error, member);
  return typeof value === 'string' ? value : '';
};

export class Repeats {
  private readonly lastAt = new Map<string, number>();

  /**
   * @param now the time on the caller's clock, ms
   * @param absentMs how long a fault must be absent until it counts as new
   */
  constructor(
    private readonly now: () => number,
    private readonly absentMs = ABSENT_MS,
  ) {}

  /** Whether a fault with this name, code and message was seen a short time ago. */
  isRepeat(error: unknown): boolean {
    const fault = ['name', 'code', 'message'].map((member) => textIn(error, member)).join(' ');
    const now = this.now();
    const last = this.lastAt.get(fault);
    this.lastAt.delete(fault);
    this.lastAt.set(fault, now);
    if (this.lastAt.size > MAX_FAULTS) this.lastAt.delete(present(this.lastAt.keys().next().value));
    return last !== undefined && now - last < this.absentMs;
  }
}

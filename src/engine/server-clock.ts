/**
 * The clock of the store, as this process knows it. Server time decides everything; here it is only estimated, to
 * know when to look and to turn "in 10 seconds" into a time.
 */
import type { Backend } from '../backend.js';
import type { Clock } from './clock.js';

const REMEASURE_MS = 30_000;
/** Clocks drift, and are put right, by less than this, ms. */
const JUMP_MS = 5_000;

export class ServerClock {
  private offsetMs: number | undefined;
  /** By how much it may be wrong. */
  private errorMs = 0;
  private measuredAt = 0;
  /** Under way. One at a time: answers out of order would tell of a jump, and of its opposite. */
  private measuring: Promise<void> | undefined;

  constructor(
    private readonly backend: Backend,
    private readonly clock: Clock,
    /** Told by how much the clock of the store has jumped, ms, as seen from this process. */
    private readonly onJump: (ms: number) => void = () => undefined,
  ) {}

  /** The time of the store, ms since the epoch; measured at most every 30 seconds. @throws transport errors */
  async now(): Promise<number> {
    // The clock of a backend in this process can be a test's own, which jumps; and asking costs nothing.
    if (this.backend.label !== 'valkey') return this.backend.serverTime();
    if (this.offsetMs === undefined || this.clock.now() - this.measuredAt > REMEASURE_MS) await this.measured();
    return Math.round(this.clock.now() + (this.offsetMs as number));
  }

  /** The same, measured for this call: for who has seen something that the time as it was measured last does not explain. */
  async nowMeasured(): Promise<number> {
    if (this.backend.label === 'valkey') await this.measured();
    return this.now();
  }

  private measured(): Promise<void> {
    return (this.measuring ??= this.measure().finally(() => (this.measuring = undefined)));
  }

  private async measure(): Promise<void> {
    const askedAt = this.clock.now();
    const serverTime = await this.backend.serverTime();
    const answeredAt = this.clock.now();
    // The answer was made somewhere between the two; the middle is wrong by half a round trip at most.
    const offsetMs = serverTime - (askedAt + answeredAt) / 2;
    const errorMs = (answeredAt - askedAt) / 2;
    const jumpMs = Math.round(offsetMs - (this.offsetMs ?? offsetMs));
    // An answer that was read late, by a process that stood still, says little of the clock.
    const hasJumped = Math.abs(jumpMs) > JUMP_MS + errorMs + this.errorMs;
    this.offsetMs = offsetMs;
    this.errorMs = errorMs;
    this.measuredAt = answeredAt;
    if (hasJumped) this.onJump(jumpMs);
  }
}

/**
 * An estimate of the store's clock. Server time decides everything; the estimate only says when to look, and turns "in
 * 10 seconds" into a time.
 */
import { present } from '../../model/core/present.js';
import type { Backend } from '../backend/backend.js';
import type { Clock } from './clock.js';

const REMEASURE_MS = 30_000;
/** Maximum drift and correction of clocks between measurements, ms. */
const JUMP_MS = 5_000;

export class ServerClock {
  private offsetMs: number | undefined;
  /** Possible error, ms. */
  private errorMs = 0;
  private measuredAt = 0;
  /** The measurement under way. Only one at a time: answers out of order would show a jump and its opposite. */
  private measuring: Promise<void> | undefined;

  constructor(
    private readonly backend: Backend,
    private readonly clock: Clock,
    /** Called with the distance when the clock of the store has jumped, ms, as seen from this process. */
    private readonly onJump: (ms: number) => void = () => undefined,
  ) {}

  /** The time of the store, ms since the epoch; measured at most every 30 seconds. @throws transport errors */
  async now(): Promise<number> {
    // A backend in this process can have a test's clock, which jumps; and asking it costs nothing.
    if (this.backend.label !== 'valkey') return this.backend.serverTime();
    if (this.offsetMs === undefined || this.clock.now() - this.measuredAt > REMEASURE_MS) await this.measured();
    return Math.round(this.clock.now() + present(this.offsetMs));
  }

  /** How far `now` can be behind the store, ms; times of the store are whole milliseconds. */
  get behindMs(): number {
    return this.backend.label === 'valkey' ? this.errorMs + 1 : 0;
  }

  /** The same time, measured for this call: for callers that saw what the last measurement does not explain. */
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
    // The answer was made between the two times; the middle is wrong by half a round trip at most.
    const offsetMs = serverTime - (askedAt + answeredAt) / 2;
    const errorMs = (answeredAt - askedAt) / 2;
    const jumpMs = Math.round(offsetMs - (this.offsetMs ?? offsetMs));
    // An answer that a blocked process read late says little about the clock.
    const hasJumped = Math.abs(jumpMs) > JUMP_MS + errorMs + this.errorMs;
    this.offsetMs = offsetMs;
    this.errorMs = errorMs;
    this.measuredAt = answeredAt;
    if (hasJumped) this.onJump(jumpMs);
  }
}

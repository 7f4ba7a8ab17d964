/**
 * Virtual time for several processes at once. It stands still until it is moved; then every process gets the turns of
 * an event loop that it would get in reality, in the same order every time:
 *
 *     resume      code that blocked its event loop goes on
 *     timer       timers whose time has come
 *     network     answers and messages that have arrived
 *     immediate   what waits for the end of the turn
 *
 * The order matters after a block: a process that stood still runs its late timers before it reads the answers that
 * have been waiting in its sockets, as Node does.
 */
import type { Cancel } from '../../engine/index.js';

export const PHASES = ['resume', 'timer', 'network', 'immediate'] as const;
export type Phase = (typeof PHASES)[number];

/** The process whose event loop runs an event. */
export interface Loop {
  /** Until when it is blocked, in virtual ms. */
  readonly blockedUntil: number;
  /** The process is dead: none of its events run. */
  readonly dead: boolean;
}

interface Scheduled {
  readonly loop: Loop;
  readonly phase: Phase;
  readonly at: number;
  readonly order: number;
  readonly fn: () => void;
}

/** Rounds of promise callbacks and next ticks between two events: longer chains are not awaited. */
const TICKS_BETWEEN_EVENTS = 3;
/** Turns of the real event loop given to code that uses `setImmediate`, at most. */
const MAX_IMMEDIATE_TURNS = 10;
/** Turns at one instant before time counts as stuck. */
const MAX_TURNS_AT_ONCE = 5_000;

export class Scheduler {
  /** Whose turn it is, or was last: the process whose code runs now. */
  running: Loop | undefined;
  private readonly events = new Set<Scheduled>();
  private readonly held = new Set<Promise<unknown>>();
  private order = 0;

  /** @param time where virtual time starts, ms since the epoch */
  constructor(private time: number) {}

  /** Virtual time, ms since the epoch. */
  readonly now = (): number => this.time;

  /** Runs `fn` in a turn of this loop at this time, or as soon after as the loop is not blocked. */
  at(loop: Loop, phase: Phase, at: number, fn: () => void): Cancel {
    if (loop.dead) return () => undefined;
    const event: Scheduled = { loop, phase, at: Math.max(this.time, Math.ceil(at)), order: this.order++, fn };
    this.events.add(event);
    return () => this.events.delete(event);
  }

  /** Time stands still until this settles: for what takes real time, such as an answer of a real server. */
  hold(outside: Promise<unknown>): void {
    this.held.add(outside);
    const release = (): void => void this.held.delete(outside);
    outside.then(release, release);
  }

  /** The waiting events of this loop, by phase: for leak checks. */
  pendingOf(loop: Loop): Record<Phase, number> {
    const counts = { resume: 0, timer: 0, network: 0, immediate: 0 };
    for (const event of this.events) if (event.loop === loop) counts[event.phase]++;
    return counts;
  }

  /** Forgets all waiting events of this loop. */
  drop(loop: Loop): void {
    for (const event of this.events) if (event.loop === loop) this.events.delete(event);
  }

  /** The times of future events, ascending, without repeats. */
  times(): number[] {
    return [...new Set([...this.events].map(timeOf))].sort((a, b) => a - b);
  }

  /**
   * Lets time pass. `before` is called each time before the clock moves, with the time that it moves to.
   * @throws Error when events at one instant never come to an end
   */
  async advanceTo(end: number, before?: (next: number) => void): Promise<void> {
    let turns = 0;
    await comeToRest();
    for (;;) {
      const first = this.earliest();
      const next = first === undefined ? Infinity : timeOf(first);
      if (next > this.time) {
        turns = 0;
        before?.(Math.min(next, end));
      }
      if (first === undefined || next > end) break;
      if (++turns > MAX_TURNS_AT_ONCE) throw new Error(`Virtual time stands still: no end of work at ${next}.`);
      this.time = Math.max(this.time, next);
      await this.turn(first.loop);
    }
    this.time = Math.max(this.time, end);
  }

  /** One turn of a process's event loop. */
  private async turn(loop: Loop): Promise<void> {
    this.running = loop;
    for (const phase of PHASES) {
      if (phase === 'immediate') await comeToRest();
      for (const event of this.dueOf(loop, phase)) {
        // Cancelled, killed or blocked by what ran before it in this turn.
        if (!this.events.has(event) || timeOf(event) > this.time) continue;
        this.events.delete(event);
        event.fn();
        await promisesRun();
      }
    }
    await comeToRest();
    while (this.held.size > 0) {
      await Promise.allSettled(this.held);
      await comeToRest();
    }
  }

  private dueOf(loop: Loop, phase: Phase): readonly Scheduled[] {
    let due: Scheduled[] | undefined;
    for (const event of this.events) {
      if (event.loop !== loop || event.phase !== phase || timeOf(event) > this.time) continue;
      if (due === undefined) due = [event];
      else due.push(event);
    }
    if (due === undefined) return NOTHING;
    return due.length === 1 ? due : due.sort((a, b) => a.at - b.at || a.order - b.order);
  }

  private earliest(): Scheduled | undefined {
    let first: Scheduled | undefined;
    let firstAt = Infinity;
    for (const event of this.events) {
      const at = timeOf(event);
      if (first === undefined || at < firstAt || (at === firstAt && event.order < first.order)) {
        first = event;
        firstAt = at;
      }
    }
    return first;
  }
}

const NOTHING: readonly Scheduled[] = [];

const timeOf = ({ at, loop }: Scheduled): number => Math.max(at, loop.blockedUntil);

/** Resolves when all promise callbacks and next ticks have run, before the event loop turns. */
async function promisesRun(): Promise<void> {
  for (let tick = 0; tick < TICKS_BETWEEN_EVENTS; tick++)
    await new Promise<void>((resolve) => process.nextTick(resolve));
}

/** Resolves when nothing runs any more: promise callbacks, next ticks and events at the end of the turn. */
async function comeToRest(): Promise<void> {
  for (let turn = 0; turn < MAX_IMMEDIATE_TURNS; turn++) {
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (!process.getActiveResourcesInfo().includes('Immediate')) return;
  }
}

/**
 * Detects a blocked event loop: while a handler computes without a break, the worker cannot renew its leases. Blocks of
 * less than two thirds of a lease are harmless (see lease/lease-keeper.ts); longer ones are reported with the task.
 * They are detected by a timer that fires late. Calls of handlers and of the functions of their steps are measured as
 * well, so that the report can name a handler that blocks right after its start, or where such a function starts. After a stretch of a third of a lease that no call explains, what handlers
 * do after their first `await` is measured for some minutes too (`TurnTrace`): a handler whose blocks grow is known by
 * the time they cost leases.
 */
import type { Cancel, Clock } from '../../engine/clock.js';
import { TurnTrace } from './turn-trace.js';

/** A handler's run. */
export interface Watched {
  readonly claimed: { readonly executionKind: string };
  /** Whether the handler has settled: what runs in its context now is not its own. */
  readonly isOver: boolean;
}

/** A block of the event loop that costs leases. */
export interface Block<Of> {
  /** At least how long it was, ms. */
  readonly forMs: number;
  /** The task that took most of it, if known; otherwise all tasks whose handlers were running. */
  readonly tasks: readonly string[];
  /** The task that took most of it; undefined when that is not known. */
  readonly culprit: string | undefined;
  /** Whether handlers of other tasks than the culprit ran in the last minutes. */
  readonly hasOthers: boolean;
  /** The runs of which each alone blocked the loop for too long, ms. */
  readonly blockers: ReadonlyMap<Of, number>;
  /** The runs that held the loop for a twelfth of the lease or longer, the blockers among them. */
  readonly holders: ReadonlySet<Of>;
}

export interface LoopWatchOptions<Of> {
  readonly clock: Clock;
  readonly leaseTtlMs: number;
  /** What runs now. */
  readonly running: () => Iterable<Of>;
  readonly onBlocked: (block: Block<Of>) => void;
}

export interface MeasuredTask<Context, T> {
  handler(context: Context): T;
}

/** Timers per lease: a block is measured with a precision of a twelfth of the lease. */
const BEATS = 12;
/** Two thirds of the lease, less that precision. */
const LIMIT = 2 / 3 - 1 / BEATS;
/** A task whose handlers took this share of the block is its cause. */
const CULPRIT_SHARE = 0.5;
/** A stretch of a third of the lease that no call explains begins the trace. */
const TRACED = 1 / 3 - 1 / BEATS;
/** Tasks that ran within this time before a block are the others beside its culprit, ms. */
const LATELY_MS = 600_000;
/** Shorter stretches are not noted, as a share of the lease. */
const NOTED_SHARE = 0.01;

export class LoopWatch<Of extends Watched> {
  private beat: Cancel | undefined;
  /** When the beat is due. */
  private dueAt = Infinity;
  /** How long handlers held the loop since the last beat, ms. */
  private stretches = new Map<Of, number>();
  /** Tasks with handlers that ran at the last beat or were called since; some may have ended. */
  private suspects = new Set<string>();
  /** When tasks were last seen to run. */
  private readonly seenAt = new Map<string, number>();
  private readonly trace: TurnTrace<Of>;

  constructor(private readonly options: LoopWatchOptions<Of>) {
    this.trace = new TurnTrace(options.clock, (of, ms) => {
      if (!of.isOver) this.note(of, ms);
    });
  }

  private start(): void {
    if (this.beat !== undefined) return;
    const { clock, leaseTtlMs } = this.options;
    this.dueAt = clock.now() + leaseTtlMs / BEATS;
    this.beat = clock.after(leaseTtlMs / BEATS, () => this.beaten());
  }

  /** Reports a block that has just ended, whose report may be due behind this turn. */
  look(): void {
    if (this.beat !== undefined && this.lateMs >= this.limitMs) this.beaten();
  }

  private get lateMs(): number {
    return this.options.clock.now() - this.dueAt;
  }

  private get limitMs(): number {
    return this.options.leaseTtlMs * LIMIT;
  }

  stop(): void {
    this.beat?.();
    this.beat = undefined;
    this.trace.end();
  }

  /** Calls the handler of a task for a run and notes the duration of the call; watches the loop while handlers run. */
  measure<Context, T>(of: Of, task: MeasuredTask<Context, T>, context: Context): T {
    this.start();
    this.suspects.add(of.claimed.executionKind);
    const startedAt = this.options.clock.now();
    try {
      return this.trace.isOn ? this.trace.run(of, () => task.handler(context)) : task.handler(context);
    } finally {
      this.note(of, this.options.clock.now() - startedAt);
    }
  }

  /** Call this when a run has held the loop somewhere else, for the time of one call. */
  held(of: Of, ms: number): void {
    if (!of.isOver && !this.trace.covers(of)) this.note(of, ms);
  }

  private note(of: Of, ms: number): void {
    if (ms < this.options.leaseTtlMs * NOTED_SHARE) return;
    this.stretches.set(of, (this.stretches.get(of) ?? 0) + ms);
  }

  private beaten(): void {
    const { clock, leaseTtlMs, running, onBlocked } = this.options;
    const { stretches, lateMs, limitMs } = this;
    this.beat?.();
    const now = new Set([...running()].map(kindOf));
    const tasks = new Set([...this.suspects, ...now]);
    this.beat = undefined;
    this.stretches = new Map();
    this.suspects = now;
    for (const task of tasks) this.seenAt.set(task, clock.now());
    if (now.size > 0) this.start();
    if (lateMs < leaseTtlMs * TRACED) return;
    const { kind, ms } = longestOf(stretches);
    const isKnown = ms >= lateMs * CULPRIT_SHARE;
    if (!isKnown || this.trace.isOn) this.trace.begin();
    if (lateMs < limitMs) return;
    onBlocked({
      forMs: Math.round(isKnown ? Math.max(lateMs, ms) : lateMs),
      tasks: isKnown ? [kind] : [...tasks],
      culprit: isKnown ? kind : undefined,
      hasOthers: this.hasOthers(kind),
      blockers: new Map([...stretches].filter(([, each]) => each >= limitMs)),
      holders: new Set([...stretches].filter(([, each]) => each >= leaseTtlMs / BEATS).map(([of]) => of)),
    });
  }

  private hasOthers(kind: string): boolean {
    const since = this.options.clock.now() - LATELY_MS;
    return [...this.seenAt].some(([task, at]) => task !== kind && at >= since);
  }
}

const kindOf = ({ claimed }: Watched): string => claimed.executionKind;

/** The task whose handlers held the loop for longest, all of them together. */
function longestOf(stretches: ReadonlyMap<Watched, number>): { readonly kind: string; readonly ms: number } {
  const sums = new Map<string, number>();
  let longest = { kind: '', ms: 0 };
  for (const [of, ms] of stretches) {
    const kind = kindOf(of);
    const sum = (sums.get(kind) ?? 0) + ms;
    sums.set(kind, sum);
    if (sum > longest.ms) longest = { kind, ms: sum };
  }
  return longest;
}

/**
 * What the handler knows of signals and of the ends of children, and until when. A decision reads more of them where
 * they could change it: so that a race of waits has the same winner in every run, a wait must not win over an earlier
 * signal or end that was not read.
 */
import { LIMITS } from '../../../model/limits.js';
import type { Backend } from '../../backend/backend.js';
import type { Attempt } from '../attempt/attempt.js';
import type { Blocked, ChildrenWait } from './blocked.js';
import type { KnownWaits } from './known.js';
import type { Over } from './over.js';
import { receivedOf } from './signals.js';

export interface WaitReadsOptions {
  readonly attempt: Attempt;
  readonly backend: Backend;
  /** Repeats a call until it is answered. */
  readonly asked: <T>(call: () => Promise<T>) => Promise<T>;
  readonly blocked: ReadonlySet<Blocked>;
}

export class WaitReads {
  /** The engine's time before which every signal is known, ms since the epoch. */
  private signalsReadAt = 0;
  /** Whether a wait for signals blocks the handler that began after the last read of signals. */
  private hasNewListener = false;
  /** The engine's time before which every end of a child is known, ms since the epoch. */
  private childrenReadAt: number;
  /** How many signals were known before the ends of children were read. */
  private signalsBeforeChildren = 0;
  /** How many ends of children were known before signals were read. */
  private endsBeforeSignals = 0;

  constructor(private readonly options: WaitReadsOptions) {
    this.childrenReadAt = options.attempt.claimedAt;
  }

  /** The claim brought every signal that was accepted before it. */
  broughtByClaim(): void {
    this.signalsReadAt = this.options.attempt.claimedAt;
  }

  /** A wait for signals blocks the handler now. */
  listens(): void {
    this.hasNewListener = true;
  }

  /** Reads the signals that came since the last read. `endAt` is an end that the store knows by now. */
  async readSignals(known: KnownWaits, endAt = -Infinity): Promise<void> {
    const { attempt, backend, asked, blocked } = this.options;
    const { executionId } = attempt;
    // The engine's time is this or later, so signals that are accepted after the read are not older.
    const readAt = Math.max(attempt.serverNow(), endAt);
    const ends = [...blocked].map(({ children }) => children?.seenCount() ?? 0);
    this.hasNewListener = false;
    for (let cursor = known.lastSignal; ; ) {
      const from = cursor;
      // Every page reads all waits of the run, however few of its signals it has.
      const page = await asked(() => backend.listSignals({ executionId, cursor: from, limit: LIMITS.maxPageSize }));
      known.add(page.signals.map(receivedOf));
      cursor = page.nextCursor;
      if (cursor === undefined) break;
    }
    this.signalsReadAt = readAt;
    this.endsBeforeSignals = Math.max(0, ...ends);
  }

  /** Reads the ends of children. `endAt` is an end that the store knows by now. */
  async readChildren(children: ChildrenWait, known: KnownWaits | undefined, endAt = -Infinity): Promise<void> {
    const readAt = Math.max(this.options.attempt.serverNow(), endAt);
    const signalCount = known?.signalCount ?? 0;
    await children.look();
    this.childrenReadAt = readAt;
    this.signalsBeforeChildren = signalCount;
  }

  /**
   * Whether signals that are not known yet could change the decision. A wait that ended by itself was over first only if
   * no signal came before its end; a run is suspended only on waits that have seen the signals that came before them.
   */
  mustReadSignals(first: Over | undefined): boolean {
    if (first === undefined) return this.hasNewListener;
    const { wait, at, signals } = first;
    if (signals !== undefined) return false;
    const decided = wait.children?.decided();
    const isKnown =
      decided === undefined
        ? at <= this.signalsReadAt
        : at < this.signalsReadAt || decided.order <= this.endsBeforeSignals;
    return !isKnown && [...this.options.blocked].some(({ condition }) => condition !== undefined);
  }

  /**
   * Children of which ends that are not known yet could change the decision: they may have been decided before the wait
   * that was over first. A later run would read these ends.
   */
  mustReadChildren({ wait, at, signals }: Over, known: KnownWaits | undefined): ChildrenWait | undefined {
    if (wait.children !== undefined) return undefined;
    const isKnown =
      signals === undefined || at < this.childrenReadAt
        ? at <= this.childrenReadAt
        : (known?.indexOf(signals.at(-1)) ?? 0) < this.signalsBeforeChildren;
    if (isKnown) return undefined;
    for (const { children } of this.options.blocked) if (children !== undefined) return children;
    return undefined;
  }
}

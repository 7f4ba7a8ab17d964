/**
 * The waits of one run of a handler. A wait that is not over yet ends the run: the execution is suspended, its slot
 * becomes free, and the handler runs again from the beginning when the wait may be over.
 *
 * The handler does not notice: the promise that it awaits never settles, so no `catch` and no `finally` runs. Waits are
 * decided together: a turn of the event loop after the last of them has begun, and never while a step runs or a wait
 * still reads what earlier runs of the handler left, or while a call of its context has no answer. So concurrent waits
 * (`Promise.all`) are suspended together, and signals go to them in the order in which they began, however long each
 * read takes. Other work that the handler has started continues unobserved and is repeated when the handler runs again;
 * such work belongs in a step.
 */
import type { Backend } from '../../backend/backend.js';
import { afterIo } from '../../engine/clock.js';
import { LIMITS } from '../../../model/limits.js';
import { InvalidDefinitionError } from '../../shared/errors.js';
import type { Logger } from '../../shared/logger.js';
import { asEngineError } from '../../util/engine-error.js';
import { never } from '../../util/never.js';
import type { Repeats } from '../../util/repeats.js';
import type { Attempt } from '../attempt/attempt.js';
import { untilAnswered } from '../checkpoints/calls.js';
import { checkpointsOf, type CheckpointsDependencies } from '../checkpoints/checkpoints.js';
import { refuseInside } from '../checkpoints/inside.js';
import { misuseOf, type Blocked, type ChildrenWait, type Earlier, type End, type Outcome } from './blocked.js';
import { namesOf, type WaitCondition } from './conditions.js';
import { WaitEnds } from './ends.js';
import { CALLED, keyText, type WaitId, type WaitKey } from './keys.js';
import { KnownWaits } from './known.js';
import { whenAwaited } from './lazy-promise.js';
import { firstOver } from './over.js';
import { WaitReads } from './reads.js';
import { receivedOf } from './signals.js';
import { requestFor } from './suspension.js';
import { waitpointIdOf } from './waitpoint.js';

export interface WaitsDependencies extends CheckpointsDependencies {
  readonly backend: Backend;
  readonly ids: () => string;
  readonly log: Logger;
  /** Signals that were logged because they decide nothing: each run of the handler meets them again. */
  readonly undecided: Repeats;
}

/** A wait for signals. */
export interface Wanted {
  readonly condition: WaitCondition;
  /** Names the wait. */
  readonly name: string;
  /** Its end, ms since the epoch, from the time of the call; undefined without an end. */
  readonly untilOf: ((now: number) => number) | undefined;
}

/** A waitpoint that can be handed out. */
export interface MadeWaitpoint {
  /** The address for senders. @throws InvalidDefinitionError when the wait is over */
  readonly address: () => { readonly executionId: string; readonly waitpointId: string; readonly token: string };
  readonly wait: () => Promise<Outcome>;
}

/** No token, if the waitpoint was created before and has expired since this run read about it. @throws other errors */
function expiredSince(error: unknown): undefined {
  if (asEngineError(error)?.code !== 'waitpoint_already_exists') throw error;
}

export class Waits {
  private readonly blocked = new Set<Blocked>();
  private readonly ends: WaitEnds;
  private readonly reads: WaitReads;
  private places = 0;
  /** Number of waits that have begun and do not block the handler yet. */
  private beginning = 0;
  private reading: Promise<KnownWaits> | undefined;
  private known: KnownWaits | undefined;
  private isPreparing = false;
  private isDeciding = false;
  private watchesAbort = false;

  constructor(
    private readonly attempt: Attempt,
    private readonly deps: WaitsDependencies,
  ) {
    const { blocked } = this;
    const asked = <T>(call: () => Promise<T>): Promise<T> => this.asked(call);
    this.reads = new WaitReads({ attempt, backend: deps.backend, asked, blocked });
    this.ends = new WaitEnds({
      checkpoints: () => checkpointsOf(attempt, deps),
      knownWaits: () => this.knownWaits(),
      blocked,
      failAll: (error) => this.failAll(error),
    });
    checkpointsOf(attempt, deps).behindPassedEnds(() => this.ends.store(attempt.serverNow(), this.known));
  }

  /** Sleeps until a time that is computed in the call; later runs keep the time of the first call. */
  sleep(name: string, untilOf: (now: number) => number): Promise<void> {
    const wait = this.next(name);
    const asked = this.endOf(untilOf);
    const isInstant = asked <= this.attempt.serverNow();
    const end: End = { kind: 'sleep', wait, asked };
    // One that is over when it is called is over in every run.
    if (!isInstant) this.ends.add(end);
    return whenAwaited(async () => {
      const { place, known, until } = await this.begun(end);
      const keys = [{ channel: '', ...wait, until }];
      await this.block({ place, keys, condition: undefined, until, endedAt: known.endedAt(wait), isInstant, end });
    });
  }

  /** Waits for signals. */
  signals({ condition, name, untilOf }: Wanted): Promise<Outcome> {
    return this.wait(condition, this.next(name), untilOf && this.endOf(untilOf));
  }

  /** Waits for children. */
  async children(children: ChildrenWait): Promise<void> {
    await this.block({ place: this.places++, keys: [], children, condition: undefined, until: undefined });
  }

  /** Makes a call for a wait that is over: no wait is decided before the call is answered. */
  during<T>(call: () => Promise<T>): Promise<T> {
    return this.attempt.during(call);
  }

  /** Creates the waitpoint of a later wait, or finds the one that an earlier run created. */
  waitpoint(name: string, timeoutMs: number): Promise<MadeWaitpoint> {
    const wait = this.next(name);
    const asked = this.endOf((now) => now + timeoutMs);
    return this.beforeDecision(() => this.made(wait, timeoutMs, asked));
  }

  private async made(wait: WaitId, timeoutMs: number, asked: number): Promise<MadeWaitpoint> {
    const { name } = wait;
    const known = await this.begin();
    const { executionId, fence } = this.attempt;
    const waitpointId = waitpointIdOf(executionId, wait);
    const earlier = known.waitpoint(waitpointId);
    const { leaseId, leaseEpoch, attemptId } = fence;
    const open =
      earlier !== undefined && !earlier.isPending
        ? undefined
        : await this.asked(() =>
            this.deps.backend.createPendingWaitpoint({
              executionId,
              fence: { leaseId, leaseEpoch, attemptId },
              waitpointId,
              waitpointKey: keyText({ channel: name, ...wait, until: undefined }),
              expiresInMs: Math.min(LIMITS.maxPendingMs, Math.max(1, timeoutMs)),
            }),
          ).catch(expiredSince);
    const token = open?.waitpointToken;
    // Until then the store accepts signals, however long the call took.
    const until = open?.expiresAt ?? earlier?.until ?? asked;
    return {
      address: () => {
        if (token !== undefined) return { executionId, waitpointId, token: token.reveal() };
        throw new InvalidDefinitionError(
          `The wait at "${name}" is over: its address can no longer be used`,
          'Hand the address out in a step, which later runs of the handler do not repeat.',
        );
      },
      wait: () => this.wait({ type: 'name', name }, wait, until, token === undefined ? undefined : waitpointId),
    };
  }

  /** Whether the run of the handler is over: nothing waits any more. */
  private get isOver(): boolean {
    return this.attempt.how !== 'runs';
  }

  /** Repeats a call until it is answered. */
  private asked<T>(call: () => Promise<T>): Promise<T> {
    return untilAnswered(this.attempt, this.deps.clock, call);
  }

  private wait(
    condition: WaitCondition,
    wait: WaitId,
    asked: number | undefined,
    pendingId?: string,
  ): Promise<Outcome> {
    const end: End = { kind: 'wait', wait, asked };
    if (pendingId === undefined) this.ends.add(end);
    return whenAwaited(async () => {
      const { place, until } = await this.begun(end);
      const keys = namesOf(condition).map((channel): WaitKey => ({ channel, ...wait, until, pendingId }));
      return this.block({ place, keys, condition, until, end: pendingId === undefined ? end : undefined });
    });
  }

  private endOf(untilOf: (now: number) => number): number {
    return Math.min(LIMITS.maxInteger, Math.max(0, Math.round(untilOf(this.attempt.serverNow()))));
  }

  /** The next use of a name, counted in the order of the calls. */
  private next(name: string): WaitId {
    refuseInside(this.attempt, `A wait ("${name}")`);
    return { name, use: checkpointsOf(this.attempt, this.deps).nextUse(name) };
  }

  /**
   * Begins a wait, whose place among the waits is that of this call. @throws EngineError `step_changed` if an earlier
   * run has stored a step under its name
   */
  private begun(end: End): Promise<Earlier & { readonly place: number }> {
    const place = this.places++;
    return this.beforeDecision(async () => {
      await this.begin();
      return { place, ...(await this.ends.earlierOf(end)) };
    });
  }

  /** Work of a wait that has begun: nothing is decided before it is done. */
  private async beforeDecision<T>(work: () => Promise<T>): Promise<T> {
    this.beginning += 1;
    try {
      return await work();
    } finally {
      this.beginning -= 1;
      this.decideSoon();
    }
  }

  /** The known waits, at the start of a wait. Never resolves once the run is over. */
  private async begin(): Promise<KnownWaits> {
    if (this.isOver) return never();
    this.attempt.throwIfInterrupted();
    // Failures that the handler received are stored before it waits.
    await this.attempt.checkpoints?.storeFailures();
    const known = await this.knownWaits();
    return this.isOver ? never() : known;
  }

  private async knownWaits(): Promise<KnownWaits> {
    return (this.known ??= await (this.reading ??= this.read()));
  }

  private async read(): Promise<KnownWaits> {
    const { backend } = this.deps;
    const { executionId, claimed } = this.attempt;
    // The first owner of an execution has no earlier waits.
    if (claimed.leaseEpoch === 1) return new KnownWaits();
    if (claimed.earlier === undefined)
      return new KnownWaits(await this.asked(() => backend.readWaits({ executionId })));
    const known = new KnownWaits(claimed.earlier.waits);
    known.add(claimed.earlier.signals.map(receivedOf));
    this.reads.broughtByClaim();
    return known;
  }

  /** Blocks the handler. Resolves if the wait is over in this run. */
  private block(wait: Omit<Blocked, 'go' | 'fail'>): Promise<Outcome> {
    if (this.isOver) return never();
    return new Promise((go, fail) => {
      this.attempt.throwIfInterrupted();
      if (wait.end !== undefined) this.ends.blocks(wait.end);
      this.blocked.add({ ...wait, go, fail });
      if (wait.condition !== undefined) this.reads.listens();
      this.watchAbort();
      this.decideSoon();
    });
  }

  /** Rejects the waits when the handler is aborted. */
  private watchAbort(): void {
    if (this.watchesAbort) return;
    this.watchesAbort = true;
    this.attempt.whenAborted((reason) => {
      this.attempt.isInterrupted ||= this.blocked.size > 0;
      this.failAll(reason);
    });
  }

  private failAll(error: unknown): void {
    const all = [...this.blocked];
    this.blocked.clear();
    for (const { fail } of all) fail(error);
  }

  private decideSoon(): void {
    if (this.isDeciding) return;
    this.isDeciding = true;
    afterIo(this.deps.clock, () => {
      this.isDeciding = false;
      this.decide();
    });
  }

  /** Resolves the wait that was over first; if none is over, ends the run. */
  private decide(): void {
    if (!this.attempt.isLive || this.isOver || this.blocked.size === 0) return;
    // Each of these decides again when it is done.
    if (this.beginning > 0 || this.isPreparing) return;
    const { calls, checkpoints } = this.attempt;
    if (calls !== undefined && calls.size > 0) {
      void calls.settled().then(() => this.decideSoon());
      return;
    }
    if (checkpoints?.isBusy) {
      void checkpoints.settled().then(() => this.decideSoon());
      return;
    }
    if (checkpoints?.hasFailures) {
      // A step failed beside the wait, and the handler still waits.
      void checkpoints.storeFailures().then(
        () => this.decideSoon(),
        (error: unknown) => this.failAll(error),
      );
      return;
    }
    const { known } = this;
    const first = firstOver(this.blocked, known, this.attempt.serverNow());
    if (known !== undefined && this.reads.mustReadSignals(first)) {
      this.prepare(() => this.reads.readSignals(known, first?.at));
      return;
    }
    const undecided = first && this.reads.mustReadChildren(first, known);
    if (undecided !== undefined) {
      this.prepare(() => this.reads.readChildren(undecided, known, first?.at));
      return;
    }
    if (first !== undefined && this.ends.mustStore(first)) {
      this.prepare(async () => {
        await this.ends.store(Math.max(first.at, this.attempt.serverNow()), this.known);
      });
      return;
    }
    if (first !== undefined) {
      const { wait, at, signals, taken = [] } = first;
      this.blocked.delete(wait);
      known?.take(taken);
      wait.go(signals === undefined ? { timedOutAt: at } : { signals });
      this.decideSoon();
      return;
    }
    const waits = [...this.blocked].sort((one, other) => one.place - other.place);
    const misuse = misuseOf(waits);
    if (misuse !== undefined) {
      this.failAll(misuse);
      return;
    }
    const called = this.ends.timed;
    const unread = called.filter(({ isKept }) => isKept === undefined);
    if (unread.length > 0) {
      this.prepare(() => this.ends.read(unread));
      return;
    }
    this.blocked.clear();
    const [only] = waits;
    const ends = called.map(({ wait, asked }) => ({ channel: CALLED, ...wait, until: asked }));
    if (waits.length === 1 && only?.children?.isGroup() && ends.length === 0) this.attempt.suspend('children');
    else {
      for (const wait of waits) this.tellUndecided(wait);
      this.attempt.suspend(requestFor(waits, ends, known, this.deps.ids));
    }
  }

  /** The newest signal of an approval that decides nothing was most likely meant to: its sender cannot know. */
  private tellUndecided({ condition, keys: [key] }: Blocked): void {
    if (condition?.type !== 'approval' || key === undefined) return;
    const { name } = condition;
    const newest = this.known?.open(key, key.until).findLast((signal) => signal.name === name);
    if (newest === undefined || newest.approved !== undefined) return;
    const { executionId, claimed } = this.attempt;
    if (this.deps.undecided.isRepeat({ name: executionId, message: newest.id })) return;
    this.deps.log.warn(
      `"${claimed.executionKind}", ${executionId}, waits for the approval "${name}", and a signal of that name ` +
        `${newest.from === '' ? '' : `from "${newest.from}" `}decides nothing. Decide with run.approve(name, { by }) or run.reject.`,
    );
  }

  /** Does something that a decision needs. */
  private prepare(work: () => Promise<void>): void {
    this.isPreparing = true;
    void work()
      .catch((error: unknown) => this.failAll(error))
      .finally(() => {
        this.isPreparing = false;
        this.decideSoon();
      });
  }
}

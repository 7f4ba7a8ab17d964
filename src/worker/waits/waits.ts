/**
 * The waits of one run of a handler. A wait that is not over yet ends the run: the execution is suspended, its slot is
 * free, and the handler runs again from the beginning when the wait may be over.
 *
 * A handler never sees that: the promise that it awaits does not settle any more, so that no `catch` and no `finally`
 * runs. The run ends one turn of the event loop after the first wait that holds it up, so that waits side by side
 * (`Promise.all`) are waited for together, and not while a step runs. What else the handler has under way goes on
 * unwatched, and is done again when the handler runs again: it belongs in a step.
 */
import type { Backend } from '../../backend.js';
import { afterIo, type Clock } from '../../engine/clock.js';
import { withRetries } from '../../engine/retry.js';
import { LIMITS } from '../../../model/limits.js';
import { InvalidDefinitionError } from '../../shared/errors.js';
import type { Attempt } from '../attempt.js';
import { refuseInside } from '../checkpoints/inside.js';
import type { WaitId, WaitKey } from './keys.js';
import { KnownWaits } from './known.js';
import { whenAwaited } from './lazy-promise.js';
import { requestFor } from './suspension.js';

export interface WaitsDependencies {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly ids: () => string;
}

/** A wait that holds its handler up. */
interface Blocked {
  /** One for each channel that it listens to. */
  readonly keys: readonly WaitKey[];
  /** When it was over, ms since the epoch; nothing as long as it is not. */
  readonly overAt: (now: number) => number | undefined;
  readonly go: () => void;
  readonly fail: (error: unknown) => void;
}

/** How long what is known is asked for, ms. */
const PATIENCE_MS = 30_000;

const NEVER = new Promise<never>(() => undefined);

export class Waits {
  private readonly uses = new Map<string, number>();
  private readonly blocked = new Set<Blocked>();
  private known: Promise<KnownWaits> | undefined;
  private isDeciding = false;
  private listens = false;

  constructor(
    private readonly attempt: Attempt,
    private readonly deps: WaitsDependencies,
  ) {}

  /** Sleeps until a time that is told when the sleep is called; the one that was told first stands. */
  sleep(name: string, untilOf: (now: number) => number): Promise<void> {
    const wait = this.next(name);
    const asked = this.endOf(untilOf);
    return whenAwaited(async () => {
      if (this.attempt.isSuspended) return NEVER;
      this.attempt.throwIfAborted();
      const known = await this.whatIsKnown();
      const { until } = known.of(wait) ?? { until: asked };
      const end = Math.min(known.endedAt(wait) ?? Infinity, until ?? Infinity);
      await this.block([{ channel: '', ...wait, until }], (now) => (end <= now ? end : undefined));
    });
  }

  private endOf(untilOf: (now: number) => number): number {
    return Math.min(LIMITS.maxInteger, Math.max(0, Math.round(untilOf(this.attempt.serverNow()))));
  }

  /** The next use of a name, counted in the order of the calls. */
  private next(name: string): WaitId {
    refuseInside(this.attempt, `A wait ("${name}")`);
    const use = this.uses.get(name) ?? 0;
    this.uses.set(name, use + 1);
    return { name, use };
  }

  private whatIsKnown(): Promise<KnownWaits> {
    this.known ??= this.read();
    return this.known;
  }

  private async read(): Promise<KnownWaits> {
    const { backend, clock } = this.deps;
    const { executionId, claimed } = this.attempt;
    // The first owner of an execution finds nothing.
    if (claimed.leaseEpoch === 1) return KnownWaits.none;
    return new KnownWaits(await withRetries(clock, PATIENCE_MS, () => backend.readWaits({ executionId })));
  }

  /** Holds the handler up. Resolves when the wait is over in this run. */
  private block(keys: readonly WaitKey[], overAt: Blocked['overAt']): Promise<void> {
    if (this.attempt.isSuspended) return NEVER;
    return new Promise((go, fail) => {
      this.blocked.add({ keys, overAt, go, fail });
      this.listen();
      this.decideSoon();
    });
  }

  /** A handler that is told to stop is told where it waits, too. */
  private listen(): void {
    if (this.listens) return;
    this.listens = true;
    const { signal } = this.attempt;
    const stop = (): void => this.failAll(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
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

  /** Lets the wait go that was over first; when none is over, the run ends here. */
  private decide(): void {
    if (!this.attempt.isLive || this.blocked.size === 0) return;
    const { checkpoints } = this.attempt;
    if (checkpoints?.isBusy) {
      void checkpoints.settled().then(() => this.decideSoon());
      return;
    }
    const first = this.firstOver();
    if (first !== undefined) {
      this.blocked.delete(first);
      first.go();
      this.decideSoon();
      return;
    }
    const keys = [...this.blocked].flatMap((blocked) => blocked.keys);
    if (keys.length > LIMITS.maxWaitpoints) {
      this.failAll(
        new InvalidDefinitionError(
          `The handler waits at ${keys.length} places at once; ${LIMITS.maxWaitpoints} are possible`,
          'Wait for some of them first, or wait in runs of their own.',
        ),
      );
      return;
    }
    this.blocked.clear();
    this.attempt.suspend(requestFor(keys, this.deps.ids));
  }

  /**
   * Of waits that are over, the one that was over first. They go one by one and in the order of their ends, however late
   * the handler runs: a race of waits has the same winner in every run.
   */
  private firstOver(): Blocked | undefined {
    const now = this.attempt.serverNow();
    let first: Blocked | undefined;
    let firstAt = Infinity;
    for (const each of this.blocked) {
      const at = each.overAt(now) ?? Infinity;
      if (at < firstAt) [first, firstAt] = [each, at];
    }
    return first;
  }
}

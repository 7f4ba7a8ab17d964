/**
 * The waits of one run of a handler. A wait that is not over yet ends the run: the execution is suspended, its slot
 * becomes free, and the handler runs again from the beginning when the wait may be over.
 *
 * The handler does not notice: the promise that it awaits never settles, so no `catch` and no `finally` runs. The run
 * ends one turn of the event loop after the first wait that blocks it, so that concurrent waits (`Promise.all`) are
 * suspended together, and never while a step runs. Other work that the handler has started continues unobserved and is
 * repeated when the handler runs again; such work belongs in a step.
 */
import type { Backend } from '../../backend/backend.js';
import { afterIo, type Clock } from '../../engine/clock.js';
import { EngineError } from '../../../model/errors.js';
import { LIMITS } from '../../../model/limits.js';
import type { StepKind } from '../../../model/step/facts.js';
import { InvalidDefinitionError } from '../../shared/errors.js';
import type { Attempt } from '../attempt.js';
import { untilAnswered } from '../checkpoints/calls.js';
import { checkpointsOf } from '../checkpoints/checkpoints.js';
import { refuseInside } from '../checkpoints/inside.js';
import { namesOf, type WaitCondition } from './conditions.js';
import { satisfiedBy } from './evaluate.js';
import { keyText, type WaitId, type WaitKey } from './keys.js';
import { KnownWaits } from './known.js';
import { whenAwaited } from './lazy-promise.js';
import { receivedOf, type Received } from './signals.js';
import { requestFor } from './suspension.js';
import { waitpointIdOf } from './waitpoint.js';

export interface WaitsDependencies {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly ids: () => string;
}

/** A wait that blocks its handler. */
interface Blocked {
  /** One for each channel that it listens to; empty for children. */
  readonly keys: readonly WaitKey[];
  /** Undefined for a sleep and for children. */
  readonly condition: WaitCondition | undefined;
  /** When it was over, ms since the epoch; undefined while it is not. */
  readonly overAt: (now: number) => number | undefined;
  readonly go: () => void;
  readonly fail: (error: unknown) => void;
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

/** The outcome of a wait for signals: the signals that satisfied it, in the order of acceptance, or a timeout. */
export type Outcome = { readonly signals: readonly Received[] } | { readonly timedOutAt: number };

const NEVER = new Promise<never>(() => undefined);

export class Waits {
  private readonly uses = new Map<string, number>();
  private readonly blocked = new Set<Blocked>();
  private known: Promise<KnownWaits> | undefined;
  /** The first read of signals, once it has begun. */
  private signalsRead: Promise<void> | undefined;
  private isDeciding = false;
  private watchesAbort = false;

  constructor(
    private readonly attempt: Attempt,
    private readonly deps: WaitsDependencies,
  ) {}

  /** Sleeps until a time that is computed in the call; later runs keep the time of the first call. */
  sleep(name: string, untilOf: (now: number) => number): Promise<void> {
    const wait = this.next(name);
    const asked = this.endOf(untilOf);
    return whenAwaited(async () => {
      const known = await this.begin();
      const { until } = known.of(wait) ?? (await this.first('sleep', wait, asked));
      const end = Math.min(known.endedAt(wait) ?? Infinity, until ?? Infinity);
      const overAt = (now: number): number | undefined => (end <= now ? end : undefined);
      await this.block({ keys: [{ channel: '', ...wait, until }], condition: undefined, overAt });
    });
  }

  /** Waits for signals. */
  signals({ condition, name, untilOf }: Wanted): Promise<Outcome> {
    return this.wait(condition, this.next(name), untilOf && this.endOf(untilOf));
  }

  /** Waits for children. `decidedAt` is when they were decided, ms since the epoch; undefined while they are not. */
  children(decidedAt: number | undefined): Promise<void> {
    return this.block({ keys: [], condition: undefined, overAt: () => decidedAt });
  }

  /** Creates the waitpoint of a later wait, or finds the one that an earlier run created. */
  async waitpoint(name: string, timeoutMs: number): Promise<MadeWaitpoint> {
    const wait = this.next(name);
    const asked = this.endOf((now) => now + timeoutMs);
    const known = await this.begin();
    const { executionId, fence } = this.attempt;
    const waitpointId = waitpointIdOf(executionId, wait);
    const earlier = known.waitpoint(waitpointId);
    const until = earlier === undefined ? asked : earlier.until;
    const { leaseId, leaseEpoch, attemptId } = fence;
    const token =
      earlier !== undefined && !earlier.isPending
        ? undefined
        : await this.asked(() =>
            this.deps.backend.createPendingWaitpoint({
              executionId,
              fence: { leaseId, leaseEpoch, attemptId },
              waitpointId,
              waitpointKey: keyText({ channel: name, ...wait, until }),
              expiresInMs: Math.min(LIMITS.maxPendingMs, Math.max(1, timeoutMs)),
            }),
          ).then((made) => made.token);
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
    return whenAwaited(async () => {
      const isFresh = this.known === undefined && this.attempt.claimed.earlier === undefined;
      const known = await this.begin(true);
      const { until } = known.of(wait) ?? (await this.first('wait', wait, asked));
      const look = (): readonly Received[] | undefined => satisfiedBy(condition, known.open(wait, until));
      let signals = look();
      if (signals === undefined && !isFresh) {
        await this.readSignals(known);
        signals = look();
      }
      if (signals !== undefined) known.take(signals);
      const cameAt = signals?.at(-1)?.at;
      const overAt = (now: number): number | undefined =>
        cameAt ?? (until !== undefined && until <= now ? until : undefined);
      const keys = namesOf(condition).map((channel): WaitKey => ({ channel, ...wait, until, pendingId }));
      await this.block({ keys, condition, overAt });
      return signals === undefined ? { timedOutAt: until ?? 0 } : { signals };
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

  /** The known waits, at the start of a wait. Never resolves in a suspended run. */
  private async begin(withSignals = false): Promise<KnownWaits> {
    if (this.attempt.isSuspended) return NEVER;
    this.attempt.throwIfAborted();
    if (this.attempt.isOver) throw new EngineError('execution_not_active', 'wait: the handler of this run has ended.');
    // Failures that the handler received are stored before it waits.
    await this.attempt.checkpoints?.storeFailures();
    this.known ??= this.read();
    const known = await this.known;
    if (withSignals) await (this.signalsRead ??= this.readSignals(known));
    return this.attempt.isSuspended ? NEVER : known;
  }

  /**
   * Begins a wait that no earlier run has begun. @throws EngineError `step_changed` if one has stored a step under its
   * name
   */
  private async first(
    kind: StepKind,
    { name, use }: WaitId,
    until: number | undefined,
  ): Promise<Pick<WaitKey, 'until'>> {
    await checkpointsOf(this.attempt, this.deps).refuseOther(kind, name, use);
    return { until };
  }

  private async read(): Promise<KnownWaits> {
    const { backend } = this.deps;
    const {
      executionId,
      claimed: { leaseEpoch, earlier },
    } = this.attempt;
    // The first owner of an execution has no earlier waits.
    if (leaseEpoch === 1) return new KnownWaits();
    if (earlier !== undefined) return new KnownWaits(earlier.waits);
    return new KnownWaits(await this.asked(() => backend.readWaits({ executionId })));
  }

  /** Reads the signals that came since the last read. */
  private async readSignals(known: KnownWaits): Promise<void> {
    const { backend } = this.deps;
    const { executionId, claimed } = this.attempt;
    // Earlier signals came with the claim.
    if (this.signalsRead === undefined && claimed.earlier !== undefined) {
      known.add(claimed.earlier.signals.map(receivedOf));
      return;
    }
    for (let cursor = known.lastSignal; ; ) {
      const from = cursor;
      const page = await this.asked(() => backend.listSignals({ executionId, cursor: from }));
      known.add(page.signals.map(receivedOf));
      cursor = page.nextCursor;
      if (cursor === undefined) return;
    }
  }

  /** Blocks the handler. Resolves if the wait is over in this run. */
  private block(wait: Omit<Blocked, 'go' | 'fail'>): Promise<void> {
    if (this.attempt.isSuspended) return NEVER;
    return new Promise((go, fail) => {
      this.blocked.add({ ...wait, go, fail });
      this.watchAbort();
      this.decideSoon();
    });
  }

  /** Rejects the waits when the handler is aborted. */
  private watchAbort(): void {
    if (this.watchesAbort) return;
    this.watchesAbort = true;
    this.attempt.whenAborted((reason) => this.failAll(reason));
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
    if (!this.attempt.isLive || this.blocked.size === 0) return;
    const { checkpoints } = this.attempt;
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
    const first = this.firstOver();
    if (first !== undefined) {
      this.blocked.delete(first);
      first.go();
      this.decideSoon();
      return;
    }
    const misuse = misuseOf([...this.blocked]);
    if (misuse !== undefined) {
      this.failAll(misuse);
      return;
    }
    const waits = [...this.blocked];
    this.blocked.clear();
    if (waits.some(isForChildren)) this.attempt.suspend('children');
    else void this.known?.then((known) => this.attempt.suspend(requestFor(waits, known.keptSignals, this.deps.ids)));
  }

  /**
   * Of the waits that are over, the one that was over first. Waits resolve one by one in the order of their ends,
   * however
   * late the handler runs, so that a race of waits has the same winner in every run.
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

/** The error for children beside other waits: an execution either waits for children or is suspended. */
export const AT_ONCE = [
  'The handler waits for children and for something else at once',
  'Put all children into one call. A sleep or a wait for a signal beside them can be a child too, of a task that only waits.',
] as const;

const isForChildren = ({ keys }: Blocked): boolean => keys.length === 0;

/** The error if a run cannot be suspended on these waits together. */
function misuseOf(waits: readonly Blocked[]): InvalidDefinitionError | undefined {
  if (waits.length > 1 && waits.some(isForChildren)) return new InvalidDefinitionError(...AT_ONCE);
  const keys = waits.flatMap((blocked) => blocked.keys);
  if (keys.length > 1 && keys.some(({ pendingId }) => pendingId !== undefined))
    return new InvalidDefinitionError(
      'The handler waits at a waitpoint and elsewhere at once',
      'Wait at one waitpoint alone, or use waitFor and send with run.signal.',
    );
  if (keys.length > LIMITS.maxWaitpoints)
    return new InvalidDefinitionError(
      `The handler waits at ${keys.length} places at once; ${LIMITS.maxWaitpoints} are possible`,
      'Wait for some of them first, or wait in runs of their own.',
    );
  return undefined;
}

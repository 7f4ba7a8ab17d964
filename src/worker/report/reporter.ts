/**
 * Reports the endings of attempts. Endings of a partition in one turn of the event loop share a call; with claim-ahead
 * they are collected until there are 50, a slot is idle, or 2 ms have passed.
 *
 * An ending is kept until the engine has accepted or refused it. After a fault it is sent again, which the fence makes
 * safe, even if the lease is over by now: the engine may have accepted it the first time. A minute after its first
 * fault, or two leases if that is longer, it is given up even while renewals succeed: a result that cannot get through
 * would hold its execution for ever. An ending that the engine refuses as invalid is replaced by a failure that says so.
 */
import type { EngineError } from '../../../model/errors.js';
import { LIMITS } from '../../../model/limits.js';
import type { Command, OperationName, OutcomeOf } from '../../../model/machine.js';
import type { Backend, CommandResult } from '../../backend/backend.js';
import { afterAndIo, type Cancel, type Clock } from '../../engine/clock.js';
import { retryDelayMs } from '../../engine/retry.js';
import { InFlight } from '../../util/in-flight.js';
import { MAX_JOINED_BYTES } from '../../backend/joined-calls.js';
import { atTurnEnd } from '../../util/turn-end.js';
import { answerOf, answerOfError, type Answer } from '../lease/answers.js';
import type { Attempt } from '../attempt/attempt.js';
import { unacceptable, type Ending } from '../handler/handler.js';
import { HANDLER_ERROR } from '../handler/outcome.js';

export type ReportedEnding = Exclude<Ending, { kind: 'lost' }>;

/** The result of reporting an ending. */
export type Settlement =
  | { readonly kind: 'accepted'; readonly outcome: OutcomeOf<OperationName> }
  | { readonly kind: 'refused'; readonly error: EngineError }
  /** The engine did not answer within the time for it. */
  | { readonly kind: 'given_up'; readonly error: unknown; readonly afterMs: number };

export interface ReporterOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly leaseTtlMs: number;
  /** Whether endings are collected for longer than a turn. */
  readonly collect: boolean;
  /** Whether a slot waits for work. */
  readonly slotIsIdle: () => boolean;
  /** Called when endings are about to leave; a claim for the freed slots that is sent when this turn ends joins them. */
  readonly onLeaving: () => void;
  /**
   * Called for each completion that leaves: work that it makes claimable can be claimed in the same call. For a long one
   * it is called when it was answered.
   */
  readonly onCompleting: (attempt: Attempt) => void;
  /** Called when a call with endings was answered, or failed. */
  readonly onAnswered: () => void;
  /** Called once for every ending, in the form that was sent last, when it was accepted, refused or given up. */
  readonly onSettled: (attempt: Attempt, ending: ReportedEnding, settlement: Settlement) => void;
  readonly onError: (error: unknown) => void;
}

interface Final {
  readonly attempt: Attempt;
  readonly ending: ReportedEnding;
  /** Commands before it in the same call, such as the latest progress. */
  readonly before: readonly Command[];
  readonly command: Command;
  /** When it first met a fault, on the worker's clock. */
  readonly since: number | undefined;
  /** Whether it is sent in a call of its own. */
  readonly alone: boolean;
  /** How often the ending was replaced because the engine refused it as invalid. */
  readonly replaced: number;
}

/** Endings of one partition that leave together. */
interface Batch {
  readonly partition: string;
  readonly finals: Final[];
  /** Bytes of their results. */
  bytes: number;
}

const MAX_COLLECTED = 50;
const COLLECT_MS = 2;
/** First a result is replaced by a failure, then that by the plainest failure. */
const MAX_REPLACED = 2;
/** How long an ending is retried, ms; two leases if that is longer. */
const PATIENCE_MS = 60_000;

export class Reporter {
  /** Calls made. */
  calls = 0;
  /** At most one for each partition, so few. */
  private readonly batches: Batch[] = [];
  /** Calls that were made for the first time, and not answered. */
  private unanswered = 0;
  private readonly flights = new InFlight((error) => this.options.onError(error));
  private flushScheduled = false;
  private timer: Cancel | undefined;

  constructor(private readonly options: ReporterOptions) {}

  /** Sends the ending, with others; commands in `before` precede it in the same call. */
  report(attempt: Attempt, ending: ReportedEnding, before: readonly Command[] = []): void {
    const final = this.finalOf(attempt, ending, { before, since: undefined, alone: false, replaced: 0 });
    if (isLong(final)) {
      // The endings beside it would wait for its bytes.
      this.launch([final]);
      return;
    }
    const batch = this.batchOf(attempt.partition);
    batch.finals.push(final);
    batch.bytes += bytesOf(final);
    if (batch.finals.length < MAX_COLLECTED && batch.bytes < MAX_JOINED_BYTES) {
      this.flushSoon();
      return;
    }
    this.batches.splice(this.batches.indexOf(batch), 1);
    this.launch(batch.finals);
  }

  /** Sends the collected endings. */
  flush(): void {
    this.timer?.();
    this.timer = undefined;
    for (const { finals } of this.batches.splice(0)) this.launch(finals);
  }

  /** Resolves when every ending is settled. */
  async idle(): Promise<void> {
    this.flush();
    await this.flights.settled();
  }

  /** Whether endings were sent that are not answered, and met no fault. */
  get awaitsAnswers(): boolean {
    return this.unanswered > 0;
  }

  private batchOf(partition: string): Batch {
    const known = this.batches.find((batch) => batch.partition === partition);
    if (known !== undefined) return known;
    const batch = { partition, finals: [], bytes: 0 };
    this.batches.push(batch);
    return batch;
  }

  private flushSoon(): void {
    if (this.flushScheduled) return;
    this.flushScheduled = true;
    if (this.options.collect) setImmediate(() => this.flushIfIdle());
    else atTurnEnd(() => this.flushIfIdle());
  }

  private flushIfIdle(): void {
    this.flushScheduled = false;
    // An idle slot costs more than a larger batch saves.
    if (!this.options.collect || this.options.slotIsIdle()) this.flush();
    else this.timer ??= this.options.clock.after(COLLECT_MS, () => this.flush());
  }

  private finalOf(
    attempt: Attempt,
    ending: ReportedEnding,
    rest: Pick<Final, 'before' | 'since' | 'alone' | 'replaced'>,
  ): Final {
    return { attempt, ending, ...rest, command: attempt.finalCommand(ending, this.options.clock.random()) };
  }

  private launch(finals: readonly Final[]): void {
    // Before the call, which leaves when the turn ends, so that the claim can join it.
    this.options.onLeaving();
    this.unanswered++;
    const sent = this.send(finals).finally(() => this.unanswered--);
    const completing = finals.filter(({ ending }) => ending.kind === 'complete');
    const announce = (): void => completing.forEach(({ attempt }) => this.options.onCompleting(attempt));
    // The call of a long ending leaves later, when its bytes are stored.
    const leavesLater = finals.some(isLong);
    if (!leavesLater) announce();
    const flight = sent.then((again) => {
      if (leavesLater) announce();
      this.options.onAnswered();
      return again.length === 0 ? undefined : this.repeat(again);
    });
    this.flights.track(flight);
  }

  /** Sends endings once, in one call. @returns the endings to send again */
  private async send(finals: readonly Final[]): Promise<Final[]> {
    const { backend, onError } = this.options;
    this.calls++;
    let results: readonly CommandResult[];
    try {
      results = await backend.execute(commandsOf(finals));
    } catch (error) {
      onError(error);
      return this.failed(finals, error);
    }
    const again: Final[] = [];
    let place = -1;
    for (const final of finals) {
      const answer = answerOf(results[(place += final.before.length + 1)]);
      if (answer.kind === 'unknown') onError(answer.error);
      this.handleAnswer(final, answer, again);
    }
    return again;
  }

  /**
   * Handles a call that failed as a whole. If it was refused, each ending is sent alone at once, for its own answer.
   */
  private async failed(finals: readonly Final[], error: unknown): Promise<Final[]> {
    const answer = answerOfError(error);
    const isOne = finals.length === 1 && finals[0]?.before.length === 0;
    if (answer.kind === 'refused' && !isOne) {
      const sent = finals.map((final) => this.send([{ ...final, before: [], alone: true }]));
      return (await Promise.all(sent)).flat();
    }
    const again: Final[] = [];
    for (const final of finals) this.handleAnswer(final, answer, again);
    return again;
  }

  /** Handles the answer to an ending: settles it, or adds it, perhaps replaced, to `again`. */
  private handleAnswer(final: Final, answer: Answer, again: Final[]): void {
    const replacement = answer.kind === 'refused' ? this.replacementOf(final, answer.error) : undefined;
    if (replacement !== undefined) again.push(replacement);
    else if (answer.kind !== 'unknown') this.options.onSettled(final.attempt, final.ending, answer);
    else {
      const since = final.since ?? this.options.clock.now();
      if (this.mayRetry({ ...final, since }, answer.error)) again.push({ ...final, since });
    }
  }

  /** Resends endings until all are settled. */
  private async repeat(finals: Final[]): Promise<void> {
    const { clock } = this.options;
    let pending = finals;
    for (let failures = 1; pending.length > 0; failures++) {
      await new Promise<void>((resolve) => afterAndIo(clock, retryDelayMs(clock, failures), resolve));
      const together = pending.filter(({ alone }) => !alone);
      const groups = [
        ...(together.length > 0 ? [together] : []),
        ...pending.filter(({ alone }) => alone).map((each) => [each]),
      ];
      pending = [];
      for (const group of groups) pending.push(...(await this.send(group)));
    }
  }

  /** The ending to send in place of one that the engine refused as invalid, so that every attempt ends. */
  private replacementOf({ attempt, ending, since, replaced }: Final, error: EngineError): Final | undefined {
    if (error.family !== 'validation' || ending.kind === 'release' || replaced >= MAX_REPLACED) return undefined;
    const failure = unacceptable(ending, error);
    // If a failure was refused, send the plainest one.
    const plain = ending.kind === 'fail' ? { category: HANDLER_ERROR, permanent: ending.permanent } : {};
    return this.finalOf(attempt, { ...failure, ...plain }, { before: [], since, alone: true, replaced: replaced + 1 });
  }

  /** Whether the ending is sent again; settles it as given up when its time is over. */
  private mayRetry({ attempt, ending, since }: Final & { readonly since: number }, error: unknown): boolean {
    const { clock, leaseTtlMs, onSettled } = this.options;
    const afterMs = clock.now() - since;
    if (afterMs < Math.max(PATIENCE_MS, 2 * leaseTtlMs)) return true;
    onSettled(attempt, ending, { kind: 'given_up', error, afterMs });
    return false;
  }
}

const bytesOf = ({ ending }: Final): number => (ending.kind === 'complete' ? (ending.bytes?.byteLength ?? 0) : 0);

/** Whether a backend may store the result before its call. */
const isLong = (final: Final): boolean => bytesOf(final) > LIMITS.maxClaimedInputBytes;

function commandsOf(finals: readonly Final[]): Command[] {
  const commands: Command[] = [];
  for (const { before, command } of finals) commands.push(...before, command);
  return commands;
}

/**
 * Final calls: says how attempts ended. Endings of one partition that come in one turn of the event loop are one call; with
 * claim-ahead they are collected until 50 are there, a slot stands idle, or 2 ms are over.
 *
 * An ending is kept until the engine has said a word on it: one that met a fault is sent again (the fence makes that
 * safe), also when the lease is over by now, for the engine may have taken it the first time. After a minute, or two
 * leases if that is longer, it is given up, however well the renewals go: a result that cannot get through in that time
 * would hold its execution for ever. What the engine refuses to take as it is becomes a failure that says so.
 */
import type { EngineError } from '../../model/errors.js';
import type { Command, OperationName, OutcomeOf } from '../../model/machine.js';
import type { Backend, CommandResult } from '../backend.js';
import { afterAndIo, type Cancel, type Clock } from '../engine/clock.js';
import { retryDelayMs } from '../engine/retry.js';
import { InFlight } from '../util/in-flight.js';
import { MAX_BYTES_TOGETHER } from '../together.js';
import { answerOf, answerOfError, type Answer } from './answers.js';
import type { Attempt } from './attempt.js';
import { unacceptable, type Ending } from './handler.js';
import { HANDLER_ERROR } from './outcome.js';

export type ReportedEnding = Exclude<Ending, { kind: 'lost' }>;

/** What became of an ending. */
export type Settlement =
  | { readonly kind: 'accepted'; readonly outcome: OutcomeOf<OperationName> }
  | { readonly kind: 'refused'; readonly error: EngineError }
  /** Its time was over, and the engine had said nothing. */
  | { readonly kind: 'given_up'; readonly error: unknown; readonly afterMs: number };

export interface ReporterOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly leaseTtlMs: number;
  /** Collect endings for longer than a turn. */
  readonly collect: boolean;
  /** Whether a slot waits for work. */
  readonly slotIsIdle: () => boolean;
  /** Endings leave when this turn ends; a claim for what they make room for can leave with them. */
  readonly onLeaving: () => void;
  /** A completion left: what it makes claimable can be claimed in the same call. */
  readonly onCompleting: (attempt: Attempt) => void;
  /** Such a call was answered, or failed. */
  readonly onAnswered: () => void;
  /** The engine's word on an ending, or that it was given up. Called once for every ending, with what was sent last. */
  readonly onSettled: (attempt: Attempt, ending: ReportedEnding, settlement: Settlement) => void;
  readonly onError: (error: unknown) => void;
}

interface Final {
  readonly attempt: Attempt;
  readonly ending: ReportedEnding;
  /** What goes before it in the same call, such as the latest progress. */
  readonly before: readonly Command[];
  readonly command: Command;
  /** When it was sent first, on the worker's clock. */
  readonly since: number;
  /** It is sent in a call of its own. */
  readonly alone: boolean;
  /** How often it took the place of an ending that the engine did not take. */
  readonly replaced: number;
}

/** Endings of one partition that leave together. */
interface Batch {
  readonly partition: string;
  readonly finals: Final[];
  /** Of their results. */
  bytes: number;
}

const MAX_COLLECTED = 50;
const COLLECT_MS = 2;
/** A result becomes a failure, and that the plainest one. */
const MAX_REPLACED = 2;
/** How long an ending is sent again, ms; two leases if that is longer. */
const PATIENCE_MS = 60_000;

export class Reporter {
  /** Calls made. */
  calls = 0;
  /** By partition: few. */
  private readonly batches: Batch[] = [];
  private readonly flights = new InFlight((error) => this.options.onError(error));
  private turnEnds = false;
  private timer: Cancel | undefined;

  constructor(private readonly options: ReporterOptions) {}

  /** Sends the ending, with others; what is to go before it in the same call goes along. */
  report(attempt: Attempt, ending: ReportedEnding, before: readonly Command[] = []): void {
    const final = this.finalOf(attempt, ending, { before, since: this.options.clock.now(), alone: false, replaced: 0 });
    const batch = this.batchOf(attempt.partition);
    batch.finals.push(final);
    if (ending.kind === 'complete') batch.bytes += ending.bytes?.byteLength ?? 0;
    if (batch.finals.length < MAX_COLLECTED && batch.bytes < MAX_BYTES_TOGETHER) {
      this.leaveSoon();
      return;
    }
    this.batches.splice(this.batches.indexOf(batch), 1);
    this.launch(batch.finals);
  }

  /** Sends what was collected. */
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

  private batchOf(partition: string): Batch {
    const known = this.batches.find((batch) => batch.partition === partition);
    if (known !== undefined) return known;
    const batch = { partition, finals: [], bytes: 0 };
    this.batches.push(batch);
    return batch;
  }

  private leaveSoon(): void {
    if (this.turnEnds) return;
    this.turnEnds = true;
    if (this.options.collect) setImmediate(() => this.turnEnded());
    // From inside a promise's reaction, this runs when all reactions of the turn have run.
    else process.nextTick(() => this.turnEnded());
  }

  private turnEnded(): void {
    this.turnEnds = false;
    // A slot that waits for work is worth more than a larger batch.
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
    // Before the call, which leaves when the turn ends: the claim is to leave with it.
    this.options.onLeaving();
    const sent = this.send(finals);
    for (const { attempt, ending } of finals) if (ending.kind === 'complete') this.options.onCompleting(attempt);
    const flight = sent.then((again) => {
      this.options.onAnswered();
      return again.length === 0 ? undefined : this.repeat(again);
    });
    this.flights.track(flight);
  }

  /** Sends endings once, in one call. Returns those that have to be sent again. */
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
      this.take(final, answer, again);
    }
    return again;
  }

  /** A call failed as a whole. Of one that was refused, each ending gets a word of its own: it is sent alone, at once. */
  private async failed(finals: readonly Final[], error: unknown): Promise<Final[]> {
    const answer = answerOfError(error);
    const isOne = finals.length === 1 && finals[0]?.before.length === 0;
    if (answer.kind === 'refused' && !isOne) {
      const sent = finals.map((final) => this.send([{ ...final, before: [], alone: true }]));
      return (await Promise.all(sent)).flat();
    }
    const again: Final[] = [];
    for (const final of finals) this.take(final, answer, again);
    return again;
  }

  /** What an answer means for an ending: it is settled, or sent again in one form or another. */
  private take(final: Final, answer: Answer, again: Final[]): void {
    const replacement = answer.kind === 'refused' ? this.replacementOf(final, answer.error) : undefined;
    if (replacement !== undefined) again.push(replacement);
    else if (answer.kind !== 'unknown') this.options.onSettled(final.attempt, final.ending, answer);
    else if (this.isPatient(final, answer.error)) again.push(final);
  }

  /** Sends endings again until each of them is settled. */
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

  /** What is sent in the place of an ending that the engine does not take as it is: every attempt ends somehow. */
  private replacementOf({ attempt, ending, since, replaced }: Final, error: EngineError): Final | undefined {
    if (error.family !== 'validation' || ending.kind === 'release' || replaced >= MAX_REPLACED) return undefined;
    const failure = unacceptable(error);
    // Where the failure itself was refused, the plainest one that there is.
    const plain = ending.kind === 'fail' ? { category: HANDLER_ERROR, permanent: ending.permanent } : {};
    return this.finalOf(attempt, { ...failure, ...plain }, { before: [], since, alone: true, replaced: replaced + 1 });
  }

  /** Whether the ending is sent again; one whose time is over is given up here. */
  private isPatient({ attempt, ending, since }: Final, error: unknown): boolean {
    const { clock, leaseTtlMs, onSettled } = this.options;
    const afterMs = clock.now() - since;
    if (afterMs < Math.max(PATIENCE_MS, 2 * leaseTtlMs)) return true;
    onSettled(attempt, ending, { kind: 'given_up', error, afterMs });
    return false;
  }
}

function commandsOf(finals: readonly Final[]): Command[] {
  const commands: Command[] = [];
  for (const { before, command } of finals) commands.push(...before, command);
  return commands;
}

/**
 * Checks that recorded calls and the log of a partition explain each other. Every answer must follow, by the model's
 * own decision, from a state of the execution during the call, and every event must be caused by exactly one call.
 */
import { isDeepStrictEqual } from 'node:util';
import { isOfExecution, type LoggedEvent } from '../../model/events.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { operationNamed, type AnyDecision, type OutcomeOf, type ParsedCommand } from '../../model/machine.js';
import { addStep, type Steps, type StepTable } from '../../model/step/contents.js';
import { stepKeyOf } from '../../model/step/facts.js';
import { plain } from '../plain.js';
import { viewOfMoment } from './moment-view.js';
import { entriesOf, summaryOfAnswer, summaryOfRun } from './passes.js';
import type { Answer, RecordedCall } from './recording.js';
import type { Moment, Span, Timeline } from './timeline.js';

/** Largest observed difference between the clocks of two processes of one machine, with a margin, ms. */
const SLACK_MS = 50;

/** One command of a call, with its answer. */
export interface Deed {
  readonly call: RecordedCall;
  readonly command: ParsedCommand;
  readonly answer: Answer | undefined;
}

type Claim = Extract<ParsedCommand, { name: 'claimForWorker' }>;
type ClaimAnswer = {
  kind: 'claimed' | 'no_work';
  executions?: readonly { executionId: string }[];
  reclaimCapExceeded: readonly string[];
};

export interface Explanation {
  /** Answers that no state in the log gives. */
  readonly unexplained: readonly Deed[];
  /** Events that no call caused. */
  readonly orphans: readonly LoggedEvent[];
  /** Calls without an answer that were executed. */
  readonly ranUnanswered: number;
  /** The call that caused each event, by its position. */
  readonly causes: ReadonlyMap<number, Deed>;
}

export const deedsOf = (calls: readonly RecordedCall[]): Deed[] =>
  calls.flatMap((call) => call.commands.map((command, index) => ({ call, command, answer: call.answers?.[index] })));

export function explain(timeline: Timeline, deeds: readonly Deed[], retentionMs: number): Explanation {
  return new Explainer(timeline, retentionMs).run(deeds);
}

/** The time in which a call may have been executed. */
export const spanOf = ({ sentAt, endedAt, answers }: RecordedCall): Span => ({
  from: sentAt - SLACK_MS,
  // A call without an answer may have run later: a stopped server finds it when it continues.
  until: answers === undefined ? Infinity : (endedAt ?? Infinity) + SLACK_MS,
});

/** The key of the value that an owner recorded for a step. */
const valueKey = (executionId: string, leaseId: string | undefined, step: Parameters<typeof stepKeyOf>[0]): string =>
  [executionId, leaseId, stepKeyOf(step)].join('\t');

const signalKey = (executionId: string, signalId: string): string => `${executionId}\t${signalId}`;

class Explainer {
  private readonly causes = new Map<number, Deed>();

  /** Inputs by execution, as their creators sent them. */
  private readonly payloads = new Map<string, Uint8Array>();
  /** Payloads of signals, by execution and signal. */
  private readonly brought = new Map<string, Uint8Array>();
  /** Values of steps, by `valueKey`. */
  private readonly values = new Map<string, Uint8Array>();

  constructor(
    private readonly timeline: Timeline,
    private readonly retentionMs: number,
  ) {}

  run(deeds: readonly Deed[]): Explanation {
    for (const { command } of deeds) {
      if (command.name === 'createExecution') this.payloads.set(command.args.executionId, command.args.inputPayload);
      if (command.name === 'signalExecution' && command.args.payload !== undefined)
        this.brought.set(signalKey(command.args.executionId, command.args.signalId), command.args.payload);
      if (command.name !== 'recordStep') continue;
      const { executionId, fence, value } = command.args;
      if (value !== undefined) this.values.set(valueKey(executionId, fence?.leaseId, command.args), value);
    }
    const unexplained: Deed[] = [];
    // Equal answers of several calls can match several events. The call that ended first gets the earliest match: if
    // any assignment explains all of them, this one does (points and intervals, sorted by the ends of the intervals).
    const byEnd = [...deeds].sort((a, b) => (a.call.endedAt ?? Infinity) - (b.call.endedAt ?? Infinity));
    // Calls with answers come first, because their effect is known. The remaining events were caused by calls without
    // an answer.
    for (const deed of byEnd)
      if (deed.answer !== undefined && !this.explained(deed, deed.answer)) unexplained.push(deed);
    let ranUnanswered = 0;
    for (const deed of byEnd) if (deed.answer === undefined && this.attribute(deed)) ranUnanswered++;
    // No call causes the clock to step back.
    const orphans = this.timeline.log.filter(
      ({ sequence, event }) => isOfExecution(event) && !this.causes.has(sequence),
    );
    return { unexplained, orphans, ranUnanswered, causes: this.causes };
  }

  private explained(deed: Deed, answer: Answer): boolean {
    const { command } = deed;
    if (command.name === 'claimForWorker') return this.claimExplained(deed, command, answer);
    if (command.name === 'applyDue') return this.passExplained(deed, answer);
    return this.did(deed, answer) || this.left(deed, answer);
  }

  /** Whether the command could have caused an event during its call, with this answer. */
  private did(deed: Deed, answer: Answer | undefined): boolean {
    const span = spanOf(deed.call);
    const { executionId } = deed.command.args as { executionId: string };
    for (const moment of this.timeline.of(executionId)) {
      if (!this.happenedIn(moment, span)) continue;
      const decision = this.decide(deed.command, moment, moment.next.event.at);
      if (!this.caused(decision, moment.next)) continue;
      if (answer !== undefined && !isDeepStrictEqual(plain(visible(decision)), plain(answer))) continue;
      for (const { sequence } of this.timeline.from(moment.next.sequence, decision.events.length))
        this.causes.set(sequence, deed);
      return true;
    }
    return false;
  }

  /** Whether the command could have changed nothing, with this answer, in a state and at a time of its call. */
  private left(deed: Deed, answer: Answer): boolean {
    const span = spanOf(deed.call);
    const { executionId } = deed.command.args as { executionId: string };
    return this.timeline.of(executionId).some((moment) => {
      const from = Math.max(span.from, moment.from);
      const until = Math.min(span.until, moment.until);
      return (
        from <= until &&
        timesOf(moment, from, until).some((at) => {
          const decision = this.decide(deed.command, moment, at);
          return (
            (!decision.ok || decision.events.length === 0) && isDeepStrictEqual(plain(visible(decision)), plain(answer))
          );
        })
      );
    });
  }

  private claimExplained(deed: Deed, command: Claim, answer: Answer): boolean {
    if (!answer.ok) return false;
    const { executions = [], reclaimCapExceeded } = answer.outcome as ClaimAnswer;
    if (executions.length === 0 && reclaimCapExceeded.length === 0)
      return this.timeline.wasIdle(command.args.laneId, command.args.kinds, spanOf(deed.call));
    const taken = executions.every((claimed, index) => this.took(deed, command, claimed.executionId, index, claimed));
    return taken && reclaimCapExceeded.every((executionId) => this.took(deed, command, executionId, 0, undefined));
  }

  /** Whether the claim could have caused the next event of an execution, with this answer. */
  private took(
    deed: Deed,
    { name, args }: Claim,
    executionId: string,
    index: number,
    claimed: object | undefined,
  ): boolean {
    const span = spanOf(deed.call);
    const ids = args.claims[index];
    if (ids === undefined) return false;
    for (const moment of this.timeline.of(executionId)) {
      if (!this.happenedIn(moment, span) || moment.state?.laneId !== args.laneId) continue;
      const decision = this.decide({ name, args: { ...args, claims: [ids] } }, moment, moment.next.event.at);
      if (!this.caused(decision, moment.next)) continue;
      const own = (decision.outcome as ClaimAnswer).executions?.[0];
      if (claimed !== undefined && !isDeepStrictEqual(plain(asLogged(own)), plain(asLogged(claimed)))) continue;
      this.causes.set(moment.next.sequence, deed);
      return true;
    }
    return false;
  }

  /** Whether a run of entries, all of one time, matches the answer of a pass over due work. */
  private passExplained(deed: Deed, answer: Answer): boolean {
    if (!answer.ok) return false;
    const outcome = answer.outcome as OutcomeOf<'applyDue'>;
    if (outcome.kind === 'left_to_other') return true;
    const told = summaryOfAnswer(outcome);
    const count = entriesOf(told);
    return (
      count === 0 || this.passOf(deed, (run) => run.length === count && isDeepStrictEqual(summaryOfRun(run), told))
    );
  }

  /**
   * Assigns to a pass the first run of entries that it can have made, up to its limit and as long as `fits` accepts it.
   */
  private passOf(deed: Deed, fits: (run: readonly LoggedEvent[]) => boolean): boolean {
    const { log } = this.timeline;
    const span = spanOf(deed.call);
    for (let start = 0; start < log.length; start++) {
      const run: LoggedEvent[] = [];
      const at = log[start]?.event.at;
      for (let i = start; i < log.length && log[i]?.event.at === at; i++) {
        const entry = log[i] as LoggedEvent;
        const moment = this.timeline.endedBy(entry);
        if (moment === undefined || !this.happenedIn(moment, span)) break;
        if (!this.caused(this.decide(deed.command, moment, entry.event.at), entry)) break;
        run.push(entry);
        if (!fits(run)) continue;
        for (const { sequence } of run) this.causes.set(sequence, deed);
        return true;
      }
    }
    return false;
  }

  /** Assigns to a call without an answer the events that only it can have caused. */
  private attribute(deed: Deed): boolean {
    const { command } = deed;
    if (command.name === 'applyDue') return this.attributePass(deed);
    if (command.name !== 'claimForWorker') return this.did(deed, undefined);
    let ran = false;
    const leases = new Map(command.args.claims.map(({ leaseId }, index) => [leaseId, index]));
    for (const { sequence, event } of this.timeline.log) {
      if (this.causes.has(sequence)) continue;
      const capped = event.type === 'execution_failed';
      const index = capped
        ? 0
        : event.type === 'execution_claimed' || event.type === 'execution_resumed'
          ? leases.get(event.leaseId)
          : undefined;
      if (index !== undefined && isOfExecution(event) && this.took(deed, command, event.executionId, index, undefined))
        ran = true;
    }
    return ran;
  }

  /** Assigns to a pass without an answer the longest run that starts where one of its runs can start. */
  private attributePass(deed: Deed): boolean {
    let longest = 0;
    this.passOf(deed, (run) => {
      longest = Math.max(longest, run.length);
      return false;
    });
    return longest > 0 && this.passOf(deed, (run) => run.length === longest);
  }

  private happenedIn(moment: Moment, { from, until }: Span): moment is Moment & { next: LoggedEvent } {
    const { next } = moment;
    return next !== undefined && next.event.at >= from && next.event.at <= until && !this.causes.has(next.sequence);
  }

  /**
   * Whether a decision matches the log from an entry on. A signal that satisfies its wait resumes the execution at
   * once.
   */
  private caused(decision: AnyDecision, first: LoggedEvent): decision is Extract<AnyDecision, { ok: true }> {
    if (!decision.ok || decision.events.length === 0) return false;
    const found = this.timeline.from(first.sequence, decision.events.length).map(({ event }) => event);
    return isDeepStrictEqual(plain(decision.events), plain(found));
  }

  /** The steps at a moment with their values, as their owners sent them. */
  private stepsOf({ state, steps }: Moment): Steps | undefined {
    if (state === undefined || steps.length === 0) return undefined;
    const table: StepTable = new Map();
    for (const { event, leaseId } of steps) {
      const { stepName, stepIndex, stepKind, stepFailed, valueBytes, valueEncoding } = event;
      const value = this.values.get(valueKey(state.executionId, leaseId, event));
      const facts = { stepName, stepIndex, stepKind, stepFailed, valueBytes, valueEncoding };
      addStep(table, { executionId: state.executionId, record: { ...facts, recordedAt: event.at, value } });
    }
    return table.get(state.executionId);
  }

  private decide({ name, args }: ParsedCommand, moment: Moment, now: number): AnyDecision {
    const { state } = moment;
    const input = state === undefined ? undefined : this.payloads.get(state.executionId);
    const own = name === 'createExecution' ? args.executionId : undefined;
    // Checkpoints of earlier owners come with a claim; they are compared with what an owner records.
    const steps = name === 'recordStep' || name === 'claimForWorker' ? this.stepsOf(moment) : undefined;
    const payload = (executionId: string, signalId: string): Uint8Array | undefined =>
      this.brought.get(signalKey(executionId, signalId));
    const self = state?.executionId ?? (args as { executionId?: string }).executionId;
    const get = (id: string): ReadonlyExecution | undefined => (id === self ? state : this.timeline.at(id, now));
    // A key names an execution only as long as that is there.
    const ofKey = (namespace: string, key: string, at: number): string | undefined => {
      const first = this.timeline.idempotent(namespace, key, at, own);
      return first === undefined ? undefined : get(first)?.executionId;
    };
    const view = viewOfMoment({ state, get, input, ofKey, steps, payload });
    return operationNamed(name).decide(view, args, {
      now,
      settings: { retentionMs: this.retentionMs },
    }) as AnyDecision;
  }
}

/** A claim's answer without checkpoints of earlier owners: the log has no values of steps and payloads of signals. */
function asLogged(claimed: object | undefined): object {
  return { ...claimed, earlier: undefined };
}

/** Times in a span at which a decision can differ: its ends, and just before, at and after each due time. */
function timesOf({ state }: Moment, from: number, until: number): number[] {
  const low = Math.max(0, Number.isFinite(from) ? from : 0);
  const high = Number.isFinite(until) ? until : low;
  const due = [state?.dueAt, state?.attemptTimeoutAt, state?.executionDeadlineAt].flatMap((at) =>
    at === undefined ? [] : [at - 1, at, at + 1],
  );
  return [low, high, ...due.filter((at) => at >= low && at <= high)];
}

/** A decision as a caller sees it. */
function visible(decision: AnyDecision): unknown {
  return decision.ok
    ? { ok: true, outcome: decision.outcome }
    : { ok: false, code: decision.code, detail: decision.detail };
}

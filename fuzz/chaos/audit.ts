/**
 * Audits a deployment after a run: folds its logs through the model, compares its stored state with the result, and
 * checks every recorded answer against both. Findings are told as stories that a person can follow.
 */
import { isDeepStrictEqual } from 'node:util';
import { compareBytes, partitionKeyOf } from '../../model/ids.js';
import { violations } from '../../model/specification/invariants.js';
import { isKnown, isOfExecution, type LoggedEvent } from '../../model/events.js';
import { isTerminal } from '../../model/execution/situation.js';
import { generationOf } from '../../model/partition/cursor.js';
import { partitionOfCommand } from '../../model/machine.js';
import { isAcquisition } from '../../model/specification/tally.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import { addStep, type StepTable } from '../../model/step/contents.js';
import { keepPayload, type PayloadTable } from '../../model/suspension/payloads.js';
import { readEvents } from '../../src/engine/log.js';
import type { Backend } from '../../src/backend/backend.js';
import { canonicalByDefinition, type CanonicalState } from '../../src/testing/canonical/index.js';
import { plain } from '../plain.js';
import { deedsOf, explain, spanOf, type Deed, type Explanation } from './explain.js';
import { judgeCheckpoints } from './checkpoints.js';
import { judgeReadings } from './judge-readings.js';
import { judgeWaste, type WasteOptions } from './judge-waste.js';
import type { Reading } from './reader.js';
import type { RecordedCall } from './recording.js';
import type { Ran } from './work.js';
import { Timeline, type Span } from './timeline.js';

export interface AuditOptions {
  readonly backend: Backend;
  readonly calls: readonly RecordedCall[];
  /** Reads the stored state of a partition directly, not through the backend. */
  readonly stored: (partition: string, now: number) => Promise<CanonicalState>;
  /** What waste is judged by. Default: it is not judged. */
  readonly waste?: Omit<WasteOptions, 'calls'>;
  /** Steps that handlers started. Default none. */
  readonly ran?: readonly Ran[];
  /** What each process of a durable reader received, in the order of their starts. Default: there was no reader. */
  readonly readings?: readonly (readonly Reading[])[];
  /** When servers died that may have lost acknowledged writes, ms since the epoch. Default never. */
  readonly deaths?: readonly number[];
  /** Whether every execution must be terminal. Default true. */
  readonly expectTerminal?: boolean;
  readonly retentionMs: number;
}

export interface Audit {
  /** Violations, each as a story. */
  readonly violations: readonly string[];
  /** Answers from the tails that the server lost. */
  readonly lost: readonly Deed[];
  /** The later fate of executions whose acknowledged completion was in a lost tail. */
  readonly lostCompletions: { readonly attemptedAgain: number; readonly endedOtherwise: number; readonly gone: number };
  /** Lease epochs of lost claims that another owner got again. */
  readonly epochsGivenTwice: number;
  readonly events: readonly LoggedEvent[];
  readonly answers: number;
  readonly ranUnanswered: number;
  readonly neverAnswered: number;
  /** Number of attempts -> number of executions. */
  readonly attempts: ReadonlyMap<number, number>;
  /** Terminal situation -> number of executions. */
  readonly endings: ReadonlyMap<string, number>;
}

/** Maximum number of findings of one kind in a report. */
const MAX_STORIES = 10;

export async function audit(options: AuditOptions): Promise<Audit> {
  const { backend, deaths = [] } = options;
  const logs = new Map<string, LoggedEvent[]>();
  for (let index = 0; index < backend.partitions.count; index++) {
    const partition = partitionKeyOf(index);
    const log: LoggedEvent[] = [];
    for await (const logged of readEvents(backend, { partition })) if (isKnown(logged)) log.push(logged);
    logs.set(partition, log);
  }
  const auditor = new Auditor(options, lostTails(deaths, [...logs.values()].flat()));
  for (const [partition, log] of logs) await auditor.partition(partition, log);
  auditor.faults();
  auditor.waste();
  return auditor;
}

/** The spans of the tails that dead servers lost. A server keeps all that it wrote up to some entry, and loses the rest. */
const lostTails = (deaths: readonly number[], log: readonly LoggedEvent[]): Span[] =>
  deaths.map((until) => {
    const kept = log.filter(({ event }) => event.at <= until);
    return { from: kept.reduce((last, { event }) => Math.max(last, event.at), -Infinity), until };
  });

class Auditor implements Audit {
  readonly violations: string[] = [];
  readonly lost: Deed[] = [];
  readonly lostCompletions = { attemptedAgain: 0, endedOtherwise: 0, gone: 0 };
  readonly events: LoggedEvent[] = [];
  readonly attempts = new Map<number, number>();
  readonly endings = new Map<string, number>();
  epochsGivenTwice = 0;
  answers = 0;
  ranUnanswered = 0;
  neverAnswered = 0;
  private readonly byPartition: ReadonlyMap<string, Deed[]>;
  private readonly timelines: Timeline[] = [];

  constructor(
    private readonly options: AuditOptions,
    private readonly tails: readonly Span[],
  ) {
    const byPartition = new Map<string, Deed[]>();
    for (const deed of deedsOf(options.calls)) {
      const partition = partitionOfCommand(deed.command, options.backend.partitions);
      const deeds = byPartition.get(partition);
      if (deeds === undefined) byPartition.set(partition, [deed]);
      else deeds.push(deed);
      if (deed.answer === undefined) this.neverAnswered++;
      else this.answers++;
    }
    this.byPartition = byPartition;
  }

  /** Calls may fail for lack of a connection; any other failure is a defect. */
  faults(): void {
    const defects = this.options.calls.filter(
      ({ fault }) => fault !== undefined && !fault.retryable && fault.code !== 'backend_closed',
    );
    this.report(
      'calls that met a defect',
      defects.map((call) => `${call.process} call ${call.call}: ${call.fault?.code}: ${call.commands[0]?.name}`),
    );
  }

  /** What healthy workers lost, and work that waited beside them. Call it after all partitions. */
  waste(): void {
    const { calls, waste } = this.options;
    const findings = waste === undefined ? {} : judgeWaste(this.timelines, { ...waste, calls });
    for (const [what, stories] of Object.entries(findings)) this.report(what, stories);
  }

  async partition(partition: string, log: readonly LoggedEvent[]): Promise<void> {
    const { backend, retentionMs, stored } = this.options;
    this.events.push(...log);
    let timeline: Timeline;
    try {
      timeline = new Timeline(log);
    } catch (error) {
      this.violations.push(`${partition}: its log does not fold: ${String(error)}`);
      return;
    }
    this.timelines.push(timeline);
    const now = await backend.serverTime();
    for (const { name, because } of violations(timeline.state, log, now))
      this.violations.push(`${partition}: invariant "${name}" is broken: ${because}`);
    const explanation = explain(timeline, this.byPartition.get(partition) ?? [], retentionMs);
    this.ranUnanswered += explanation.ranUnanswered;
    this.compareStored(partition, timeline, explanation, await stored(partition, now), now);
    this.judge(timeline, explanation);
    const findings = judgeCheckpoints(timeline, explanation.causes, this.options.ran ?? [], this.lost);
    for (const [what, stories] of Object.entries(findings)) this.report(what, stories);
    const { readings } = this.options;
    const misread = readings === undefined ? {} : judgeReadings(partition, log, readings);
    for (const [what, stories] of Object.entries(misread)) this.report(`${partition}: ${what}`, stories);
    this.tally(timeline);
  }

  private judge(timeline: Timeline, { unexplained, orphans }: Explanation): void {
    const inTail = ({ call }: Deed): boolean => {
      const span = spanOf(call);
      return this.tails.some(({ from, until }) => span.from <= until && from <= span.until);
    };
    const lost = unexplained.filter(inTail);
    this.lost.push(...lost);
    for (const deed of lost) this.follow(deed, timeline);
    this.report(
      'answers that nothing in the log explains',
      unexplained.filter((deed) => !inTail(deed)).map((deed) => storyOf(deed, timeline)),
    );
    this.report(
      'events that no call caused',
      orphans.map((logged) => JSON.stringify(logged)),
    );
  }

  /** A completion that was acknowledged and lost must show: its work is done again, or ends in another way. */
  private follow({ call, command, answer }: Deed, timeline: Timeline): void {
    const claimed =
      answer?.ok === true ? ((answer.outcome as { executions?: readonly ClaimedExecution[] }).executions ?? []) : [];
    for (const { executionId, leaseId, leaseEpoch } of claimed) {
      const acquisitions = timeline
        .of(executionId)
        .flatMap(({ next }) =>
          next !== undefined && isOfExecution(next.event) && isAcquisition(next.event) ? [next.event] : [],
        );
      if (acquisitions.some((event) => event.leaseEpoch === leaseEpoch && event.leaseId !== leaseId))
        this.epochsGivenTwice++;
    }
    if (command.name !== 'completeExecution' || answer?.ok !== true) return;
    const later = timeline
      .of(command.args.executionId)
      .flatMap(({ next }) => (next !== undefined && next.event.at > call.sentAt ? [next.event.type] : []));
    if (!timeline.state.tables.execution.has(command.args.executionId)) this.lostCompletions.gone++;
    else if (later.some((type) => type === 'execution_claimed' || type === 'execution_resumed'))
      this.lostCompletions.attemptedAgain++;
    else this.lostCompletions.endedOtherwise++;
  }

  /** The stored state must equal the folded log, including bytes. */
  private compareStored(
    partition: string,
    timeline: Timeline,
    { causes }: Explanation,
    stored: CanonicalState,
    now: number,
  ): void {
    const input = new Map<string, Uint8Array>();
    const result = new Map<string, Uint8Array>();
    const payloads: PayloadTable = new Map();
    const steps: StepTable = new Map();
    for (const [sequence, { command }] of [...causes].sort(([a], [b]) => a - b)) {
      const { event } = timeline.from(sequence, 1)[0] as LoggedEvent;
      if (command.name === 'signalExecution' && event.type === 'signal_accepted') {
        const { executionId, signalId, payload } = command.args;
        if (payload !== undefined) keepPayload(payloads, { executionId, signalId, bytes: payload });
      }
      if (command.name === 'recordStep' && event.type === 'step_recorded') {
        const { at: recordedAt, type: _, executionId, ...facts } = event;
        addStep(steps, { executionId, record: { ...facts, recordedAt, value: command.args.value } });
      }
      if (command.name === 'createExecution' && command.args.inputPayload.byteLength > 0)
        input.set(command.args.executionId, command.args.inputPayload);
      if (command.name === 'completeExecution' && command.args.resultPayload !== undefined)
        result.set(command.args.executionId, command.args.resultPayload);
    }
    const log = [...timeline.log];
    const [first, last] = [log[0], log.at(-1)];
    const header = {
      generation: first === undefined ? '' : generationOf(first.event.at),
      sequence: last?.sequence ?? 0,
      time: last?.event.at ?? 0,
      // No log contains which loop applies due work, or which notices are due.
      applier: stored.header.applier,
      notices: stored.header.notices,
    };
    const folded = plain(
      canonicalByDefinition(
        {
          state: timeline.state,
          bytes: { input, result, secret: new Map() },
          streams: new Map(),
          payloads,
          watches: new Map(),
          steps,
          log,
          header,
        },
        now,
      ),
    ) as Record<string, unknown>;
    const found = plain(stored) as Record<string, unknown>;
    for (const part of Object.keys(folded)) {
      if (isDeepStrictEqual(folded[part], found[part])) continue;
      this.violations.push(
        `${partition}: the stored ${part} differ from the log: ${firstDifference(folded[part], found[part])}`,
      );
    }
  }

  private tally(timeline: Timeline): void {
    const unended: string[] = [];
    for (const { executionId, situation, totalAttemptCount } of timeline.state.tables.execution.values()) {
      this.attempts.set(totalAttemptCount, (this.attempts.get(totalAttemptCount) ?? 0) + 1);
      this.endings.set(situation, (this.endings.get(situation) ?? 0) + 1);
      if (!isTerminal(situation)) unended.push(`${executionId} is ${situation}`);
    }
    if (this.options.expectTerminal ?? true) this.report('executions that did not end', unended);
  }

  private report(what: string, stories: readonly string[]): void {
    if (stories.length === 0) return;
    const shown = [...stories].sort(compareBytes).slice(0, MAX_STORIES);
    this.violations.push(`${stories.length} ${what}:\n${shown.join('\n')}`);
  }
}

/** An unexplained call, with the events of its execution around it. */
function storyOf({ call, command, answer }: Deed, timeline: Timeline): string {
  const args = command.args as { executionId?: string };
  const named = (
    answer?.ok === true ? (answer.outcome as { executions?: { executionId: string }[] }).executions : undefined
  )?.map(({ executionId }) => executionId);
  const ids = args.executionId === undefined ? (named ?? []) : [args.executionId];
  return [
    `  ${call.process} call ${call.call}, ${call.sentAt} to ${call.endedAt}: ${short(command)}`,
    `    was answered ${short(answer)}`,
    ...ids.flatMap((id) =>
      timeline
        .of(id)
        .flatMap(({ next }) =>
          next === undefined ? [] : [`    ${next.event.at} ${next.sequence} ${short(next.event)}`],
        ),
    ),
  ].join('\n');
}

function firstDifference(expected: unknown, found: unknown): string {
  if (typeof expected === 'object' && expected !== null && typeof found === 'object' && found !== null) {
    for (const key of new Set([...Object.keys(expected), ...Object.keys(found)])) {
      const [a, b] = [(expected as Record<string, unknown>)[key], (found as Record<string, unknown>)[key]];
      if (!isDeepStrictEqual(a, b)) return `at ${key}: ${firstDifference(a, b)}`;
    }
  }
  return `the log says ${short(expected)}, stored is ${short(found)}`;
}

const short = (value: unknown): string => (JSON.stringify(plain(value)) ?? 'nothing').slice(0, 700);

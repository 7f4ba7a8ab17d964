/**
 * Runs commands on a partition: decide, append the events to the log, fold them into the state, keep the bytes that
 * the command carried. `Store` is what differs between the specification (plain tables) and the memory backend (tables
 * and indexes).
 */
import type { ByteSlot } from './core/entity.js';
import type { Applier, Context } from './operation.js';
import { present } from './core/present.js';
import { isOfExecution, subjectOf, type Event } from './events.js';
import { MAX_CLOCK_LEAD_MS } from './limits.js';
import { withFilterTags } from './execution/filter-tags.js';
import { UNITS_AT_ONCE } from './flow/cascade.js';
import type { CascadeContext } from './flow/tasks.js';
import { consequenceOf, settle } from './flow/settle.js';
import { operationNamed, type AnyDecision, type ParsedCommand } from './machine.js';
import { ownershipOf, returnedAfter, type MeteredOwnership } from './metering/returning.js';
import type { Notices } from './partition/notices.js';
import type { Header } from './state.js';
import { closedBy, removedBefore } from './stream/closing.js';
import type { Recording } from './step/contents.js';
import type { Append } from './stream/contents.js';
import type { SignalPayload } from './suspension/payloads.js';
import type { View } from './view.js';

export interface Store {
  /** The partition of the store. */
  readonly partitionKey: string;
  readonly view: View;
  /** Appends the event to the log and applies it to the state. */
  record(event: Event): void;
  /** Stores bytes of an execution. */
  keep(slot: ByteSlot, executionId: string, bytes: Uint8Array): void;
  /** Appends a frame to a stream. */
  appendFrame(frame: Append): void;
  /** Stores the payload of a signal. */
  keepPayload(payload: SignalPayload): void;
  /** Adds a recorded step. */
  addStep(recording: Recording): void;
  /** Records which loop applies due work. */
  leaveTo(applier: Applier | undefined): void;
  /** Records which notices to send. */
  announce(notices: Notices): void;
  /** Records until when the streams of an execution are watched. */
  watch(executionId: string, until: number): void;
}

/**
 * The time of a transition (ruling 14): time in a partition does not go back, unless the last entry is so far ahead
 * that the clock must have jumped.
 */
export function transitionTime({ time }: Pick<Header, 'time'>, clock: number): number {
  return time > clock + MAX_CLOCK_LEAD_MS ? clock : Math.max(clock, time);
}

/** An empty input is none; an empty result is one. */
const isKept = (slot: ByteSlot, bytes: Uint8Array | undefined): bytes is Uint8Array =>
  bytes !== undefined && (slot === 'result' || bytes.byteLength > 0);

/**
 * Runs one command at its transition time, or refuses it and changes nothing. `unitsAtOnce` bounds how many
 * consequences in a flow the call handles; proofs use a lower bound than the engine.
 */
export function execute(
  store: Store,
  command: ParsedCommand,
  context: Context,
  unitsAtOnce = UNITS_AT_ONCE,
): AnyDecision {
  const operation = operationNamed(command.name);
  const decision = operation.decide(store.view, command.args as never, context) as AnyDecision;
  if (!decision.ok) return decision;
  const [first] = decision.events;
  const recorder = new Recorder(store, context);
  if (first !== undefined || decision.aftermath !== undefined) {
    const { time } = store.view.log.header;
    if (time > context.now) store.record(steppedBack(store.partitionKey, time, context.now));
  }
  if (first !== undefined) {
    recorder.recordAll(decision.events, operation.cascadesLater ? 0 : unitsAtOnce);
    if (operation.bytes !== undefined) keepBytes(store, operation.bytes, command, subjectOf(first).id);
  }
  for (const [executionId, input] of decision.inputs ?? []) {
    if (isKept('input', input)) store.keep('input', executionId, input);
  }
  if (decision.aftermath !== undefined) settle(recorder, decision.aftermath, unitsAtOnce);
  recorder.finish();
  if (decision.append !== undefined) store.appendFrame(decision.append);
  if (decision.payload !== undefined) store.keepPayload(decision.payload);
  if (decision.recording !== undefined) store.addStep(decision.recording);
  if ('applier' in decision) store.leaveTo(decision.applier);
  if (decision.notices !== undefined) store.announce(decision.notices);
  if (decision.watch !== undefined) store.watch(decision.watch.executionId, decision.watch.until);
  if (operation.after === undefined) return decision;
  const outcome = operation.after(store.view, decision.outcome as never, command.args as never, context);
  return { ...decision, outcome } as AnyDecision;
}

/** Stores the bytes among the arguments of a command. */
function keepBytes(
  store: Store,
  slots: Readonly<Record<string, ByteSlot | 'step'>>,
  { args }: ParsedCommand,
  subjectId: string,
): void {
  for (const argument of Object.keys(slots)) {
    const slot = present(slots[argument]);
    // The decision contains the whole step.
    if (slot === 'step') continue;
    const bytes = (args as unknown as Record<string, Uint8Array | undefined>)[argument];
    if (isKept(slot, bytes)) store.keep(slot, subjectId, bytes);
  }
}

/** Records the events of a command, then returns the admissions of the ownerships that they ended. */
class Recorder implements CascadeContext {
  private ownerships: MeteredOwnership[] | undefined;

  constructor(
    private readonly store: Store,
    private readonly context: Context,
  ) {}

  get now(): number {
    return this.context.now;
  }

  get retentionMs(): number {
    return this.context.settings.retentionMs;
  }

  /** The specification makes a new view of every state. */
  get view(): View {
    return this.store.view;
  }

  /** Records an event and its consequences, which are judged by the execution before it. */
  record(event: Event): void {
    const { store } = this;
    const execution = isOfExecution(event) ? store.view.executions.get(event.executionId) : undefined;
    if (!isOfExecution(event) || execution === undefined) {
      store.record(event);
      return;
    }
    const ownership = ownershipOf(execution);
    if (ownership !== undefined) (this.ownerships ??= []).push(ownership);
    for (const earlier of removedBefore(store.view, event, execution)) store.record(earlier);
    const later = closedBy(store.view, event, execution);
    store.record(withFilterTags(event, execution, this.context.settings.indexedTags));
    for (const consequence of later) store.record(consequence);
  }

  /** Handles at most `units` consequences of endings and returns in flows. */
  recordAll(events: readonly Event[], units: number): void {
    for (const event of events) {
      this.record(event);
      consequenceOf(event)?.(this, subjectOf(event).id, units);
    }
  }

  finish(): void {
    for (const ownership of this.ownerships ?? []) {
      const returned = returnedAfter(this.store.view, ownership, this.now);
      if (returned !== undefined) this.store.record(returned);
    }
  }
}

function steppedBack(partition: string, from: number, to: number): Event {
  return { type: 'clock_stepped_back', partition, at: to, from, to };
}

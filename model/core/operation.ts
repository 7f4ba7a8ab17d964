/**
 * How an operation is declared. From a declaration everything else is derived: the type of both backends, the
 * validation at the boundary, the wire form, the keys of a call, how calls are joined, the fuzzer's coverage report.
 * What the code must know of an operation stands here; no operation is known to it by name.
 */
import type { z } from 'zod';
import type { ErrorDetail, RejectionCode } from '../errors.js';
import type { Event } from '../events.js';
import type { Aftermath } from '../flow/settle.js';
import type { Family, FamilyCounts, FamilyScope } from '../families.js';
import type { BackendLabel } from '../handle.js';
import type { Notices } from '../partition/notices.js';
import type { Recording } from '../step/contents.js';
import type { Append } from '../stream/contents.js';
import type { SignalPayload } from '../suspension/payloads.js';
import type { View } from '../view.js';

/** What a deployment sets and a transition may read. */
export interface Settings {
  /** Life of a terminal execution before it is purged, unless its policy says otherwise, ms; -1 keeps it. */
  readonly retentionMs: number;
  /** Keys of tags by which executions are indexed, and ends and signals can be filtered. Absent: none. */
  readonly indexedTags?: readonly string[] | undefined;
}

/** What a decision may look at besides its arguments. */
export interface Context {
  /** The one clock value of the transition, ms since the epoch. */
  readonly now: number;
  readonly settings: Settings;
}

/** Which loop applies due work in a partition, and until when the others leave it to that loop. */
export interface Applier {
  readonly owner: string;
  readonly until: number;
}

/** The command was carried out: these facts happened, and this is the answer to its caller. */
export interface Accepted<Outcome> {
  readonly ok: true;
  readonly outcome: Outcome;
  readonly events: readonly Event[];
  /** A frame that is appended to a stream, beside the state. */
  readonly append?: Append;
  /** What a signal brings with it, beside the state. */
  readonly payload?: SignalPayload;
  /** A step that is added beside the state. */
  readonly recording?: Recording;
  /** Beside the state, see the header of a partition. */
  readonly applier?: Applier | undefined;
  readonly notices?: Notices;
  /** Until when the streams of an execution are watched. */
  readonly watch?: { readonly executionId: string; readonly until: number };
  /** Inputs of executions that the command makes besides the one that its first event is about. */
  readonly inputs?: readonly (readonly [executionId: string, input: Uint8Array])[];
  /** What it means for others of a flow. */
  readonly aftermath?: Aftermath;
}

/** The command was refused: nothing happened. */
export interface Rejected<Code extends RejectionCode = RejectionCode> {
  readonly ok: false;
  readonly code: Code;
  readonly detail: ErrorDetail;
}

export type Decision<Outcome, Code extends RejectionCode = RejectionCode> = Accepted<Outcome> | Rejected<Code>;

export function accept<const Outcome>(outcome: Outcome, ...events: Event[]): Accepted<Outcome> {
  return acceptAll(outcome, events);
}

/** `accept` with any number of events. */
export function acceptAll<const Outcome>(outcome: Outcome, events: readonly Event[]): Accepted<Outcome> {
  return { ok: true, outcome, events };
}

const NO_DETAIL: ErrorDetail = Object.freeze({});

export function reject<Code extends RejectionCode>(code: Code, detail: ErrorDetail = NO_DETAIL): Rejected<Code> {
  return { ok: false, code, detail };
}

type ObjectSchema = z.ZodObject;

/** A text of a call: an argument, or several joined by tabs under a name. */
export type WireText = string | Readonly<Record<string, readonly string[]>>;

/** Bytes of an execution, or of a signing key, that live beside its facts. */
export type ByteSlot = 'input' | 'result' | 'secret';

/** Unmetered work of one kind, as far as its takers must know. */
export interface OfferedWork {
  readonly laneId: string;
  readonly executionKind: string;
  readonly requiredCapabilities: readonly string[];
  readonly priority: number;
}

/** Commands of one call that differ in one list only can be one command. */
export interface Joining<Args, Outcome> {
  /** The list; everything else must be equal. */
  readonly list: keyof Args & string;
  /** Longest list of a joined command. */
  readonly maxLength: number;
  /** The outcomes of the commands that were joined, from theirs. */
  share(outcome: Outcome, lists: readonly (readonly unknown[])[]): readonly Outcome[];
}

/** An operation: what it takes, what it can answer, why it can refuse, where it runs, and what it does. */
export interface Operation<
  Args extends ObjectSchema = ObjectSchema,
  Outcome extends z.ZodType = z.ZodType,
  Code extends RejectionCode = RejectionCode,
> {
  /** Name in camelCase, as in the contracts; the Lua twin has the same name in snake_case. */
  readonly name: string;
  readonly args: Args;
  /** A union discriminated by `kind`. */
  readonly outcome: Outcome;
  /** Every code with which `decide` can refuse. */
  readonly rejects: readonly Code[];
  /** The family of the partitions in which it runs. Default those of executions and flows. */
  readonly family?: FamilyScope;
  /** Key of the partition in which the operation runs. What is placed by its id is found by the counts. */
  partition(args: z.output<Args>, counts: FamilyCounts): string;
  /**
   * How its arguments travel, see `lua/parameters.ts`. Commands of one call that agree in what is shared travel as a
   * group: what is shared once, then what each has. Several under a name are one text, joined by tabs.
   */
  readonly wire: {
    readonly shared: readonly WireText[];
    readonly each: readonly WireText[];
  };
  /** Arguments that are bytes of an execution, and which. */
  readonly bytes?: Readonly<Record<string, ByteSlot>>;
  /** Whether a server whose memory is full refuses it: what adds to the store waits, what ends work goes on. */
  readonly memory: 'adds' | 'frees';
  /** Where it stands among the commands of different callers in one call; `any` keeps its place. Default `any`. */
  readonly order?: 'first' | 'any' | 'last';
  /** Work that it makes claimable at once, one by one. It may answer `before`, what another command offered, where that is equal. */
  offers?(args: z.output<Args>, before?: readonly OfferedWork[]): readonly OfferedWork[];
  /** The family, beside that of its partition, of which what it makes needs the partitions. */
  needs?(args: z.output<Args>): Family | undefined;
  /** Work that it may take. */
  takes?(args: z.output<Args>): { readonly laneId: string; readonly count: number } | undefined;
  readonly joins?: Joining<z.output<Args>, z.output<Outcome>>;
  /** Arguments that the caller's edge draws when they are absent. */
  readonly edge?: Readonly<Record<string, 'unit'>>;
  /** What it ends means nothing for others before a later call: it looked at several executions before it changed one. */
  readonly cascadesLater?: true;
  /** Refusals of worlds that are too large for random runs: tests of sizes lead to them. */
  readonly ofSize?: readonly Code[];
  /** Kinds of outcomes that only damaged records lead to: the model, which has none, never answers them. */
  readonly ofDamage?: readonly string[];
  decide(view: View, args: z.output<Args>, context: Context): Decision<z.output<Outcome>, Code>;
  /** Adds to an outcome what its backend issues: handles. */
  issue?(args: z.output<Args>, outcome: z.output<Outcome>, backend: BackendLabel): z.output<Outcome>;
  /** Completes an outcome that says something of the state after the events. */
  after?(view: View, outcome: z.output<Outcome>): z.output<Outcome>;
}

export function operation<Args extends ObjectSchema, Outcome extends z.ZodType, Code extends RejectionCode>(
  declaration: Operation<Args, Outcome, Code>,
): Operation<Args, Outcome, Code> {
  return declaration;
}

/** A read: a pure function of the state that changes nothing. */
export interface Query<
  Args extends ObjectSchema = ObjectSchema,
  Answer = unknown,
  Code extends RejectionCode = RejectionCode,
> {
  readonly name: string;
  readonly args: Args;
  readonly rejects: readonly Code[];
  /** As of an operation. */
  readonly family?: FamilyScope;
  partition(args: z.output<Args>, counts: FamilyCounts): string;
  read(view: View, args: z.output<Args>, context: Context): Decision<Answer, Code>;
}

export function query<Args extends ObjectSchema, Answer, Code extends RejectionCode>(
  declaration: Query<Args, Answer, Code>,
): Query<Args, Answer, Code> {
  return declaration;
}

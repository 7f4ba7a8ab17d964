/**
 * How an operation is declared. Everything else is derived from the declaration: the type of both backends, the
 * validation at the boundary, the wire form, the keys of a call, how calls are joined, the fuzzer's coverage report.
 * All that other code must know of an operation is declared here; no code refers to an operation by name.
 */
import type { z } from 'zod';
import type { ByteSlot } from './core/entity.js';
import type { ErrorDetail, RejectionCode } from './errors.js';
import type { Event } from './events.js';
import type { Aftermath } from './flow/settle.js';
import type { Family, FamilyCounts, FamilyScope } from './families.js';
import type { BackendLabel } from './handle.js';
import type { Notices } from './partition/notices.js';
import type { Recording } from './step/contents.js';
import type { Append } from './stream/contents.js';
import type { SignalPayload } from './suspension/payloads.js';
import type { View } from './view.js';

/** The settings of a deployment that a transition may read. */
export interface Settings {
  /** How long a terminal execution is kept unless its policy says otherwise, ms; -1 keeps it. */
  readonly retentionMs: number;
  /** Keys of tags by which executions are indexed and by which ends and signals can be filtered. Absent: none. */
  readonly indexedTags?: readonly string[] | undefined;
}

/** The inputs of a decision besides its arguments. */
export interface Context {
  /** The time of the transition, its only clock value, ms since the epoch. */
  readonly now: number;
  readonly settings: Settings;
}

/** The loop that applies due work in a partition, and until when the other loops leave it to that loop. */
export interface Applier {
  readonly owner: string;
  readonly until: number;
}

/** The command was accepted: its events and its outcome. */
export interface Accepted<Outcome> {
  readonly ok: true;
  readonly outcome: Outcome;
  readonly events: readonly Event[];
  /** A frame to append to a stream, beside the state. */
  readonly append?: Append;
  /** The payload of a signal, beside the state. */
  readonly payload?: SignalPayload;
  /** A step to add, beside the state. */
  readonly recording?: Recording;
  /** Beside the state, see the header of a partition. */
  readonly applier?: Applier | undefined;
  readonly notices?: Notices;
  /** Until when the streams of an execution are watched. */
  readonly watch?: { readonly executionId: string; readonly until: number };
  /** Inputs of executions that the command creates, except the subject of its first event. */
  readonly inputs?: readonly (readonly [executionId: string, input: Uint8Array])[];
  /** The consequences for other executions of a flow. */
  readonly aftermath?: Aftermath;
}

/** The command was refused without any effect. */
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

/** The facts of new unmetered work that its possible claimers need. */
export interface ClaimableWork {
  readonly laneId: string;
  readonly executionKind: string;
  readonly requiredCapabilities: readonly string[];
  readonly priority: number;
}

/** Commands of one call that differ only in one list can be joined into one. */
export interface Joining<Args, Outcome> {
  /** The list; all other arguments must be equal. */
  readonly list: keyof Args & string;
  /** Longest list of a joined command. */
  readonly maxLength: number;
  /**
   * Whether a command can be joined. One that the store can refuse because of an entry of its list cannot: the refusal
   * would reach the other callers too.
   */
  accepts(args: Args): boolean;
  /** Splits the outcome of the joined command into the outcomes of the original commands. */
  share(outcome: Outcome, lists: readonly (readonly unknown[])[]): readonly Outcome[];
}

/** An operation: its arguments, its outcomes, its refusals, where it runs, and its effect. */
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
  /** The family of the partitions in which it runs. Default: that of executions and flows. */
  readonly family?: FamilyScope;
  /**
   * Key of the partition in which the operation runs. Entities that are placed by their ids are located with `counts`.
   */
  partition(args: z.output<Args>, counts: FamilyCounts): string;
  /**
   * The wire form of its arguments, see `lua/parameters.ts`. Commands of one call with equal shared arguments are sent
   * as a group: the shared arguments once, then those of each command. Several arguments under a name are one text,
   * joined by tabs.
   */
  readonly wire: {
    readonly shared: readonly WireText[];
    readonly each: readonly WireText[];
  };
  /** Arguments that are bytes of an execution, and their slots; `step` for the value of a step. */
  readonly bytes?: Readonly<Record<string, ByteSlot | 'step'>>;
  /** Executions that it creates as members of a flow; their inputs are bytes of theirs. */
  newMembers?(args: z.output<Args>): readonly { readonly executionId: string; readonly inputPayload: Uint8Array }[];
  /** `adds`: a server whose memory is full refuses it. `frees`: it ends work, or work cannot end without it. */
  readonly memory: 'adds' | 'frees';
  /** Its position among the commands of different callers in one call; `any` keeps it. Default `any`. */
  readonly order?: 'first' | 'any' | 'last';
  /**
   * Work that it makes claimable at once, one item each. It may return `previous`, the work of another command, if that
   * is equal.
   */
  createsWork?(args: z.output<Args>, previous?: readonly ClaimableWork[]): readonly ClaimableWork[];
  /**
   * The family whose partitions the created entities need, unless `memory` tells. Required of an operation that creates
   * executions.
   */
  needs?(args: z.output<Args>): Family | undefined;
  /**
   * Executions, edges, waitpoints and admissions that it handles at most, as far as its arguments tell. A backend bounds
   * how many one call handles. Default 1.
   */
  units?(args: z.output<Args>): number;
  /** Work that it may claim. */
  takes?(args: z.output<Args>): { readonly laneId: string; readonly count: number } | undefined;
  readonly joins?: Joining<z.output<Args>, z.output<Outcome>>;
  /** Random values that the caller's side draws when absent. */
  readonly edge?: Readonly<Record<string, 'unit'>>;
  /**
   * The consequences of its endings are left to a later call, because it reads several executions before it changes
   * one.
   */
  readonly cascadesLater?: true;
  /** Refusals that need states too large for random runs: tests of sizes reach them. */
  readonly ofSize?: readonly Code[];
  /** Kinds of outcomes that only damaged records cause: the model, which has none, never returns them. */
  readonly ofDamage?: readonly string[];
  decide(view: View, args: z.output<Args>, context: Context): Decision<z.output<Outcome>, Code>;
  /** Adds values that only a backend can issue to an outcome: handles. */
  issue?(args: z.output<Args>, outcome: z.output<Outcome>, backend: BackendLabel): z.output<Outcome>;
  /** Completes an outcome with facts of the state after the events. */
  after?(view: View, outcome: z.output<Outcome>, args: z.output<Args>, context: Context): z.output<Outcome>;
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
  /** As in an operation. */
  readonly family?: FamilyScope;
  partition(args: z.output<Args>, counts: FamilyCounts): string;
  read(view: View, args: z.output<Args>, context: Context): Decision<Answer, Code>;
}

export function query<Args extends ObjectSchema, Answer, Code extends RejectionCode>(
  declaration: Query<Args, Answer, Code>,
): Query<Args, Answer, Code> {
  return declaration;
}

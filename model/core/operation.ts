/**
 * How an operation is declared. From a declaration everything else is derived: the type of both backends, the
 * validation at the boundary, the wire form, the fuzzer's coverage report.
 */
import type { z } from 'zod';
import type { ErrorDetail, RejectionCode } from '../errors.js';
import type { Event } from '../events.js';
import type { View } from '../view.js';

/** What a deployment sets and a transition may read. */
export interface Settings {
  /** Life of a terminal execution before it is purged, unless its policy says otherwise, ms. */
  readonly retentionMs: number;
}

/** What a decision may look at besides its arguments. */
export interface Context {
  /** The one clock value of the transition, ms since the epoch. */
  readonly now: number;
  readonly settings: Settings;
}

/** The command was carried out: these facts happened, and this is the answer to its caller. */
export interface Accepted<Outcome> {
  readonly ok: true;
  readonly outcome: Outcome;
  readonly events: readonly Event[];
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
  /** Key of the partition in which the operation runs. */
  partition(args: z.output<Args>): string;
  /** Execution that the arguments name, if any: its keys are declared to the server before the call. */
  execution?(args: z.output<Args>): string;
  decide(view: View, args: z.output<Args>, context: Context): Decision<z.output<Outcome>, Code>;
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
  partition(args: z.output<Args>): string;
  read(view: View, args: z.output<Args>, context: Context): Decision<Answer, Code>;
}

export function query<Args extends ObjectSchema, Answer, Code extends RejectionCode>(
  declaration: Query<Args, Answer, Code>,
): Query<Args, Answer, Code> {
  return declaration;
}

/** `waitFor` and `approval` of a handler's context. */
import { LIMITS } from '../../../model/limits.js';
import { checkDuration, checkSchema, checkWhole, refuse } from '../../shared/checks.js';
import { durationMs, type Duration } from '../../shared/duration.js';
import { knownOnly } from '../../shared/known-only.js';
import { validate, type AnySchema, type InputOf, type Schema } from '../../shared/schema.js';
import type { Travelled } from '../../shared/travel.js';
import { reasonOf } from '../../util/failure-text.js';
import { propertyOf } from '../../util/thrown.js';
import { conditionOf, defaultNameOf, MAX_APPROVALS, namesOf, type WaitCondition } from './conditions.js';
import { InvalidSignalError, WaitTimeoutError } from './errors.js';
import { whenAwaited } from './lazy-promise.js';
import { checkWaitName } from './names.js';
import type { Received, Signal } from './signals.js';
import type { Outcome } from './blocked.js';
import type { Waits } from './waits.js';

interface WaitOptions {
  /** How long to wait, from the first call. Default: without limit. */
  readonly timeout?: Duration | undefined;
  /**
   * Identifies this wait when the handler runs again. Default: what it waits for. Uses of one name are told apart by
   * their order.
   */
  readonly name?: string | undefined;
}

export interface WaitForOptions<Payload, Input = unknown> extends WaitOptions {
  /** Schema of the payload; the handler gets the parsed value. */
  readonly schema?: Schema<Input, Payload> | undefined;
  /** `error` (default): a `WaitTimeoutError`. `value`: `null`. */
  readonly onTimeout?: 'error' | 'value' | undefined;
}

type OrError<Payload, Input> = WaitForOptions<Payload, Input> & { readonly onTimeout?: 'error' | undefined };
type OrNull<Payload, Input> = WaitForOptions<Payload, Input> & { readonly onTimeout: 'value' };

/** Schemas of signal payloads, by the names of the signals. */
export type SignalSchemas = Readonly<Record<string, AnySchema>>;

/** No signal is declared. */
export type NoSignals = Readonly<Record<never, AnySchema>>;

type Undeclared = { readonly schema?: undefined };

/** The signals of these names: `name` says which type `payload` has. */
type DeclaredSignal<Signals extends SignalSchemas, Name extends keyof Signals & string> = {
  [Each in Name]: Signal<Travelled<InputOf<Signals[Each]>>, Each>;
}[Name];

/** For declared signals: the payload has the type that its sender passes, after its trip as JSON. */
interface WaitForDeclared<Signals extends SignalSchemas> {
  <Name extends keyof Signals & string>(
    name: Name,
    options?: OrError<unknown, unknown> & Undeclared,
  ): Promise<Travelled<InputOf<Signals[Name]>>>;
  <Name extends keyof Signals & string>(
    name: Name,
    options: OrNull<unknown, unknown> & Undeclared,
  ): Promise<Travelled<InputOf<Signals[Name]>> | null>;
  <Name extends keyof Signals & string>(
    condition: WaitCondition<Name>,
    options?: OrError<unknown, unknown> & Undeclared,
  ): Promise<readonly DeclaredSignal<Signals, Name>[]>;
  <Name extends keyof Signals & string>(
    condition: WaitCondition<Name>,
    options: OrNull<unknown, unknown> & Undeclared,
  ): Promise<readonly DeclaredSignal<Signals, Name>[] | null>;
}

/**
 * Waits for a signal by name, and gives its payload; or for a combination of signals (`all`, `any`, `count`), and gives
 * those that satisfied it, in the order in which they were accepted. The payload of a signal in the task's `signals`
 * has the type that its sender gives it; a `schema` of the wait parses it.
 */
export type WaitFor<Signals extends SignalSchemas = NoSignals> = [keyof Signals] extends [never]
  ? WaitForAny
  : WaitForDeclared<Signals> & WaitForAny<keyof Signals & string>;

interface WaitForAny<Name extends string = string> {
  <Payload = unknown, Input = unknown>(name: Name, options?: OrError<Payload, Input>): Promise<Payload>;
  <Payload = unknown, Input = unknown>(name: Name, options: OrNull<Payload, Input>): Promise<Payload | null>;
  <Payload = unknown, Input = unknown>(
    condition: WaitCondition<Name>,
    options?: OrError<Payload, Input>,
  ): Promise<readonly Signal<Payload>[]>;
  <Payload = unknown, Input = unknown>(
    condition: WaitCondition<Name>,
    options: OrNull<Payload, Input>,
  ): Promise<readonly Signal<Payload>[] | null>;
}

export interface ApprovalOptions extends WaitOptions {
  /** How many different people have to approve. Default 1. */
  readonly approvals?: number | undefined;
}

/** The decision of one person. */
export interface Decision {
  readonly approved: boolean;
  readonly by: string;
  /** Ms since the epoch. */
  readonly at: number;
  /** The comment; empty if there was none. */
  readonly note: string;
}

/** The outcome of an approval: `approved` if enough people approved before the first rejection. */
export interface Approval {
  readonly approved: boolean;
  /** In the order in which they came: of each person the newest. */
  readonly decisions: readonly Decision[];
}

/**
 * Waits until enough different people approve, or one of them rejects (`run.approve`, `run.reject`).
 * @throws WaitTimeoutError if neither happens in time
 */
export type Approve = (name: string, options?: ApprovalOptions) => Promise<Approval>;

const WAIT_OPTIONS = { schema: true, timeout: true, name: true, onTimeout: true } as const;
const APPROVAL_OPTIONS = { approvals: true, timeout: true, name: true } as const;

interface Asked {
  readonly condition: WaitCondition;
  readonly name: string;
  readonly untilOf: ((now: number) => number) | undefined;
}

function askedFor(
  what: string,
  condition: WaitCondition,
  { timeout, name = defaultNameOf(condition) }: WaitOptions,
): Asked {
  checkDuration(what, 'timeout', timeout, 0, LIMITS.maxDurationMs);
  checkWaitName(what, name);
  if (namesOf(condition).length > LIMITS.maxWaitpoints)
    throw refuse(what, 'the condition', `about at most ${LIMITS.maxWaitpoints} names`, namesOf(condition).length);
  const ms = timeout === undefined ? undefined : durationMs(timeout);
  return { condition, name, untilOf: ms === undefined ? undefined : (now) => now + ms };
}

/** @throws InvalidSignalError */
async function signalOf({ id, name, from, at, payload }: Received, schema: AnySchema | undefined): Promise<Signal> {
  let value: unknown;
  try {
    value = payload();
  } catch (error) {
    throw new InvalidSignalError(name, from, reasonOf(error));
  }
  const validated = await validate(schema, value);
  if (!validated.ok) throw new InvalidSignalError(name, from, validated.problem);
  return { id, name, payload: validated.value, from, at };
}

/** Chains lazily: a promise that is never awaited must not reject. */
const then = <T, U>(outcome: Promise<T>, next: (value: T) => Promise<U>): Promise<U> =>
  whenAwaited(async () => next(await outcome));

type Receiving = Pick<WaitForOptions<unknown>, 'schema' | 'onTimeout'>;

/** To be called before the wait counts as a use of its name. @throws InvalidDefinitionError */
export function checkReceiving(where: string, { schema, onTimeout = 'error' }: Receiving): void {
  checkSchema(where, 'schema', schema);
  if (onTimeout !== 'error' && onTimeout !== 'value') throw refuse(where, 'onTimeout', '"error" or "value"', onTimeout);
}

/** The value of a wait, by its options: the payload, if it is for one signal; otherwise all signals. */
export function resolved(
  waits: Waits,
  outcome: Promise<Outcome>,
  name: string,
  { schema, onTimeout = 'error' }: Receiving,
  isOne = true,
): Promise<unknown> {
  return then(outcome, async (ended): Promise<unknown> => {
    if ('timedOutAt' in ended) {
      if (onTimeout === 'value') return null;
      throw new WaitTimeoutError(name, ended.timedOutAt);
    }
    // Schemas can take their time.
    const signals = await waits.during(() =>
      Promise.all(ended.signals.map((each) => signalOf(each, schema as AnySchema | undefined))),
    );
    return isOne ? signals[0]?.payload : signals;
  });
}

/** @param check throws for a name that the task does not declare */
export function waitForOf(waits: () => Waits, check: (name: string) => void): WaitFor {
  return ((what: string | WaitCondition, options: WaitForOptions<unknown> = {}) => {
    knownOnly<WaitForOptions<unknown>>('waitFor', options, WAIT_OPTIONS);
    checkReceiving('waitFor', options);
    const condition = conditionOf('waitFor', what);
    namesOf(condition).forEach(check);
    const asked = askedFor('waitFor', condition, options);
    return resolved(waits(), waits().signals(asked), asked.name, options, typeof what === 'string');
  }) as WaitForAny;
}

export function approvalOf(waits: () => Waits): Approve {
  return (name, options = {}) => {
    knownOnly<ApprovalOptions>('approval', options, APPROVAL_OPTIONS);
    checkWaitName('approval', name);
    checkWhole('approval', 'approvals', options.approvals, 1, MAX_APPROVALS);
    const { approvals: n = 1 } = options;
    const asked = askedFor('approval', { type: 'approval', n, name }, options);
    const next = async (outcome: Outcome): Promise<Approval> => {
      if ('timedOutAt' in outcome) throw new WaitTimeoutError(asked.name, outcome.timedOutAt);
      const decisions = outcome.signals.map(decisionOf);
      return { approved: decisions.every(({ approved }) => approved), decisions };
    };
    return then(waits().signals(asked), next);
  };
}

function decisionOf({ approved = false, from, at, payload }: Received): Decision {
  const note = propertyOf(payload(), 'note');
  return { approved, by: from, at, note: typeof note === 'string' ? note : '' };
}

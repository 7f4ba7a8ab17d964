/**
 * Checks of waits in handlers, and of signals from outside. An accepted signal is consumed once and in order, or is
 * still stored; the same wait ends alike in every run.
 */
import { keyOf } from '../../src/worker/waits/keys.js';
import {
  all,
  any,
  count,
  type PendingRun,
  type SignalReceipt,
  type TaskContext,
  type Waitpoint,
  WaitTimeoutError,
} from '../../src/index.js';
import { CALLBACK } from './callbacks.js';
import type { HandlerCall } from './facts.js';
import type { Input } from './input.js';
import type { World } from './world.js';
import { keysOf } from '../../model/core/tables.js';

/** How long handlers sleep and wait, ms. */
const SLEEP_MS = 3_000;
const WAIT_MS = 9_000;

/**
 * Waits for several signals: the names that count, and whether signals with these names, in their order, satisfy the
 * wait.
 */
interface Together {
  readonly names: readonly string[];
  isEnough(names: readonly string[]): boolean;
}

const [A, B] = ['a', 'b'];
const COMPOSITES = {
  all: { names: [A, B], isEnough: (names) => names.includes(A) && names.includes(B) },
  any: { names: [A, B], isEnough: (names) => names.length > 0 },
  count: { names: [A, B], isEnough: (names) => names.length > 1 },
  // Every decision is made by another person.
  approval: {
    names: ['yes', 'no'],
    isEnough: (names) => names.includes('no') || names.filter((name) => name === 'yes').length > 1,
  },
} as const satisfies Record<string, Together>;
const CONDITIONS = { all: all(A, B), any: any(A, B), count: count(2, [A, B]) } as const;
/** The subjects of decisions. */
const SUBJECT = 'release';
export type Composite = keyof typeof COMPOSITES;
export const COMPOSITE_KINDS = keysOf(COMPOSITES);

/** Names of signals: those of single waits, those of waits for several, and decisions, named by their answers. */
export const SIGNAL_NAMES = ['go', 'a', 'b', 'yes', 'no'] as const;
export type SignalName = (typeof SIGNAL_NAMES)[number];
const ALONE: SignalName = 'go';

/** A signal, by its name and its number. */
interface Taken {
  readonly name: string;
  readonly number: number;
}

/** A wait of one execution. */
export interface WaitFacts {
  readonly kind: 'sleep' | 'wait' | typeof CALLBACK | Composite;
  /** Its outcome: the signals that satisfied it; none for a sleep; undefined after a timeout. */
  outcome: readonly Taken[] | null | undefined;
}

/** A sent signal. */
export interface SignalFacts extends Taken {
  readonly executionId: string;
}

/** A stored signal: its number is its payload, or the note of a decision. */
function saidBy(name: string, payload: string): Taken {
  if (name !== SUBJECT) return { name, number: Number(payload) };
  const { approved, note } = JSON.parse(payload) as { approved: boolean; note: string };
  return { name: approved ? 'yes' : 'no', number: Number(note) };
}

const textOf = (outcome: readonly Taken[] | null): string =>
  outcome === null ? 'nothing in time' : outcome.map(({ name, number }) => `${name} ${number}`).join(', ');

/** Whether signals with these names end a wait. */
function isEnough(kind: WaitFacts['kind'], names: readonly string[]): boolean {
  if (kind === 'sleep') return false;
  if (kind === 'wait') return names.includes(ALONE);
  if (kind === CALLBACK) return names.includes(CALLBACK);
  const { names: counting, isEnough: suffices }: Together = COMPOSITES[kind];
  return suffices(names.filter((name) => counting.includes(name)));
}

/** The outcome of a callback. */
async function calledBack(point: Waitpoint): Promise<readonly Taken[] | null> {
  const number = (await point.wait<number>({ onTimeout: 'value' })) as number | null;
  return number === null ? null : [{ name: CALLBACK, number }];
}

/** Whether an ending of a handler begins with a wait. */
export const isWait = (end: string): end is WaitFacts['kind'] =>
  end === 'sleep' || end === 'wait' || end === CALLBACK || Object.hasOwn(COMPOSITES, end);

export class Waits {
  readonly sent: SignalFacts[] = [];
  private readonly byExecution = new Map<string, WaitFacts[]>();

  constructor(private readonly world: World) {}

  of(executionId: string): WaitFacts[] {
    let waits = this.byExecution.get(executionId);
    if (waits === undefined) this.byExecution.set(executionId, (waits = []));
    return waits;
  }

  /** Repeats the waits of earlier calls of the handler. */
  async again(call: HandlerCall, context: TaskContext<Input>): Promise<void> {
    for (const [index, wait] of [...this.of(context.executionId)].entries()) await this.one(call, context, wait, index);
  }

  /** A new wait. `pause`: what the handler does between creating an envelope and waiting. */
  async further(
    call: HandlerCall,
    context: TaskContext<Input>,
    kind: WaitFacts['kind'],
    pause: () => Promise<void>,
  ): Promise<void> {
    const waits = this.of(context.executionId);
    const wait: WaitFacts = { kind, outcome: undefined };
    await this.one(call, context, wait, waits.push(wait) - 1, pause);
  }

  private async one(
    call: HandlerCall,
    context: TaskContext<Input>,
    wait: WaitFacts,
    index: number,
    pause?: () => Promise<void>,
  ): Promise<void> {
    const point = wait.kind === CALLBACK ? await this.world.callbacks.made(context, WAIT_MS) : undefined;
    if (point !== undefined) await pause?.();
    call.waits = true;
    const given =
      point === undefined
        ? await this.awaited(context, wait.kind as Exclude<WaitFacts['kind'], typeof CALLBACK>, `wait ${index}`)
        : await calledBack(point);
    call.waits = false;
    this.passed(call, wait, index, given);
  }

  private async awaited(
    context: TaskContext<Input>,
    kind: Exclude<WaitFacts['kind'], typeof CALLBACK>,
    name: string,
  ): Promise<readonly Taken[] | null> {
    const options = { name, timeout: WAIT_MS, onTimeout: 'value' } as const;
    if (kind === 'sleep') {
      await context.sleep(SLEEP_MS, { name });
      return [];
    }
    if (kind === 'wait') {
      const number = await context.waitFor<number>(ALONE, options);
      return number === null ? null : [{ name: ALONE, number }];
    }
    if (kind === 'approval') {
      const approval = await context
        .approval(SUBJECT, { name, timeout: WAIT_MS, approvals: 2 })
        .catch((error: unknown) => (error instanceof WaitTimeoutError ? null : Promise.reject(error)));
      if (approval === null) return null;
      return approval.decisions.map(({ approved, note }) => ({ name: approved ? 'yes' : 'no', number: Number(note) }));
    }
    const signals = await context.waitFor(CONDITIONS[kind], options);
    return signals === null ? null : signals.map((signal) => ({ name: signal.name, number: signal.payload as number }));
  }

  private passed(call: HandlerCall, wait: WaitFacts, index: number, given: readonly Taken[] | null) {
    const { world } = this;
    const before = wait.outcome;
    if (before !== undefined && textOf(before) !== textOf(given))
      world.broken(
        'a wait ends alike in every run',
        `wait ${index} of call ${call.number} gave ${textOf(given)}, and ${textOf(before)} before`,
      );
    if (
      given !== null &&
      wait.kind !== 'sleep' &&
      !isEnough(
        wait.kind,
        given.map(({ name }) => name),
      )
    )
      world.broken(
        'a wait ends when its condition is satisfied',
        `wait ${index} (${wait.kind}) of call ${call.number} gave ${textOf(given)}`,
      );
    wait.outcome = given;
  }

  /** Sends a signal, or decides. @throws what the app throws */
  send(run: PendingRun<unknown>, name: SignalName, number: number): Promise<SignalReceipt> {
    const decision = { by: `person ${number}`, note: String(number) };
    if (name === 'yes') return run.approve(SUBJECT, decision);
    return name === 'no' ? run.reject(SUBJECT, decision) : run.signal(name, number);
  }

  /** At the end: checks the signals of each execution. */
  async check(executionId: string): Promise<void> {
    const { world } = this;
    const { signals } = await world.server.store.listSignals({ executionId });
    const accepted = signals.map(({ payload, signalName, acceptedAt }) => ({
      ...saidBy(signalName, new TextDecoder().decode(payload ?? new Uint8Array())),
      acceptedAt,
    }));
    const sent = new Set(this.sent.filter((each) => each.executionId === executionId).map(({ number }) => number));
    const numbers = accepted.map(({ number }) => number);
    if (new Set(numbers).size !== numbers.length || numbers.some((number) => !sent.has(number)))
      world.broken('a signal is accepted once', `${world.nameOf(executionId)} has ${numbers.join()}`);
    const waits = this.of(executionId);
    const taken = waits.flatMap(({ outcome }) => outcome ?? []);
    for (const name of [...SIGNAL_NAMES, CALLBACK]) {
      const inOrder = accepted.filter((each) => each.name === name).map(({ number }) => number);
      const used = taken.filter((each) => each.name === name).map(({ number }) => number);
      if (used.some((number, index) => number !== inOrder[index]))
        world.broken(
          'signals are taken once and in their order',
          `${world.nameOf(executionId)} accepted ${name} ${inOrder.join()} and took ${used.join()}`,
        );
    }
    await this.checkTimeouts(executionId, accepted);
  }

  /** A wait that timed out had too few signals left over from earlier waits by then. */
  private async checkTimeouts(
    executionId: string,
    accepted: readonly (Taken & { readonly acceptedAt: number })[],
  ): Promise<void> {
    const { world } = this;
    const waits = this.of(executionId);
    if (waits.every(({ outcome }) => outcome !== null)) return;
    const { waitpoints } = await world.server.store.readWaits({ executionId });
    const keys = waitpoints.map(({ waitpointKey }) => keyOf(waitpointKey));
    const taken = new Set<number>();
    for (const [index, { kind, outcome }] of waits.entries()) {
      for (const { number } of outcome ?? []) taken.add(number);
      const use = waits.slice(0, index).filter((before) => before.kind === CALLBACK).length;
      const id = kind === CALLBACK ? { name: CALLBACK, use } : { name: `wait ${index}`, use: 0 };
      const until = keys.find((key) => key?.name === id.name && key.use === id.use)?.until;
      if (outcome !== null || until === undefined) continue;
      const there = accepted.filter(({ number, acceptedAt }) => !taken.has(number) && acceptedAt < until);
      if (
        isEnough(
          kind,
          there.map(({ name }) => name),
        )
      )
        world.broken(
          'no signal is accepted and lost',
          `${world.nameOf(executionId)}: ${textOf(there)} was there before wait ${index} (${kind}) timed out`,
        );
    }
  }
}

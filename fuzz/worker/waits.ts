/**
 * Waits of handlers, and signals from outside: what was waited for, what was sent, and what has to become of it. A signal
 * that was accepted is taken once and in its order, or it is still there; the same wait ends alike in every run.
 */
import { keyOf } from '../../src/worker/waits/keys.js';
import type { TaskContext } from '../../src/index.js';
import type { HandlerCall } from './facts.js';
import type { Input } from './node.js';
import type { World } from './world.js';

/** How long handlers sleep and wait, ms. */
const SLEEP_MS = 3_000;
const WAIT_MS = 9_000;
/** The name of all signals. */
export const SIGNAL = 'go';

/** A wait of one execution. */
export interface WaitFacts {
  readonly kind: 'sleep' | 'wait';
  /** What it gave: the number of a signal, nothing when its time was over; of a sleep, `slept`. */
  outcome: number | null | 'slept' | undefined;
}

/** A signal that was sent. */
export interface SignalFacts {
  readonly number: number;
  readonly executionId: string;
}

export class Waits {
  readonly sent: SignalFacts[] = [];
  private readonly byExecution = new Map<string, WaitFacts[]>();

  constructor(private readonly world: World) {}

  of(executionId: string): WaitFacts[] {
    let waits = this.byExecution.get(executionId);
    if (waits === undefined) this.byExecution.set(executionId, (waits = []));
    return waits;
  }

  /** Passes the waits of earlier calls of the handler. */
  async again(call: HandlerCall, context: TaskContext<Input>): Promise<void> {
    for (const [index, wait] of [...this.of(context.executionId)].entries()) await this.one(call, context, wait, index);
  }

  /** A wait that no call had before. */
  async further(call: HandlerCall, context: TaskContext<Input>, kind: WaitFacts['kind']): Promise<void> {
    const waits = this.of(context.executionId);
    const wait: WaitFacts = { kind, outcome: undefined };
    await this.one(call, context, wait, waits.push(wait) - 1);
  }

  private async one(call: HandlerCall, context: TaskContext<Input>, wait: WaitFacts, index: number): Promise<void> {
    const name = `wait ${index}`;
    call.waits = true;
    const given =
      wait.kind === 'sleep'
        ? await context.sleep(SLEEP_MS, { name }).then(() => 'slept' as const)
        : await context.waitFor<number>(SIGNAL, { name, timeout: WAIT_MS, onTimeout: 'value' });
    call.waits = false;
    this.passed(call, wait, index, given);
  }

  private passed(call: HandlerCall, wait: WaitFacts, index: number, given: NonNullable<WaitFacts['outcome']> | null) {
    const { world } = this;
    if (wait.outcome !== undefined && wait.outcome !== given)
      world.broken(
        'a wait ends alike in every run',
        `wait ${index} of call ${call.number} gave ${String(given)}, and ${String(wait.outcome)} before`,
      );
    wait.outcome = given;
  }

  /** At the end: what became of the signals of each execution. */
  async check(executionId: string): Promise<void> {
    const { world } = this;
    const { signals } = await world.server.store.listSignals({ executionId });
    const numbers = signals.map(({ payload }) => Number(new TextDecoder().decode(payload ?? new Uint8Array())));
    const sent = new Set(this.sent.filter((each) => each.executionId === executionId).map(({ number }) => number));
    if (new Set(numbers).size !== numbers.length || numbers.some((number) => !sent.has(number)))
      world.broken('a signal is accepted once', `${world.nameOf(executionId)} has ${numbers.join()}`);
    const taken = this.of(executionId).flatMap(({ outcome }) => (typeof outcome === 'number' ? [outcome] : []));
    if (taken.some((number, index) => number !== numbers[index]))
      world.broken(
        'signals are taken once and in their order',
        `${world.nameOf(executionId)} accepted ${numbers.join()} and took ${taken.join()}`,
      );
    const timedOut = this.of(executionId).findIndex(({ outcome }) => outcome === null);
    const left = signals[taken.length];
    if (timedOut === -1 || left === undefined) return;
    const { waitpoints } = await world.server.store.readWaits({ executionId });
    const keys = waitpoints.map(({ waitpointKey }) => keyOf(waitpointKey));
    const until = keys.find((key) => key?.name === `wait ${timedOut}`)?.until;
    if (until !== undefined && left.acceptedAt < until)
      world.broken(
        'no signal is accepted and lost',
        `${world.nameOf(executionId)}: ${numbers[taken.length]} was there before a wait timed out`,
      );
  }
}

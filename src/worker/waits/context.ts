/** What a handler's context has for waiting; made when the handler asks for it. */
import type { Attempt } from '../attempt.js';
import { ChildrenOfRun, type ChildrenDependencies } from '../children/children.js';
import { childrenOf, type Children } from '../children/context.js';
import { sleepOf, sleepUntilOf, type Sleep, type SleepUntil } from './sleep.js';
import { approvalOf, waitForOf, type Approve, type WaitFor } from './wait-for.js';
import { waitpointOf, type MakeWaitpoint } from './waitpoint.js';
import { Waits } from './waits.js';

export interface WaitingContext {
  /**
   * Ends this run of the handler until the time is over, from milliseconds to years: no slot is held and no process need
   * live. Then the handler runs again from the beginning, and passes this sleep at once. The time stands from the first
   * call on. Once a handler waits, what is under way beside it is not waited for unless it is a step.
   * @throws InvalidDefinitionError for what is no duration
   * @example await sleep('3d');
   */
  readonly sleep: Sleep;
  /** The same until a time. @throws InvalidDefinitionError @example await sleepUntil(new Date('2027-01-01')); */
  readonly sleepUntil: SleepUntil;
  /**
   * Ends this run of the handler until a signal of this name comes (`run.signal(name, payload)`), and gives what came with
   * it. A signal that came before is taken at once. Each signal is taken by one wait, in the order in which they came.
   * @throws WaitTimeoutError, InvalidSignalError; InvalidDefinitionError for what cannot be meant
   * @example const { approved } = await waitFor('approval', { schema, timeout: '7d' });
   */
  readonly waitFor: WaitFor;
  /**
   * Ends this run of the handler until people decide: `run.approve(name, { by })`, `run.reject(name, { by })`.
   * @throws WaitTimeoutError; InvalidDefinitionError for what cannot be meant
   * @example const { approved, decisions } = await approval('deploy', { approvals: 2, timeout: '1d' });
   */
  readonly approval: Approve;
  /**
   * A wait whose address can be handed out before it begins, with a token that lets its holder send this one signal.
   * @throws EngineError `hmac_secret_not_initialized` before a key was installed (`app.signals.rotateKey`)
   * @example
   * const payment = await waitpoint('payment', { timeout: '2d' });
   * await step('mail', () => mail(payment.callback({ baseUrl: 'https://shop.example/paid' }).reveal()));
   * const { cents } = await payment.wait({ schema });
   */
  readonly waitpoint: MakeWaitpoint;
  /** Has runs of other tasks do parts of the work, and waits for them without a slot: see docs/flows.md. */
  readonly children: Children;
}

/** The waiting members of the context of an attempt. */
export function waitingOf(attempt: Attempt, dependencies: ChildrenDependencies): WaitingContext {
  let made: Waits | undefined;
  let children: ChildrenOfRun | undefined;
  const waits = (): Waits => (made ??= new Waits(attempt, dependencies));
  return {
    sleep: sleepOf(waits),
    sleepUntil: sleepUntilOf(waits),
    waitFor: waitForOf(waits),
    approval: approvalOf(waits),
    waitpoint: waitpointOf(waits),
    children: childrenOf(() => (children ??= new ChildrenOfRun(attempt, waits(), dependencies))),
  };
}

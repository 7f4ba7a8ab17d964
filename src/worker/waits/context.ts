/** The waiting members of a handler's context, created on first use. */
import type { Attempt } from '../attempt/attempt.js';
import { ChildrenOfRun, type ChildrenDependencies } from '../children/children.js';
import { childrenOf, type Children } from '../children/context.js';
import { promisesOf } from '../handler/promises.js';
import { shown } from '../../shared/checks.js';
import { sleepOf, sleepUntilOf, type Sleep, type SleepUntil } from './sleep.js';
import { checkDeclared } from './names.js';
import { approvalOf, waitForOf, type Approve, type NoSignals, type SignalSchemas, type WaitFor } from './wait-for.js';
import { waitpointOf, type MakeWaitpoint } from './waitpoint.js';
import { Waits } from './waits.js';

/** Dependencies of the waiting members. */
export interface WaitingDependencies extends ChildrenDependencies {
  /** The signals that a task declares. */
  readonly signalsOf?: ((kind: string) => SignalSchemas | undefined) | undefined;
}

/** Accessors of a class, for the type of a spread copy: see `TaskContext`. */
export declare abstract class WaitingContext<Signals extends SignalSchemas = NoSignals> {
  /**
   * Sleeps for milliseconds to years, without a slot or a process: this run of the handler ends, and after the duration
   * the handler runs again from the beginning and passes this sleep at once. The duration counts from the first call.
   * When a handler suspends, only running steps are waited for.
   * @throws InvalidDefinitionError for an invalid duration
   * @example await sleep('3d');
   */
  get sleep(): Sleep;
  /** Sleeps until a time. @throws InvalidDefinitionError @example await sleepUntil(new Date('2027-01-01')); */
  get sleepUntil(): SleepUntil;
  /**
   * Waits without a slot for a signal of this name (`run.signal(name, payload)`), and gives its payload. A signal that
   * has already come is taken at once. Each signal is taken by one wait, in the order in which they came.
   * @throws WaitTimeoutError, InvalidSignalError; InvalidDefinitionError for invalid options, and for a name that is
   *   not among the `signals` of a task that declares some
   * @example const { approved } = await waitFor('approval', { schema, timeout: '7d' });
   */
  get waitFor(): WaitFor<Signals>;
  /**
   * Waits without a slot until people decide: `run.approve(name, { by })`, `run.reject(name, { by })`.
   * @throws WaitTimeoutError; InvalidDefinitionError for invalid options
   * @example const { approved, decisions } = await approval('deploy', { approvals: 2, timeout: '1d' });
   */
  get approval(): Approve;
  /**
   * Creates a wait whose envelope or callback URL you can hand out before it begins; its token lets the holder send
   * this one signal.
   * @throws EngineError `hmac_secret_not_initialized` if no key is installed (`app.signals.rotateKey`)
   * @example
   * const payment = await waitpoint('payment', { timeout: '2d' });
   * await step('mail', () => mail(payment.callback({ baseUrl: 'https://shop.example/paid' }).reveal()));
   * const { cents } = await payment.wait({ schema });
   */
  get waitpoint(): MakeWaitpoint;
  /** Starts runs of other tasks and waits for them without a slot: see docs/flows.md. */
  get children(): Children;
}

/** The waiting members of the context of an attempt. */
export function waitingOf(attempt: Attempt, dependencies: WaitingDependencies): WaitingContext {
  let made: Waits | undefined;
  let children: ChildrenOfRun | undefined;
  const kind = attempt.claimed.executionKind;
  const waits = (): Waits => (made ??= new Waits(attempt, dependencies));
  const promises = promisesOf(attempt, dependencies);
  const followed = <Args extends unknown[], T>(what: string, call: (...args: Args) => Promise<T>) => {
    return (...args: Args): Promise<T> => promises.wait(what, call(...args));
  };
  const waitFor = waitForOf(waits, (name) => checkDeclared(kind, dependencies.signalsOf?.(kind), name));
  const waitpoint = waitpointOf(waits, (wait) => promises.wait('waitpoint.wait', wait));
  const group = childrenOf(() => (children ??= new ChildrenOfRun(attempt, waits(), dependencies)));
  return {
    sleep: followed('sleep', sleepOf(waits)),
    sleepUntil: followed('sleepUntil', sleepUntilOf(waits)),
    waitFor: followed('waitFor', waitFor as (...args: unknown[]) => Promise<unknown>) as typeof waitFor,
    approval: followed('approval', approvalOf(waits)),
    waitpoint: (name, options) => promises.call(`waitpoint ${shown(name)}`, waitpoint(name, options)),
    children: {
      all: followed('children.all', group.all as (...args: unknown[]) => Promise<unknown>),
      any: followed('children.any', group.any as (...args: unknown[]) => Promise<unknown>),
      quorum: followed('children.quorum', group.quorum as (...args: unknown[]) => Promise<unknown>),
    } as Children,
  };
}

/** The fence of a handler. */
import { EngineError } from '../../model/errors.js';
import type { Attempt } from './attempt.js';
import type { ContextDependencies } from './context.js';
import type { Fence } from './handler.js';
import { waitingOf, type WaitingContext } from './waits/context.js';

/**
 * The fence as the handler gets it, and what its context is made of. That hangs on the fence because it is the one object
 * of its own that a context has: the fence is the same behind a proxy of the context, and for an object that inherits from
 * it, where private members of the context would not be found. Here no print and no copy shows them. (A `WeakMap` would do
 * it too, for 0.9 µs a context, or a member that is not enumerable, for 0.2 µs; this takes 0.05.)
 */
export class HandlerFence implements Fence {
  readonly leaseId: string;
  readonly leaseEpoch: number;
  readonly attemptId: string;
  readonly token: string;
  readonly #attempt: Attempt;
  readonly #dependencies: ContextDependencies;
  #waiting: WaitingContext | undefined;

  constructor(attempt: Attempt, dependencies: ContextDependencies) {
    const { leaseId, leaseEpoch, attemptId } = attempt.fence;
    this.leaseId = leaseId;
    this.leaseEpoch = leaseEpoch;
    this.attemptId = attemptId;
    this.token = `${attempt.executionId}/${leaseEpoch}/${leaseId}`;
    this.#attempt = attempt;
    this.#dependencies = dependencies;
    Object.freeze(this);
  }

  static attemptOf({ fence }: { readonly fence: Fence }): Attempt {
    return own(fence).#attempt;
  }

  static dependenciesOf({ fence }: { readonly fence: Fence }): ContextDependencies {
    return own(fence).#dependencies;
  }

  static waitingOf({ fence }: { readonly fence: Fence }): WaitingContext {
    const of = own(fence);
    return (of.#waiting ??= waitingOf(of.#attempt, of.#dependencies));
  }

  static is(fence: object): fence is HandlerFence {
    return #attempt in fence;
  }
}

function own(fence: Fence): HandlerFence {
  if (HandlerFence.is(fence)) return fence;
  throw new EngineError('invalid_input', 'context: what wraps it must give its own `fence`, not a copy.');
}

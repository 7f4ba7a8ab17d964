/**
 * The signal of a handler. When a listener of an event target throws or rejects, Node raises an uncaught exception,
 * which ends the process; the guarded signal passes the error to the worker's log instead. Many listeners on one signal
 * are not a leak, so Node's warning is switched off.
 */
import { setMaxListeners } from 'node:events';
import { quietly } from '../../util/quietly.js';

type Listener = EventListenerOrEventListenerObject | null;
type EventListenerOrEventListenerObject = ((event: Event) => unknown) | { handleEvent(event: Event): unknown };

/** Guards the listeners that are added to this signal from now on; returns the signal. */
export function guardSignal(signal: AbortSignal, onListenerError: (error: unknown) => void): AbortSignal {
  setMaxListeners(0, signal);
  const guards = new WeakMap<object, (event: Event) => void>();
  const guardOf = (listener: Listener): Listener => {
    if (listener === null || (typeof listener !== 'function' && typeof listener !== 'object')) return listener;
    let guard = guards.get(listener);
    if (guard === undefined) {
      guard = (event) =>
        quietly(
          () => (typeof listener === 'function' ? listener.call(signal, event) : listener.handleEvent(event)),
          onListenerError,
        );
      guards.set(listener, guard);
    }
    return guard;
  };
  const add = signal.addEventListener.bind(signal) as (type: string, listener: Listener, options?: unknown) => void;
  const remove = signal.removeEventListener.bind(signal) as typeof add;
  let onabort: unknown = null;
  let guardOfOnabort: ((event: Event) => void) | undefined;
  Object.defineProperties(signal, {
    addEventListener: {
      value: (type: string, listener: Listener, options?: unknown) => add(type, guardOf(listener), options),
    },
    removeEventListener: {
      value: (type: string, listener: Listener, options?: unknown) => remove(type, guardOf(listener), options),
    },
    onabort: {
      get: () => onabort,
      set: (listener: unknown) => {
        if (guardOfOnabort !== undefined) remove('abort', guardOfOnabort);
        guardOfOnabort = undefined;
        onabort = typeof listener === 'function' ? listener : null;
        if (typeof listener !== 'function') return;
        guardOfOnabort = (event) => quietly(() => listener.call(signal, event), onListenerError);
        add('abort', guardOfOnabort);
      },
    },
  });
  return signal;
}

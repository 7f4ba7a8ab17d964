/** `waitpoint` of a handler's context: a wait whose envelope can be handed out before it begins. */
import { createHash } from 'node:crypto';
import { LIMITS } from '../../../model/limits.js';
import { checkDuration, refuse } from '../../shared/checks.js';
import { durationMs, type Duration } from '../../shared/duration.js';
import { envelopeOf, Secret } from '../../shared/envelope.js';
import { knownOnly } from '../../shared/known-only.js';
import type { WaitId } from './keys.js';
import { checkWaitName } from './names.js';
import { checkReceiving, resolved, type WaitForOptions } from './wait-for.js';
import type { Waits } from './waits.js';

export interface WaitpointOptions {
  /** How long to wait, from the first call; at most seven days, which is the default. */
  readonly timeout?: Duration | undefined;
}

/** A wait that others can signal before the handler reaches it. */
export interface Waitpoint {
  /** A token that lets its holder send the signal: for a message, a queue, a form. It prints as redacted. */
  envelope(): Secret;
  /**
   * The envelope as a URL: `<baseUrl>/<envelope>`. It prints as redacted.
   * @throws InvalidDefinitionError for an invalid URL
   */
  callback(options: { readonly baseUrl: string | URL }): Secret;
  /**
   * Waits for the signal, and gives its payload. It cannot be awaited side by side with other waits.
   * @throws WaitTimeoutError, InvalidSignalError
   */
  wait<Payload = unknown, Input = unknown>(
    options?: Pick<WaitForOptions<Payload, Input>, 'schema' | 'onTimeout'>,
  ): Promise<Payload>;
}

/**
 * Creates a waitpoint for senders that do not know the run: hand out its envelope or callback URL in a mail or to a
 * payment provider. Signals are delivered with `app.signals.deliver(envelope, payload)`.
 */
export type MakeWaitpoint = (name: string, options?: WaitpointOptions) => Promise<Waitpoint>;

const OPTIONS = { timeout: true } as const;
const CALLBACK_OPTIONS = { baseUrl: true } as const;
const WAIT_OPTIONS = { schema: true, onTimeout: true } as const;

/** The id of a handler's waitpoint: the same in every run. */
export function waitpointIdOf(executionId: string, { name, use }: WaitId): string {
  const hex = createHash('sha256')
    .update(JSON.stringify([executionId, name, use]))
    .digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** @param follow follows the promise of its wait */
export function waitpointOf(waits: () => Waits, follow: <T>(wait: Promise<T>) => Promise<T>): MakeWaitpoint {
  return async (name, options = {}) => {
    checkWaitName('waitpoint', name);
    knownOnly<WaitpointOptions>('waitpoint', options, OPTIONS);
    checkDuration('waitpoint', 'timeout', options.timeout, 1, LIMITS.maxPendingMs);
    const ms = options.timeout === undefined ? LIMITS.maxPendingMs : durationMs(options.timeout);
    const made = await waits().waitpoint(name, ms);
    const envelope = (): string => envelopeOf({ ...made.address(), signalName: name });
    return {
      envelope: () => new Secret(envelope()),
      callback: (callbackOptions) => {
        knownOnly('waitpoint.callback', callbackOptions, CALLBACK_OPTIONS);
        return new Secret(urlOf(callbackOptions.baseUrl, envelope()));
      },
      wait: (waitOptions = {}) => {
        knownOnly('waitpoint.wait', waitOptions, WAIT_OPTIONS);
        checkReceiving('waitpoint.wait', waitOptions);
        return follow(resolved(waits(), made.wait(), name, waitOptions)) as Promise<never>;
      },
    };
  };
}

function urlOf(baseUrl: string | URL, envelope: string): string {
  if (!URL.canParse(String(baseUrl))) throw refuse('callback', 'baseUrl', 'a URL', baseUrl);
  return `${String(baseUrl).replace(/\/+$/, '')}/${envelope}`;
}

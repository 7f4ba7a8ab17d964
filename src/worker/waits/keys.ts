/**
 * Keys of the waitpoints of handlers: `<channel>#<wait>:<use>@<until>`. The channel is the name of the signals for the
 * waitpoint, and empty for a sleep beside a wait for signals. The rest identifies the wait in the handler and its end,
 * so that a handler that runs again recognises the waits that it has begun.
 */

/** A wait of a handler: its name, and which use of the name it is, from 0. */
export interface WaitId {
  readonly name: string;
  readonly use: number;
}

export interface WaitKey extends WaitId {
  /** The id of the waitpoint that was created before the wait. */
  readonly pendingId?: string | undefined;
  readonly channel: string;
  /** End of the wait, ms since the epoch; undefined without an end. */
  readonly until: number | undefined;
}

/**
 * The channel of a wait that its handler called and did not await when it was suspended: the waitpoint only stores the
 * end. A handler cannot give a signal this name.
 */
export const CALLED = '__called';

/** The channel of a sleep whose suspension waits for no signals: if it is resumed early, an operator ended the sleep. */
export const SLEEP_ALONE = '__sleep';

/** Dots also match line separators, which a name can contain. */
const PATTERN = /^([^#]*)#(.*):(\d+)(?:@(\d+))?$/s;

/** The end of a waitpoint that was created before the wait is that of the waitpoint, which the store sets. */
export function keyText({ channel, name, use, until, pendingId }: WaitKey): string {
  return `${channel}#${name}:${use}${until === undefined || pendingId !== undefined ? '' : `@${until}`}`;
}

/** Parses a key; undefined for a waitpoint that is not of a handler. */
export function keyOf(text: string): WaitKey | undefined {
  const [, channel, name, use, until] = PATTERN.exec(text) ?? [];
  if (channel === undefined || name === undefined) return undefined;
  return { channel, name, use: Number(use), until: until === undefined ? undefined : Number(until) };
}

/** The wait as a map key. */
export const waitText = ({ name, use }: WaitId): string => `${name}:${use}`;

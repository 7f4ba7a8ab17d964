/**
 * Keys of the waitpoints that handlers wait at: `<channel>#<wait>:<use>@<until>`. The channel is the name of the signals
 * that are heard there, and empty for a sleep. The rest says which wait of the handler it is, and until when that lasts:
 * a handler that runs again finds by it what it has begun.
 */

/** A wait of a handler: its name, and which use of the name it is, from 0. */
export interface WaitId {
  readonly name: string;
  readonly use: number;
}

export interface WaitKey extends WaitId {
  /** The waitpoint that was made for it before. */
  readonly pendingId?: string | undefined;
  readonly channel: string;
  /** Ms since the epoch; nothing for a wait that has no end. */
  readonly until: number | undefined;
}

const PATTERN = /^([^#]*)#(.*):(\d+)(?:@(\d+))?$/;

export function keyText({ channel, name, use, until }: WaitKey): string {
  return `${channel}#${name}:${use}${until === undefined ? '' : `@${until}`}`;
}

/** What a key says; nothing of the key of a waitpoint that no handler waited at. */
export function keyOf(text: string): WaitKey | undefined {
  const [, channel, name, use, until] = PATTERN.exec(text) ?? [];
  if (channel === undefined || name === undefined) return undefined;
  return { channel, name, use: Number(use), until: until === undefined ? undefined : Number(until) };
}

/** One text for a wait. */
export const waitText = ({ name, use }: WaitId): string => `${name}:${use}`;

/**
 * Who wants to hear of a partition without asking it. A mark in the header says so: it is no state, a reader that it was
 * lost of asks again after a while. A partition that nobody marked pays nothing.
 *
 * - `appends`: the next entry of the log is announced, and the mark is gone. A reader that died costs one announcement.
 * - `endsUntil`: until this time, executions that end are announced by their ids.
 * - `streamsUntil`: until this time, some execution's streams are watched (`model/stream/watch.ts`).
 */
import type { Header } from '../state.js';

export interface Notices {
  readonly appends: boolean;
  /** Ms since the epoch; absent when no caller waits for an end. */
  readonly endsUntil: number | undefined;
  /** Ms since the epoch; absent when no caller waits for a frame. */
  readonly streamsUntil: number | undefined;
}

export const NO_NOTICES: Notices = Object.freeze({ appends: false, endsUntil: undefined, streamsUntil: undefined });

/** What is left of the marks once an entry with this time is appended. */
export function noticesAfter(notices: Notices, at: number): Notices {
  const endsUntil = leftOf(notices.endsUntil, at);
  const streamsUntil = leftOf(notices.streamsUntil, at);
  return endsUntil === undefined && streamsUntil === undefined
    ? NO_NOTICES
    : { appends: false, endsUntil, streamsUntil };
}

const leftOf = (until: number | undefined, at: number): number | undefined =>
  until !== undefined && until > at ? until : undefined;

/** Notes a new entry of the log. */
export function passNotices(header: Header, at: number): void {
  if (header.notices !== NO_NOTICES) header.notices = noticesAfter(header.notices, at);
}

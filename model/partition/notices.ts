/**
 * Which notices a partition has to send. A mark in the header says so. It is not state: a reader whose mark was lost
 * sets it again after a while. A partition without marks pays nothing.
 * - `appends`: the next entry of the log is announced, and the mark is cleared. A dead reader costs one announcement.
 * - `endsUntil`: until this time, executions that end are announced by their ids.
 * - `streamsUntil`: until this time, the streams of some execution are watched (`model/stream/watch.ts`).
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

/** The marks that remain after an entry with this time. */
export function noticesAfter(notices: Notices, at: number): Notices {
  const endsUntil = leftOf(notices.endsUntil, at);
  const streamsUntil = leftOf(notices.streamsUntil, at);
  return endsUntil === undefined && streamsUntil === undefined
    ? NO_NOTICES
    : { appends: false, endsUntil, streamsUntil };
}

const leftOf = (until: number | undefined, at: number): number | undefined =>
  until !== undefined && until > at ? until : undefined;

/** Updates the marks for a new entry of the log. */
export function passNotices(header: Header, at: number): void {
  if (header.notices !== NO_NOTICES) header.notices = noticesAfter(header.notices, at);
}

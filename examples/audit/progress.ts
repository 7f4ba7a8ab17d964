import { clip, formatCount } from './format.js';

const TTY_INTERVAL_MS = 100;
const PLAIN_INTERVAL_MS = 2000;
const FALLBACK_COLUMNS = 80;

/** What the display shows. */
export interface ProgressState {
  /** Packages ended, whether with a result or a failure. */
  readonly done: number;
  /** Packages being audited now. */
  readonly running: number;
  /** Of `done`, those that failed. */
  readonly failed: number;
}

/** Where a display is written; `process.stderr` and `process.stdout` fit. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Settings of {@link startProgress}. */
export interface ProgressOptions {
  /** Number of packages to audit. */
  readonly total: number;
  /** Default `process.stderr`, so that the report alone is on standard output. */
  readonly stream?: ProgressStream;
  /** Clock in milliseconds; default `performance.now`. */
  readonly now?: () => number;
}

/** A running display. */
export interface ProgressDisplay {
  /** Takes the newest state. Cheap: nothing is written before the next line is due. */
  update(state: ProgressState): void;
  /** Writes the last state and stops the display. Calling it again does nothing. */
  stop(): void;
}

/**
 * Starts a one-line display of how far the audit is. On a terminal the line is rewritten, at most
 * ten times a second; elsewhere (a log, a pipe) a new line is written every two seconds. Its timer
 * keeps no process alive.
 *
 * The rate is of packages ended since the first update, so that what an earlier, interrupted run
 * had done already does not count as speed of this one.
 */
export function startProgress(options: ProgressOptions): ProgressDisplay {
  const { total, stream = process.stderr, now = () => performance.now() } = options;
  const isTty = stream.isTTY === true;
  const intervalMs = isTty ? TTY_INTERVAL_MS : PLAIN_INTERVAL_MS;
  const startedAt = now();
  let state: ProgressState = { done: 0, running: 0, failed: 0 };
  let doneBefore: number | undefined;
  let paintedAt = isTty ? -Infinity : startedAt;
  let paintedLength = 0;
  let stopped = false;

  const line = (): string => {
    const seconds = (now() - startedAt) / 1000;
    const rate = seconds > 0 ? (state.done - (doneBefore ?? 0)) / seconds : 0;
    return [
      `${formatCount(state.done)}/${formatCount(total)} packages`,
      `${formatCount(state.running)} running`,
      `${formatCount(state.failed)} failed`,
      `${rate.toFixed(1)}/s`,
    ].join('  ');
  };

  const paint = (): void => {
    paintedAt = now();
    if (!isTty) {
      stream.write(`${line()}\n`);
      return;
    }
    // Some pseudo-terminals give a width of 0: not known.
    const columns = stream.columns || FALLBACK_COLUMNS;
    // The last column stays free: many terminals wrap once it is written, which \r does not undo.
    const text = clip(line(), columns - 1);
    stream.write(`\r${text.padEnd(paintedLength)}`);
    paintedLength = text.length;
  };

  const paintIfDue = (): void => {
    if (now() - paintedAt >= intervalMs) paint();
  };

  const timer = setInterval(paintIfDue, intervalMs);
  timer.unref();

  return {
    update(next) {
      if (stopped) return;
      doneBefore ??= next.done;
      state = next;
      paintIfDue();
    },
    stop() {
      if (stopped) return;
      stopped = true;
      clearInterval(timer);
      paint();
      if (isTty) stream.write('\n');
    },
  };
}

/**
 * Records every call before it is sent, and every answer. A process that is killed leaves its record: a call without an
 * answer may or may not have been executed.
 */
import { EngineError, isRejectionCode, type ErrorDetail, type RejectionCode } from '../../model/errors.js';
import { type Command, type OperationName, type ParsedCommand, OPERATION_NAMES } from '../../model/machine.js';
import type { Backend, CommandResult } from '../../src/backend/backend.js';
import { parseCommand } from '../../src/backend/boundary.js';
import type { Reading } from './reader.js';
import type { Ran } from './work.js';

/** The answer to one command of a call. */
export type Answer =
  | { readonly ok: true; readonly outcome: { readonly kind: string } }
  | { readonly ok: false; readonly code: RejectionCode; readonly detail: ErrorDetail };

/** One line of a record. Times are ms since the epoch, on the clock of the machine. */
export type Entry =
  | { readonly entry: 'sent'; readonly call: number; readonly at: number; readonly commands: readonly ParsedCommand[] }
  | { readonly entry: 'answered'; readonly call: number; readonly at: number; readonly answers: readonly Answer[] }
  /** No answer came; the error says why. */
  | {
      readonly entry: 'unanswered';
      readonly call: number;
      readonly at: number;
      readonly code: string;
      readonly retryable: boolean;
    }
  /** The process is alive, and its event loop turns. */
  | { readonly entry: 'pulse'; readonly at: number }
  /** A step of a handler started. */
  | ({ readonly entry: 'ran' } & Ran)
  /** Events and notices of a durable reader. */
  | Reading;

const READINGS: Readonly<Record<Reading['entry'], true>> = {
  ...{ asked: true, trimmed: true, seen: true, told: true, forgets: true, finished: true },
};

export const isReading = (entry: Entry): entry is Reading => Object.hasOwn(READINGS, entry.entry);

/** A call in the record. */
export interface RecordedCall {
  readonly process: string;
  readonly call: number;
  readonly sentAt: number;
  /** When the answer, or the error, came; unset when the process died before. */
  readonly endedAt: number | undefined;
  readonly commands: readonly ParsedCommand[];
  readonly answers: readonly Answer[] | undefined;
  /** Code of the error that came instead of an answer. */
  readonly fault: { readonly code: string; readonly retryable: boolean } | undefined;
}

/** The same backend, with every operation recorded. Reads change nothing and are not recorded. */
export function recorded(backend: Backend, write: (entry: Entry) => void): Backend {
  let calls = 0;
  const track = async <Result>(
    commands: readonly Command[],
    run: () => Promise<Result>,
    answersOf: (result: Result) => readonly Answer[],
  ): Promise<Result> => {
    const call = calls++;
    const parsed = commands.map(({ name, args }) => parseCommand(name, args, backend.label));
    write({ entry: 'sent', call, at: Date.now(), commands: parsed });
    try {
      const result = await run();
      write({ entry: 'answered', call, at: Date.now(), answers: answersOf(result) });
      return result;
    } catch (error) {
      write(faultEntry(call, error));
      throw error;
    }
  };
  const wrapped = { ...backend } as unknown as Record<string | symbol, unknown>;
  const run = backend as unknown as Record<OperationName, (args: unknown) => Promise<{ kind: string }>>;
  for (const name of OPERATION_NAMES) {
    wrapped[name] = (args: unknown) =>
      track(
        [{ name, args } as Command],
        () => run[name](args),
        (outcome) => [{ ok: true, outcome }],
      );
  }
  wrapped['execute'] = (commands: readonly Command[]) =>
    track(
      commands,
      () => backend.execute(commands),
      (results) => (results as readonly CommandResult[]).map(answerOf),
    );
  return wrapped as unknown as Backend;
}

function answerOf(result: CommandResult): Answer {
  if (result.ok) return { ok: true, outcome: result.outcome };
  return { ok: false, code: result.error.code as RejectionCode, detail: result.error.detail };
}

function faultEntry(call: number, error: unknown): Entry {
  const at = Date.now();
  if (!(error instanceof EngineError)) return { entry: 'unanswered', call, at, code: String(error), retryable: false };
  const { code, detail, retryable } = error;
  return isRejectionCode(code)
    ? { entry: 'answered', call, at, answers: [{ ok: false, code, detail }] }
    : { entry: 'unanswered', call, at, code, retryable };
}

/** The calls of a record, in the order in which they were sent. */
export function callsOf(process: string, entries: Iterable<Entry>): RecordedCall[] {
  const calls = new Map<number, RecordedCall>();
  for (const entry of entries) {
    if (entry.entry === 'sent') {
      calls.set(entry.call, {
        process,
        call: entry.call,
        sentAt: entry.at,
        endedAt: undefined,
        commands: entry.commands,
        answers: undefined,
        fault: undefined,
      });
      continue;
    }
    if (entry.entry !== 'answered' && entry.entry !== 'unanswered') continue;
    const call = calls.get(entry.call);
    if (call === undefined) throw new Error(`${process}: call ${entry.call} was answered and never sent.`);
    const ended =
      entry.entry === 'answered'
        ? { answers: entry.answers }
        : { fault: { code: entry.code, retryable: entry.retryable } };
    calls.set(entry.call, { ...call, endedAt: entry.at, ...ended });
  }
  return [...calls.values()];
}

/** An entry as a line of text; bytes as base64. */
export function lineOf(entry: Entry): string {
  return `${JSON.stringify(entry, function (this: Record<string, unknown>, key: string, value: unknown) {
    // A Buffer has become a list of numbers by now, so read the member itself.
    const member = this[key];
    return member instanceof Uint8Array ? { bytes64: Buffer.from(member).toString('base64') } : value;
  })}\n`;
}

/** The entries of a file, without an unfinished last line. */
export function entriesOf(text: string): Entry[] {
  const lines = text.split('\n');
  // Text after the last line end is an unfinished entry.
  lines.pop();
  return lines.map(
    (line) =>
      JSON.parse(line, (_key, value: unknown) => {
        const bytes64 =
          typeof value === 'object' && value !== null ? (value as { bytes64?: unknown }).bytes64 : undefined;
        return typeof bytes64 === 'string' ? new Uint8Array(Buffer.from(bytes64, 'base64')) : value;
      }) as Entry,
  );
}

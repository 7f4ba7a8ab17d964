/** Dead letters: runs that failed for good. They are listed by reason, and replayed one by one or by filter. */
import type { Quarantined } from '../../../model/partition/quarantine.js';
import type { ExecutionSummary } from '../../../model/listing/list.js';
import type { Backend } from '../../backend.js';
import { replayMany, type ReplayReport } from '../../engine/replay-many.js';
import { checkSignal, checkWhole } from '../../shared/checks.js';
import { knownOnly } from '../../shared/known-only.js';
import { runRowOf, type RunFilter, type RunRow } from './run-list.js';

/** Which dead letters are meant. */
export type DeadLetterFilter = Omit<RunFilter, 'state' | 'held' | 'worker'>;

export interface ReplayOptions {
  /** Tells what would be replayed, and replays nothing. Default false. */
  readonly dryRun?: boolean | undefined;
  /** Runs that are looked at, at most, 1 to 1 000 000. Default all. */
  readonly limit?: number | undefined;
  /** Why, for the log. */
  readonly reason?: string | undefined;
  /** Who asks for it, for the log. Default `operator`. */
  readonly requestedBy?: string | undefined;
  /** Ends it between two batches. */
  readonly signal?: AbortSignal | undefined;
}

const REPLAY_OPTIONS = { dryRun: true, limit: true, reason: true, requestedBy: true, signal: true } as const;
const MAX_REPLAYED = 1_000_000;

/** Something whose record could not be read: it is set aside until an operator mends it or gives it up. */
export interface QuarantinedRow extends Quarantined {
  /** Key of its partition, for `retryQuarantined` and `dropQuarantined` of `app.backend()`. */
  readonly partition: string;
}

export interface DeadLetters {
  /**
   * Runs that failed, or ran out of their time, newest first.
   * @example
   * for await (const { id, failure } of app.deadLetters.list({ failure: 'card_declined' })) console.log(id, failure);
   */
  list(filter?: DeadLetterFilter): AsyncIterable<RunRow>;
  /**
   * Replays every dead letter that matches. Do it with `dryRun` first, and look at what the report counts. Each replay
   * stands alone: what fails is reported and does not end the rest. Repeated after an interruption it replays nothing
   * twice; `after: report.next` goes on where a report ends.
   * @throws InvalidDefinitionError, AppClosedError, the signal's reason
   */
  replay(filter?: DeadLetterFilter, options?: ReplayOptions): Promise<ReplayReport>;
  /** What is set aside because it could not be read; mostly nothing. It is not among the dead letters. */
  quarantined(): AsyncIterable<QuarantinedRow>;
}

/** What dead letters need of their app. */
export interface DeadLetterSource {
  /** Runs in these states that match, newest first. */
  rows(where: string, states: readonly ('failed' | 'expired')[], filter: RunFilter): AsyncGenerator<ExecutionSummary>;
  backend(): Promise<Backend>;
  call<T>(command: () => Promise<T>): Promise<T>;
}

const DEAD = ['failed', 'expired'] as const;

export function deadLettersOf(source: DeadLetterSource): DeadLetters {
  return {
    async *list(filter = {}) {
      for await (const row of source.rows('deadLetters.list', DEAD, filter)) yield runRowOf(row);
    },
    async *quarantined() {
      const backend = await source.backend();
      for (const partition of backend.partitionsInUse()) {
        let cursor: string | undefined;
        do {
          const page = await source.call(() => backend.listQuarantined({ partition, cursor }));
          for (const entry of page.entries) yield { ...entry, partition };
          cursor = page.nextCursor;
        } while (cursor !== undefined);
      }
    },
    async replay(filter = {}, options = {}) {
      const where = 'deadLetters.replay';
      knownOnly<ReplayOptions>(where, options, REPLAY_OPTIONS);
      const { dryRun = false, limit = MAX_REPLAYED, reason = '', requestedBy, signal } = options;
      checkWhole(where, 'limit', limit, 1, MAX_REPLAYED);
      checkSignal(where, 'signal', signal);
      const rows = source.rows(where, DEAD, filter);
      const { after } = filter;
      const call: DeadLetterSource['call'] = (command) => source.call(command);
      return replayMany(await source.backend(), rows, { dryRun, limit, reason, requestedBy, signal, after, call });
    },
  };
}

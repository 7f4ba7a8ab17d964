/** Dead letters: runs that failed without further retries, or expired. They can be listed and replayed by filter. */
import type { Quarantined } from '../../../model/partition/quarantine.js';
import type { ExecutionSummary } from '../../../model/listing/list.js';
import type { Backend } from '../../backend/backend.js';
import type { Clock } from '../../engine/clock.js';
import { replayMany, type ReplayReport } from '../../engine/replay-many.js';
import { checkBoolean, checkSignal, checkWhole, refuse } from '../../shared/checks.js';
import { knownOnly } from '../../shared/known-only.js';
import { copied } from '../../util/copied.js';
import { askedBy, stepsOf, type ReplaySteps } from './asked-by.js';
import { runRowOf, type RunFilter, type RunRow } from './run-list.js';

/** Selects dead letters. */
export type DeadLetterFilter = Omit<RunFilter, 'state' | 'held' | 'worker'>;

export interface ReplayOptions extends ReplaySteps {
  /** Reports what would be replayed, without replaying it. Default false. */
  readonly dryRun?: boolean | undefined;
  /** How many runs to look at, 1 to 1 000 000. Default all. */
  readonly limit?: number | undefined;
  /** Why, for the log. */
  readonly reason?: string | undefined;
  /** The requester, for the log. Default `operator`. */
  readonly requestedBy?: string | undefined;
  /**
   * Stops the replay between two batches, and between two skipped members of a flow, in which case there is a report
   * that names what it left.
   */
  readonly signal?: AbortSignal | undefined;
}

const REPLAY_OPTIONS = {
  dryRun: true,
  limit: true,
  reason: true,
  requestedBy: true,
  steps: true,
  signal: true,
} as const;
const MAX_REPLAYED = 1_000_000;

/** An entry with an unreadable record: it is quarantined until an operator repairs or drops it. */
export interface QuarantinedRow extends Quarantined {
  /** The key of its partition, for `retryQuarantined` and `dropQuarantined` of `app.backend()`. */
  readonly partition: string;
}

export interface DeadLetters {
  /**
   * Runs that failed or expired, newest first.
   * @example
   * for await (const { id, failure } of app.deadLetters.list({ failure: 'card_declined' })) console.log(id, failure);
   */
  list(filter?: DeadLetterFilter): AsyncIterable<RunRow>;
  /**
   * Replays every dead letter that matches. Use `dryRun` first, and check the report. A replay that fails is reported
   * and does not stop the others. Repeating the call after an interruption replays nothing twice; `after: report.next`
   * continues where a report ended.
   * @throws InvalidDefinitionError, AppClosedError, the signal's reason
   */
  replay(filter?: DeadLetterFilter, options?: ReplayOptions): Promise<ReplayReport>;
  /** Entries that are quarantined because they could not be read; normally none. They are not dead letters. */
  quarantined(): AsyncIterable<QuarantinedRow>;
}

/** The parts of an app that dead letters use. */
export interface DeadLetterSource {
  /** Runs in these states that match, newest first. */
  rows(where: string, states: readonly ('failed' | 'expired')[], filter: RunFilter): AsyncGenerator<ExecutionSummary>;
  backend(): Promise<Backend>;
  clock(): Clock;
  call<T>(command: () => Promise<T>): Promise<T>;
}

const DEAD = ['failed', 'expired'] as const;

/** The dead letters that match. @throws InvalidDefinitionError, also for a state, which would be ignored */
function deadRows(source: DeadLetterSource, where: string, filter: DeadLetterFilter): AsyncGenerator<ExecutionSummary> {
  const { state } = Object(filter) as RunFilter;
  if (state !== undefined) throw refuse(where, 'state', 'left out: dead letters are what failed or expired', state);
  return source.rows(where, DEAD, filter);
}

async function* listed(source: DeadLetterSource, filter: DeadLetterFilter): AsyncGenerator<RunRow, void, undefined> {
  for await (const row of deadRows(source, 'deadLetters.list', filter)) yield runRowOf(row);
}

/** The options of a replay of many runs, with defaults. @throws InvalidDefinitionError */
export function checkedReplay(where: string, options: ReplayOptions) {
  knownOnly<ReplayOptions>(where, options, REPLAY_OPTIONS);
  checkBoolean(where, 'dryRun', options.dryRun);
  const { dryRun = false, limit = MAX_REPLAYED, signal } = options;
  const { reason, requestedBy } = askedBy(where, options);
  const steps = stepsOf(where, options);
  checkWhole(where, 'limit', limit, 1, MAX_REPLAYED);
  checkSignal(where, 'signal', signal);
  return { dryRun, limit, reason, requestedBy, steps, signal };
}

export function deadLettersOf(source: DeadLetterSource): DeadLetters {
  return {
    list: (filter = {}) => listed(source, copied(filter)),
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
      const asked = checkedReplay(where, options);
      const { after } = Object(filter) as DeadLetterFilter;
      const rows = deadRows(source, where, copied(filter));
      const call: DeadLetterSource['call'] = (command) => source.call(command);
      const backend = await source.backend();
      const clock = source.clock();
      return replayMany(backend, rows, { ...asked, after, clock, call });
    },
  };
}

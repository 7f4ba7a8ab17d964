/**
 * A second deployment on the server of a chaos run, with short and busy logs: they are trimmed constantly while a
 * durable reader reads them, and ahead of it when it is away for long. An archive in the process that writes them reads
 * every entry before there are more, and so knows what the reader must have received.
 */
import { randomUUID } from 'node:crypto';
import { EngineError } from '../../model/errors.js';
import { isKnown, type LoggedEvent } from '../../model/events.js';
import { executionIdOf, partitionKeyOf } from '../../model/ids.js';
import type { Command } from '../../model/machine.js';
import { LIMITS } from '../../model/limits.js';
import { decodeCursor } from '../../model/partition/cursor.js';
import type { Backend } from '../../src/backend/backend.js';
import { earliestPlace } from '../../src/engine/log-search.js';
import { judgeReadings } from './judge-readings.js';
import { lastGiven, type Reading } from './reader.js';

export const TRIMMED = {
  prefix: 'trimmed:',
  partitions: 2,
  /** A group holds back ten times as many: fewer than a reader misses in a second. */
  logMaxEntries: 100,
} as const;

/** Entries per call, and the pause before the next call, ms. */
const BATCH = 50;
const PAUSE_MS = 40;
/** A log that grew by so many entries has lost all that it had before, also if a reader needs them. */
const OUTRUN_BY = 20 * TRIMMED.logMaxEntries;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The answer to a call; undefined while the store does not answer. */
async function unlessAway<Answer>(call: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof EngineError) || !error.retryable) throw error;
    await pause(100);
    return undefined;
  }
}

/** Everything that one log ever contained, except tails that the server lost. */
class Archive {
  private readonly entries = new Map<number, LoggedEvent>();
  private after: string | undefined;
  /** The first entry of the log, when it must be one that the archive has. */
  private mustKnowNext = false;
  /** Entries were trimmed before they were archived, so nothing can be judged by the archive. */
  isIncomplete = false;

  constructor(
    private readonly backend: Backend,
    private readonly partition: string,
  ) {}

  /** Reads the log to its end. */
  async catchUp(): Promise<void> {
    while (!(await this.step()));
  }

  /** Position of the last entry. */
  get end(): number {
    return this.after === undefined ? 0 : decodeCursor(this.after).sequence;
  }

  /** All entries. Those behind the end are of a tail that the server lost. */
  log(): readonly LoggedEvent[] {
    return [...this.entries.values()]
      .filter(({ sequence }) => sequence <= this.end)
      .sort((a, b) => a.sequence - b.sequence);
  }

  /** Reads further; returns whether it reached the end. */
  private async step(): Promise<boolean> {
    const { backend, partition, after } = this;
    try {
      const page = await unlessAway(backend.readLog({ partition, after, limit: LIMITS.maxPageSize }));
      if (page === undefined) return false;
      const events = page.events.filter(isKnown);
      const [first] = events;
      if (this.mustKnowNext && first !== undefined) {
        this.isIncomplete ||= this.entries.get(first.sequence)?.event.at !== first.event.at;
        this.mustKnowNext = false;
      }
      for (const logged of events) this.entries.set(logged.sequence, logged);
      this.after = page.next;
      return page.atEnd;
    } catch (error) {
      if (!(error instanceof EngineError) || !error.code.startsWith('cursor_')) throw error;
      // A tail was lost, and the entries that replace it overwrite it here. If the log no longer has all of them, its first entry is not the one of the archive.
      this.after = (await unlessAway(earliestPlace(backend, partition)))?.after;
      this.mustKnowNext = this.after !== undefined;
      return false;
    }
  }
}

/** The results of a run on trimmed logs. */
export interface TrimmedResult {
  readonly violations: readonly string[];
  /** Number of entries written, and of those that the logs still have. */
  readonly written: number;
  readonly left: number;
}

/** Writes to the short logs, and archives them, until stopped. */
export class TrimmedLogs {
  private readonly partitions = Array.from({ length: TRIMMED.partitions }, (_, index) => partitionKeyOf(index));
  private readonly archives: readonly Archive[];
  private readonly violations: string[] = [];
  private over = false;
  private readonly going: Promise<unknown>;

  constructor(private readonly backend: Backend) {
    this.archives = this.partitions.map((partition) => new Archive(backend, partition));
    this.going = Promise.all(
      this.archives.map((archive, index) =>
        this.write(archive, index, async () => {
          await pause(PAUSE_MS);
          return this.over;
        }),
      ),
    );
    // It is awaited at the end; until then a fault must not be an unhandled rejection.
    this.going.catch(() => undefined);
  }

  /** Stops the writing. */
  async end(): Promise<void> {
    this.over = true;
    await this.going;
  }

  /**
   * Writes until each log has lost everything that it has now. A reader that is away meanwhile misses entries, and must
   * be told. Returns the position of the last entry of each log that readers are given.
   */
  async outrun(): Promise<readonly number[]> {
    await Promise.all(this.archives.map((archive, index) => this.replace(archive, index)));
    return this.archives.map((archive) => lastGiven(archive.log()));
  }

  /** @param lives the records of the durable reader's processes, once it has read everything */
  async judge(lives: readonly (readonly Reading[])[]): Promise<TrimmedResult> {
    const violations = [...this.violations];
    let [written, left] = [0, 0];
    for (const [index, archive] of this.archives.entries()) {
      const partition = partitionKeyOf(index);
      await archive.catchUp();
      const log = archive.log();
      written += log.length;
      left += log.length - (await this.trimmedTo(partition));
      if (archive.isIncomplete) violations.push(`${partition}, trimmed: entries were gone before they were archived`);
      for (const [what, stories] of Object.entries(judgeReadings(partition, log, lives, true)))
        if (stories.length > 0)
          violations.push(`${partition}, trimmed: ${stories.length} ${what}:\n${stories.slice(0, 10).join('\n')}`);
    }
    return { violations, written, left };
  }

  /**
   * Writes to a log. One execution whose priority alternates makes many entries, and no lasting data. The archive reads
   * them before there are more, so no machine is too slow for it. `isEnough` is asked after each call.
   */
  private async write(archive: Archive, index: number, isEnough: () => Promise<boolean>): Promise<void> {
    let executionId = await this.created(index);
    for (let round = 0; ; round++) {
      const commands = Array.from(
        { length: BATCH },
        (_, i): Command => ({
          name: 'changePriority',
          args: { executionId, newPriority: 1 + ((round * BATCH + i) % 2) },
        }),
      );
      const results = await unlessAway(this.backend.execute(commands));
      // A power cut can take the execution with it.
      if (results?.some((result) => !result.ok) === true) executionId = await this.created(index);
      await archive.catchUp();
      if (await isEnough()) return;
    }
  }

  private async created(index: number): Promise<string> {
    for (;;) {
      const executionId = executionIdOf(index, randomUUID());
      const args = { executionId, namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'chaos' };
      if ((await unlessAway(this.backend.createExecution(args))) !== undefined) return executionId;
    }
  }

  private async replace(archive: Archive, index: number): Promise<void> {
    const partition = partitionKeyOf(index);
    const had = archive.end;
    await this.write(archive, index, async () => {
      if ((await this.trimmedTo(partition)) >= had) return true;
      if (archive.end < had + OUTRUN_BY) return false;
      this.violations.push(`${partition}: of ${had} entries some are left, and ${OUTRUN_BY} were written since`);
      return true;
    });
  }

  /** Number of entries that a log had and lost. */
  private async trimmedTo(partition: string): Promise<number> {
    const { after: earliest } = await earliestPlace(this.backend, partition);
    return earliest === undefined ? 0 : decodeCursor(earliest).sequence;
  }
}

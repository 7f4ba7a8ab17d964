/**
 * A second deployment on the server of a chaos run, with short and busy logs: they are trimmed constantly while a
 * durable reader reads them, and ahead of it when it is away for long. An archive that follows the logs and is never
 * hit by a fault knows what the reader must have received.
 */
import { randomUUID } from 'node:crypto';
import { EngineError } from '../../model/errors.js';
import { isKnown, type LoggedEvent } from '../../model/events.js';
import { executionIdOf, partitionKeyOf } from '../../model/ids.js';
import type { Command } from '../../model/machine.js';
import { LIMITS } from '../../model/limits.js';
import type { Backend } from '../../src/backend/backend.js';
import { earliestOf } from '../../src/engine/log.js';
import { isOfReader } from '../../src/subscribing/filters.js';
import { judgeReadings } from './judge-readings.js';
import type { Reading } from './reader.js';

export const TRIMMED = {
  prefix: 'trimmed:',
  partitions: 2,
  /** A group holds back ten times as many: fewer than a reader misses in a second. */
  logMaxEntries: 100,
} as const;

/** Entries per call, and the pause before the next call, ms. */
const BATCH = 50;
const PAUSE_MS = 40;
/** Pause between two reads at the end of a log, ms. */
const LOOK_MS = 20;

/** The reader group of the archive. */
const ARCHIVE = 'archive';

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
  /** The archive itself was too slow; its result is void. */
  missed = false;

  constructor(
    private readonly backend: Backend,
    private readonly partition: string,
  ) {}

  /** Reads further; returns whether it reached the end. */
  async step(): Promise<boolean> {
    const { backend, partition, after } = this;
    try {
      const page = await unlessAway(backend.readLog({ partition, after, limit: LIMITS.maxPageSize }));
      for (const logged of page?.events.filter(isKnown) ?? []) this.entries.set(logged.sequence, logged);
      if (page === undefined) return false;
      this.after = page.next;
      // The log waits for the archive; what it has read can be trimmed.
      const place = { partition, readerId: ARCHIVE, position: page.next };
      if (page.events.some(({ event }) => !isOfReader(event.type))) await unlessAway(backend.commitReader(place));
      return page.atEnd;
    } catch (error) {
      if (!(error instanceof EngineError) || !error.code.startsWith('cursor_')) throw error;
      this.missed ||= error.code === 'cursor_too_old';
      // A tail was lost: the entries that replace it overwrite it here.
      this.after = await unlessAway(earliestOf(backend, partition));
      return false;
    }
  }

  /** All entries once the log is read to its end, and how many of them the log still has. */
  async whole(): Promise<{ readonly log: readonly LoggedEvent[]; readonly left: number }> {
    const { backend, partition } = this;
    while (!(await this.step()));
    const after = await earliestOf(backend, partition);
    const { events } = await backend.readLog({ partition, after, limit: LIMITS.maxPageSize });
    const last = [...this.entries.keys()].reduce((a, b) => Math.max(a, b), 0);
    const end = events.at(-1)?.sequence ?? last;
    const log = [...this.entries.values()].filter(({ sequence }) => sequence <= end);
    return { log: log.sort((a, b) => a.sequence - b.sequence), left: events.length };
  }
}

/** The results of a run on trimmed logs. */
export interface TrimmedResult {
  readonly violations: readonly string[];
  /** Number of entries written, and of entries trimmed. */
  readonly written: number;
  readonly left: number;
}

/** Writes to the short logs, and archives them, until stopped. */
export class TrimmedLogs {
  private readonly archives: readonly Archive[];
  private over = false;
  private readonly going: Promise<unknown>;

  constructor(private readonly backend: Backend) {
    const partitions = Array.from({ length: TRIMMED.partitions }, (_, index) => partitionKeyOf(index));
    this.archives = partitions.map((partition) => new Archive(backend, partition));
    this.going = Promise.all([
      ...partitions.map((_, index) => this.write(index)),
      ...this.archives.map((archive) => this.archive(archive)),
    ]);
    // It is awaited at the end; until then a fault must not be an unhandled rejection.
    this.going.catch(() => undefined);
  }

  /** One execution whose priority alternates: many entries, and no lasting data. */
  private async write(index: number): Promise<void> {
    for (let executionId = await this.created(index), round = 0; !this.over; round++) {
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
      await pause(PAUSE_MS);
    }
  }

  private async created(index: number): Promise<string> {
    for (;;) {
      const executionId = executionIdOf(index, randomUUID());
      const args = { executionId, namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'chaos' };
      if (this.over || (await unlessAway(this.backend.createExecution(args))) !== undefined) return executionId;
    }
  }

  private async archive(archive: Archive): Promise<void> {
    while (!this.over) if (await archive.step()) await pause(LOOK_MS);
  }

  /** Stops the writing. */
  async end(): Promise<void> {
    this.over = true;
    await this.going;
  }

  /** @param lives the records of the durable reader's processes, once it has read everything */
  async judge(lives: readonly (readonly Reading[])[]): Promise<TrimmedResult> {
    const violations: string[] = [];
    let [written, left, missed] = [0, 0, 0];
    for (const [index, archive] of this.archives.entries()) {
      const partition = partitionKeyOf(index);
      const whole = await archive.whole();
      written += whole.log.length;
      left += whole.left;
      // Then the archive is no measure for what readers were given. That the log went on without it is the rule for
      // every reader that is away for longer than the log is held back.
      if (archive.missed) {
        missed += 1;
        continue;
      }
      for (const [what, stories] of Object.entries(judgeReadings(partition, whole.log, lives)))
        if (stories.length > 0)
          violations.push(`${partition}, trimmed: ${stories.length} ${what}:\n${stories.slice(0, 10).join('\n')}`);
    }
    if (missed === this.archives.length) violations.push('the archives of all trimmed logs were too slow');
    return { violations, written, left };
  }
}

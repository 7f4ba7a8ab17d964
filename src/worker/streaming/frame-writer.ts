/**
 * Sends the frames of one attempt in the order in which its handler wrote them: one call at a time, with all frames
 * that were written meanwhile. Frames are numbered, so a call whose answer was lost can be repeated: the store does not
 * append a frame twice.
 */
import { EngineError } from '../../../model/errors.js';
import type { ArgsOf, Command } from '../../../model/machine.js';
import type { Backend, CommandResult } from '../../backend/backend.js';
import { afterAndIo, type Clock } from '../../engine/clock.js';
import { retryDelayMs } from '../../engine/retry.js';
import { MAX_JOINED_BYTES, MAX_JOINED_COMMANDS } from '../../backend/joined-calls.js';
import { asEngineError } from '../../util/engine-error.js';
import { TaskAbort } from '../attempt/abort.js';
import { isUnanswered } from '../lease/answers.js';
import type { Attempt } from '../attempt/attempt.js';
import type { Halves } from './halves.js';

type FrameArgs = Omit<ArgsOf<'appendFrame'>, 'executionId' | 'fence' | 'attemptIndex' | 'seq'>;

/** A frame that a handler wrote, and its size. */
export interface WrittenFrame {
  readonly args: FrameArgs;
  readonly bytes: number;
}

interface Queued extends WrittenFrame {
  readonly seq: number | undefined;
}

/** Above these amounts of unsent frames, writers wait. */
const HIGH_WATER_BYTES = 256 * 1024;
const HIGH_WATER_FRAMES = 1_000;
/** Range of frame numbers per lease; the numbers of the next lease are above it. */
const NUMBERS_PER_LEASE = 2 ** 32;

export class FrameWriter {
  private queue: Queued[] = [];
  private waitingBytes = 0;
  private waitingFrames = 0;
  private written = 0;
  private sending = false;
  /** The error after which no frames are accepted. */
  private failure: { readonly error: unknown } | undefined;
  private over: boolean;
  /** Callers that wait for room, or for all frames to be stored. */
  private waiting: (() => void)[] = [];

  constructor(
    private readonly attempt: Attempt,
    private readonly backend: Backend,
    private readonly clock: Clock,
    /** What texts have left for their next chunk. */
    readonly halves: Halves<WrittenFrame>,
  ) {
    this.over = attempt.isOver;
  }

  /**
   * Accepts frames; resolves when there is room for more.
   * @throws TaskAbort when the worker no longer owns the execution; the error of an earlier frame
   */
  async write(frames: readonly WrittenFrame[]): Promise<void> {
    try {
      this.throwIfFailed();
    } catch (error) {
      // These frames are missing from the stream, whether or not the handler looks at the error.
      if (!this.over) this.fail(error);
      throw error;
    }
    if (this.over) throw new EngineError('execution_not_active', 'stream: the handler of this run has ended.');
    this.add(frames);
    while (this.waitingBytes > HIGH_WATER_BYTES || this.waitingFrames > HIGH_WATER_FRAMES) {
      await this.progress();
      this.throwIfFailed();
    }
  }

  private add(frames: readonly WrittenFrame[]): void {
    for (const frame of frames) {
      this.queue.push({ ...frame, seq: this.nextNumber() });
      this.waitingBytes += frame.bytes;
      this.waitingFrames++;
    }
    if (this.sending) return;
    this.sending = true;
    // At the end of the turn, so that all its frames share a call.
    process.nextTick(() => void this.send());
  }

  /** Resolves when all written frames are stored. @throws the errors of `write` */
  async flush(): Promise<void> {
    await this.sent();
    this.throwIfFailed();
  }

  /** Resolves when all written frames are stored, or one is refused. */
  async sent(): Promise<void> {
    while (this.waitingFrames > 0 && this.failure === undefined) await this.progress();
  }

  /**
   * Call this when the handler has ended: stores the remaining frames, and accepts no more.
   * @throws if a frame is missing: the error for which it was refused
   */
  async close(): Promise<void> {
    this.over = true;
    if (this.failure === undefined) this.add(this.halves.left());
    await this.sent();
    if (this.failure !== undefined) throw this.failure.error;
  }

  /** Numbers grow with the lease epoch, so a later owner of the same attempt continues above the earlier numbers. */
  private nextNumber(): number | undefined {
    const number = this.attempt.fence.leaseEpoch * NUMBERS_PER_LEASE + this.written++;
    return Number.isSafeInteger(number) && this.written < NUMBERS_PER_LEASE ? number : undefined;
  }

  private throwIfFailed(): void {
    if (this.failure !== undefined) throw this.failure.error;
    this.attempt.throwIfLost();
  }

  private progress(): Promise<void> {
    return this.attempt.during(() => new Promise((resolve) => this.waiting.push(resolve)));
  }

  private async send(): Promise<void> {
    while (this.queue.length > 0 && this.failure === undefined) {
      const batch = this.batch();
      try {
        await this.store(batch);
      } catch (error) {
        this.fail(error);
      }
      for (const { bytes } of batch) this.waitingBytes -= bytes;
      this.waitingFrames -= batch.length;
      for (const resolve of this.waiting.splice(0)) resolve();
    }
    this.sending = false;
  }

  private fail(error: unknown): void {
    this.failure = { error };
    this.queue = [];
    this.waitingBytes = 0;
    this.waitingFrames = 0;
  }

  /** The next frames, as many as fit a call. */
  private batch(): readonly Queued[] {
    let bytes = 0;
    let count = 0;
    for (const frame of this.queue) {
      bytes += frame.bytes;
      if (count === MAX_JOINED_COMMANDS || (count > 0 && bytes > MAX_JOINED_BYTES)) break;
      count++;
    }
    return this.queue.splice(0, count);
  }

  /**
   * Appends frames in one call, repeated until the store answers or the lease is lost. @throws the refusal of a frame
   */
  private async store(batch: readonly Queued[]): Promise<void> {
    let left = batch;
    for (let failures = 0; ; ) {
      try {
        left = left.slice(this.storedOf(left, await this.backend.execute(this.commandsOf(left)), failures > 0));
        if (left.length === 0) return;
      } catch (error) {
        if (error instanceof Refused) throw this.meaning(error.refusal);
        if (!isUnanswered(error)) throw this.meaning(error);
      }
      failures++;
      await new Promise<void>((resolve) => afterAndIo(this.clock, retryDelayMs(this.clock, failures), resolve));
      this.attempt.throwIfLost();
    }
  }

  private commandsOf(batch: readonly Queued[]): Command[] {
    const { executionId, claimed, fence } = this.attempt;
    const { leaseId, leaseEpoch, attemptId } = fence;
    const owner = { executionId, attemptIndex: claimed.attemptIndex, fence: { leaseId, leaseEpoch, attemptId } };
    return batch.map(({ args, seq }) => ({ name: 'appendFrame', args: { ...owner, ...args, seq } }));
  }

  /**
   * The number of leading frames that are stored; the rest is sent again.
   * @throws Refused, or the fault of the first frame
   */
  private storedOf(batch: readonly Queued[], results: readonly CommandResult[], isRepeated: boolean): number {
    const isThere = (result: CommandResult, index: number): boolean =>
      result.ok ||
      // Stored by an earlier call.
      (isRepeated && result.error.code === 'frame_seq_out_of_order' && batch[index]?.seq !== undefined);
    const faulty = results.findIndex((result, index) => !isThere(result, index));
    const fault = results[faulty];
    if (fault === undefined || fault.ok) return batch.length;
    // If a later frame is stored, this one can no longer be: its number would be out of order.
    const leavesGap = results.some((result, index) => index > faulty && isThere(result, index));
    if (leavesGap || !isUnanswered(fault.error)) throw new Refused(fault.error);
    if (faulty === 0) throw fault.error;
    return faulty;
  }

  /** The error for the handler: a TaskAbort if the execution is lost, otherwise the refusal itself. */
  private meaning(error: unknown): unknown {
    const refusal = asEngineError(error);
    const code = refusal === undefined ? undefined : this.attempt.refused(refusal);
    return code === undefined ? error : new TaskAbort(code);
  }
}

/** The final refusal of a frame. */
class Refused extends Error {
  constructor(readonly refusal: EngineError) {
    super(refusal.message);
  }
}

/**
 * Verifies partitions in which calls broke off halfway, such as by a right that was taken from the user, so that nothing
 * stays half done until an operator acts. The function on the server marks the partition (lua/partition/broken-off.lua),
 * and every pass over due work tells of the mark. The process that is told verifies the partition, unless another one is
 * at it; one partition at a time, with rests, and again later while the cause lasts.
 */
import { randomUUID } from 'node:crypto';
import { EngineError } from '../../model/errors.js';
import type { VerifyReport } from '../backend/backend.js';
import { PartitionMended } from '../backend/mended.js';
import type { BrokeOff } from './connection/faults.js';
import { textOf, type WireReply } from './reply.js';

export interface VerifyResult {
  readonly report: VerifyReport;
  /** Whether the partition had a mark, which was removed. */
  readonly wasMended: boolean;
}

export interface MendingOptions {
  /** Whether the user may list keys, which a verification needs. */
  readonly canVerify: () => boolean;
  /** Runs a step of a verification. */
  readonly step: (partition: string, name: string, ...args: readonly string[]) => Promise<WireReply>;
  /** Verifies a partition with rests between the steps. */
  readonly verify: (partition: string) => Promise<VerifyResult>;
  /** Takes executions without a fault out of quarantine that stray entries of indexes brought there. @returns how many */
  readonly release: (partition: string) => Promise<number>;
  readonly tell: (notice: EngineError) => void;
}

/** For how long a process reserves a partition, ms, and how often it renews that. */
const RESERVED_MS = 30_000;
const RENEWED_MS = 10_000;
/** Pause after a failure, ms; doubled each time. */
const PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 10_000;

const pauseAfter = (failures: number): number => Math.min(MAX_PAUSE_MS, PAUSE_MS * 2 ** Math.min(failures - 1, 10));

type Topic = 'broke_off' | 'cannot_verify' | 'failed';

/** A partition in which calls broke off, as this process knows it. */
interface Place {
  failures: number;
  /** No earlier than this it is tried again, ms of `performance.now`. */
  notBefore: number;
  /** Kinds of notices about it, each of which is given once. */
  readonly told: Set<Topic>;
}

export class Mending {
  private readonly owner = randomUUID();
  private readonly places = new Map<string, Place>();
  /** Partitions without the mark that they should have. */
  private readonly unmarked = new Set<string>();
  private marking: ReturnType<typeof setTimeout> | undefined;
  private isBusy = false;
  private isClosed = false;

  constructor(private readonly options: MendingOptions) {}

  /** A call of this process broke off. */
  brokeOff(partition: string, error: BrokeOff): void {
    const { code, message } = error;
    const said = message.slice(code.length + 2);
    this.tellOnce(partition, 'broke_off', new EngineError(code, `${partition}: ${said}`, { detail: { partition } }));
    if (error.isMarked) return;
    this.unmarked.add(partition);
    this.markSoon(1);
  }

  /** Whether calls broke off in the partition, as far as this process knows. */
  knows(partition: string): boolean {
    return this.places.has(partition);
  }

  /** A pass over due work has found no mark: another process has repaired the partition. */
  forget(partition: string): void {
    if (!this.unmarked.has(partition)) this.places.delete(partition);
  }

  /** A pass over due work has found the mark. */
  found(partition: string): void {
    const { notBefore } = this.placeOf(partition);
    if (this.isClosed || this.isBusy || performance.now() < notBefore) return;
    if (!this.options.canVerify()) {
      this.tellOnce(partition, 'cannot_verify', cannotVerify(partition));
      return;
    }
    this.isBusy = true;
    void this.mend(partition).finally(() => {
      this.isBusy = false;
    });
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.marking);
  }

  private placeOf(partition: string): Place {
    const known = this.places.get(partition);
    if (known !== undefined) return known;
    const place = { failures: 0, notBefore: 0, told: new Set<Topic>() };
    this.places.set(partition, place);
    return place;
  }

  private tellOnce(partition: string, topic: Topic, notice: EngineError): void {
    const { told } = this.placeOf(partition);
    if (told.has(topic)) return;
    told.add(topic);
    this.options.tell(notice);
  }

  /** Resolves always. */
  private async mend(partition: string): Promise<void> {
    const { step, verify, release, tell } = this.options;
    const place = this.placeOf(partition);
    const reserve = (): Promise<WireReply> => step(partition, 'reserve', this.owner, String(RESERVED_MS));
    let renewing: ReturnType<typeof setInterval> | undefined;
    try {
      // Another process is at it.
      if (textOf(await reserve()) === '') return;
      renewing = setInterval(() => void reserve().catch(() => undefined), RENEWED_MS);
      renewing.unref();
      await release(partition);
      const { report, wasMended } = await verify(partition);
      if (!wasMended) return;
      // Until the indexes were right, passes met stray entries; what they set aside kept counts from being corrected.
      if ((await release(partition)) > 0) await verify(partition);
      this.places.delete(partition);
      tell(new PartitionMended(partition, report));
    } catch (error) {
      place.failures += 1;
      place.notBefore = performance.now() + pauseAfter(place.failures);
      // Missing rights and lost connections are told elsewhere.
      const isOther = error instanceof EngineError && !error.retryable && error.code !== 'server_refused';
      if (isOther && !this.isClosed) this.tellOnce(partition, 'failed', error);
    } finally {
      clearInterval(renewing);
    }
  }

  /** The mark was refused too: it is written when the server lets this process do so. */
  private markSoon(tries: number): void {
    if (this.isClosed || this.marking !== undefined) return;
    this.marking = setTimeout(() => {
      void this.markAll().then(() => {
        this.marking = undefined;
        if (this.unmarked.size > 0) this.markSoon(tries + 1);
      });
    }, pauseAfter(tries));
    this.marking.unref();
  }

  private async markAll(): Promise<void> {
    for (const partition of [...this.unmarked]) {
      try {
        await this.options.step(partition, 'mark');
        this.unmarked.delete(partition);
      } catch {
        // Tried again.
      }
    }
  }
}

function cannotVerify(partition: string): EngineError {
  return new EngineError(
    'server_refused',
    `${partition}: calls broke off halfway, and the user may not list keys (SCAN), which the repair needs: run \`verifyPartition\` as a user that may, or allow it (\`aclOf\` includes it).`,
    { detail: { partition } },
  );
}

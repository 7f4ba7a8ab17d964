/**
 * Verifies partitions in which calls broke off halfway, such as by a right that was taken from the user, so that nothing
 * stays half done until an operator acts. The function on the server marks the partition (lua/partition/broken-off.lua),
 * and every pass over due work tells of the mark. The process that is told verifies the partition, unless another one is
 * at it; one partition at a time, with rests, and again later while the cause lasts. A verification reads the whole
 * partition, so the pauses between two of them grow with what they take.
 */
import { randomUUID } from 'node:crypto';
import { EngineError } from '../../../model/errors.js';
import type { VerifyReport } from '../../backend/backend.js';
import { PartitionMended } from '../../backend/mended.js';
import type { BrokeOff } from '../connection/faults.js';
import { numberOf, textOf, type WireReply } from '../wire/reply.js';

export interface VerifyResult {
  readonly report: VerifyReport;
  /** The mark of the partition when the verification began; empty without one. */
  readonly mark: string;
}

type Step = (partition: string, name: string, ...args: readonly string[]) => Promise<WireReply>;

/**
 * Removes the mark that a verification has found, unless a call has broken off since. The mark stays while counts are
 * not compared: a call that broke off can leave a wrong count, by which a flow never ends.
 * @returns whether there was a mark, and it was removed
 */
export async function clearMark(step: Step, partition: string, { report, mark }: VerifyResult): Promise<boolean> {
  return mark !== '' && report.countsVerified && numberOf(await step(partition, 'mended', mark)) === 1;
}

export interface MendingOptions {
  /** Whether the user may list keys, which a verification needs. */
  readonly canVerify: () => boolean;
  /** Runs a step of a verification. */
  readonly step: Step;
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

/** Pause after a verification, in times of what it took; doubled each time. */
const PAUSE_TIMES = 4;
const MAX_LONG_PAUSE_MS = 300_000;
/** A partition is forgotten after this time without a mark, ms. */
const QUIET_MS = 600_000;

type Topic = 'broke_off' | 'cannot_verify' | 'not_counted' | 'failed';

/** A partition in which calls broke off, as this process knows it. */
interface Place {
  /** Tries that have failed since the last verification that went to its end. */
  failures: number;
  /** Verifications that went to their end, whether or not they could remove the mark. */
  rounds: number;
  /** No earlier than this it is tried again, ms of `performance.now`. */
  notBefore: number;
  keptUntil: number;
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

  /** A pass over due work has found no mark. The pause of a repaired partition holds for new marks too. */
  forget(partition: string): void {
    const place = this.places.get(partition);
    if (place === undefined || this.unmarked.has(partition)) return;
    place.failures = 0;
    place.told.clear();
    if (place.rounds === 0 || performance.now() > place.keptUntil) this.places.delete(partition);
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
    const now = performance.now();
    let place = this.places.get(partition);
    if (place === undefined || now > place.keptUntil) {
      place = { failures: 0, rounds: 0, notBefore: 0, keptUntil: 0, told: new Set<Topic>() };
      this.places.set(partition, place);
    }
    place.keptUntil = now + QUIET_MS;
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
    const { step } = this.options;
    const begun = performance.now();
    const reserve = (): Promise<WireReply> => step(partition, 'reserve', this.owner, String(RESERVED_MS));
    let renewing: ReturnType<typeof setInterval> | undefined;
    let isFailed = false;
    try {
      // Another process is at it.
      if (textOf(await reserve()) === '') return;
      renewing = setInterval(() => void reserve().catch(() => undefined), RENEWED_MS);
      renewing.unref();
      await this.verify(partition);
      const place = this.placeOf(partition);
      const pause = PAUSE_TIMES * (performance.now() - begun) * 2 ** Math.min(place.rounds, 10);
      place.rounds += 1;
      place.failures = 0;
      place.notBefore = performance.now() + Math.min(pause, MAX_LONG_PAUSE_MS);
    } catch (error) {
      const place = this.placeOf(partition);
      const pause = Math.min(PAUSE_TIMES * (performance.now() - begun), MAX_LONG_PAUSE_MS);
      place.failures += 1;
      place.notBefore = performance.now() + Math.max(pause, pauseAfter(place.failures));
      isFailed = true;
      this.tellFault(partition, error);
    } finally {
      clearInterval(renewing);
    }
    // Another process perhaps can do it.
    if (isFailed) await step(partition, 'give_back', this.owner).catch(() => undefined);
  }

  private async verify(partition: string): Promise<void> {
    const { step, verify, release, tell } = this.options;
    await release(partition);
    const first = await verify(partition);
    // Until the indexes were right, passes met stray entries; what they set aside kept counts from being corrected.
    const last = (await release(partition)) > 0 ? await verify(partition) : first;
    if (await clearMark(step, partition, last)) {
      this.placeOf(partition).told.clear();
      tell(new PartitionMended(partition, first.report));
    } else if (!last.report.countsVerified) {
      this.tellOnce(partition, 'not_counted', notCounted(partition));
    }
  }

  /** Missing rights and lost connections are told elsewhere. */
  private tellFault(partition: string, error: unknown): void {
    const fault = error instanceof EngineError ? error : failedHere(partition, error);
    if (this.isClosed || fault.retryable || fault.code === 'server_refused') return;
    this.tellOnce(partition, 'failed', fault);
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
    `${partition}: calls broke off halfway or an unreadable record was dropped, and the user may not list keys (SCAN), which the repair needs: run \`verifyPartition\` as a user that may, or allow it (\`aclOf\` includes it).`,
    { detail: { partition } },
  );
}

function notCounted(partition: string): EngineError {
  return new EngineError(
    'corruption',
    `${partition}: verified, because calls had broken off halfway or an unreadable record was dropped, except the counts of lanes and flows: more changed during the verification than the log holds. It is repeated later; a larger \`logMaxEntries\`, or less work for a while, lets it end.`,
    { detail: { partition } },
  );
}

function failedHere(partition: string, error: unknown): EngineError {
  return new EngineError(
    'function_failed',
    `${partition}: calls broke off halfway or an unreadable record was dropped, and the verification that repairs this failed in this process.`,
    { cause: error, detail: { partition } },
  );
}

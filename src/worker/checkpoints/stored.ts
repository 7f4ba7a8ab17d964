/** The checkpoints that earlier runs of a handler stored. Pages are read only as far as needed. */
import { stepKeyOf, type StepRecord } from '../../../model/step/facts.js';
import type { StepsPage } from '../../../model/step/reads.js';

/** A record with its place in the order of recording, from 0. */
export interface Stored extends StepRecord {
  readonly place: number;
}

export class StoredSteps {
  private readonly records = new Map<string, Stored>();
  /** Number of records that were read. */
  count = 0;
  private reading: Promise<void> | undefined;

  constructor(
    private readonly read: (from: number) => Promise<StepsPage>,
    /** Start of the next unread page; undefined when all are read. */
    private next: number | undefined,
    known: readonly StepRecord[] = [],
  ) {
    this.add(known);
  }

  /** The record of a key. The record of a step is then removed, so that its value does not stay in memory. */
  async take(key: string): Promise<Stored | undefined> {
    for (;;) {
      const record = this.records.get(key);
      if (record?.stepKind === 'step') this.records.delete(key);
      if (record !== undefined || this.next === undefined) return record;
      await this.readOn();
    }
  }

  /** The record of a key, unless `take` removed it. */
  async find(key: string): Promise<Stored | undefined> {
    while (!this.records.has(key) && this.next !== undefined) await this.readOn();
    return this.records.get(key);
  }

  /** Concurrent callers share one read. */
  private readOn(): Promise<void> {
    this.reading ??= this.readPage().finally(() => (this.reading = undefined));
    return this.reading;
  }

  private async readPage(): Promise<void> {
    const { steps, next } = await this.read(this.next ?? 0);
    this.add(steps);
    this.next = next;
  }

  private add(steps: readonly StepRecord[]): void {
    for (const step of steps) this.records.set(stepKeyOf(step), { ...step, place: this.count++ });
  }
}

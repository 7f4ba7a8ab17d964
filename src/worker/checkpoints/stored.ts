/** The checkpoints that earlier runs of a handler passed, read page by page as far as they are asked for. */
import { stepKeyOf, type StepKind, type StepRecord } from '../../../model/step/facts.js';
import type { StepsPage } from '../../../model/step/reads.js';

export class StoredSteps {
  private readonly records = new Map<string, StepRecord>();
  private reading: Promise<void> | undefined;

  constructor(
    private readonly read: (from: number) => Promise<StepsPage>,
    /** Where the page begins that was not read yet; nothing when there is none. */
    private next: number | undefined,
    known: readonly StepRecord[] = [],
  ) {
    this.add(known);
  }

  /** What is stored under a key. The value of a step is given once: it is not kept in memory for longer. */
  async take(key: string): Promise<StepRecord | undefined> {
    for (;;) {
      const record = this.records.get(key);
      if (record?.stepKind === 'step') this.records.delete(key);
      if (record !== undefined || this.next === undefined) return record;
      await this.readOn();
    }
  }

  /** What is stored under a key, and was not taken as a step. */
  async kindOf(key: string): Promise<StepKind | undefined> {
    while (!this.records.has(key) && this.next !== undefined) await this.readOn();
    return this.records.get(key)?.stepKind;
  }

  /** Several that ask at once are answered by one read. */
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
    for (const step of steps) this.records.set(stepKeyOf(step), step);
  }
}

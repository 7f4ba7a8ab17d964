/**
 * Ids for the executions that claims may bring. A claim names a lease and an attempt for each execution that it would
 * take; what it does not use is used by the next one, so that looking in vain makes no ids.
 */

/** Ids for one execution. */
export interface LeaseIds {
  readonly leaseId: string;
  readonly attemptId: string;
}

/** Pairs kept for later claims. */
const MAX_KEPT = 1_000;

export class LeaseIdStock {
  private readonly kept: LeaseIds[] = [];

  constructor(private readonly mint: () => string) {}

  /** Ids for so many executions. */
  take(count: number): LeaseIds[] {
    const ids = this.kept.splice(-count);
    while (ids.length < count) ids.push({ leaseId: this.mint(), attemptId: this.mint() });
    return ids;
  }

  /** A claim used the first `used` of its ids. One whose answer is not known used them all. */
  giveBack(ids: readonly LeaseIds[], used: number): void {
    for (let index = used; index < ids.length && this.kept.length < MAX_KEPT; index++)
      this.kept.push(ids[index] as LeaseIds);
  }
}

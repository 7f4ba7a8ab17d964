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

  /**
   * A claim was answered: what it took carries the lease ids that it used, in their order. The others are kept. Ids of a
   * claim whose answer is not known, or is out of order, are not used again.
   */
  giveBack(ids: readonly LeaseIds[], taken: readonly { readonly leaseId: string }[]): void {
    let used = 0;
    const unused = ids.filter(({ leaseId }) => {
      const isUsed = taken[used]?.leaseId === leaseId;
      if (isUsed) used++;
      return !isUsed;
    });
    if (used === taken.length) this.kept.push(...unused.slice(0, Math.max(0, MAX_KEPT - this.kept.length)));
  }
}

/**
 * Lease and attempt ids for claims. A claim names both for every execution that it may return; later claims use the ids
 * that it did not need, so that claims without work mint no ids.
 */

/** Ids for one execution. */
export interface LeaseIds {
  readonly leaseId: string;
  readonly attemptId: string;
}

/** Most pairs kept for later claims. */
const MAX_KEPT = 1_000;

export class LeaseIdStock {
  private readonly kept: LeaseIds[] = [];

  constructor(private readonly mint: () => string) {}

  /** Ids for `count` executions. */
  take(count: number): LeaseIds[] {
    const ids = this.kept.splice(-count);
    while (ids.length < count) ids.push({ leaseId: this.mint(), attemptId: this.mint() });
    return ids;
  }

  /**
   * A claim was answered: the claimed executions have the used lease ids, in order; the other ids are kept. Ids of a
   * claim whose answer is unknown, or out of order, are not used again.
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

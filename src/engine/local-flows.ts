/**
 * Flows that this process has created: which of their members wait for how many others. When the completion that decides such
 * a member is sent here, the member is offered (local-offers.ts), so that its claim travels in the same call. A hint like the
 * offer: members that other processes complete are not counted, and members that wait for them are found by wakes.
 */
import { localOffers, type LocalOffer } from './local-offers.js';
import { perBackend } from './per-backend.js';

/** A member that waits for others. */
export interface WaitingMember {
  /** Execution ids. */
  readonly upstreams: readonly string[];
  /** How many of them must complete. */
  readonly needed: number;
  readonly work: LocalOffer;
}

/** Most upstreams that are remembered; the oldest are forgotten first. */
const MAX_UPSTREAMS = 10_000;

interface Waiting {
  left: number;
  readonly work: LocalOffer;
}

class LocalFlows {
  /** By the execution id of an upstream: those that wait for it. */
  private readonly waiting = new Map<string, Waiting[]>();

  constructor(private readonly offer: (work: LocalOffer) => void) {}

  add(members: readonly WaitingMember[]): void {
    for (const { upstreams, needed, work } of members) {
      const waiting = { left: needed, work };
      for (const upstream of upstreams) {
        const others = this.waiting.get(upstream);
        if (others === undefined) this.waiting.set(upstream, [waiting]);
        else others.push(waiting);
      }
    }
    for (const upstream of this.waiting.keys()) {
      if (this.waiting.size <= MAX_UPSTREAMS) return;
      this.waiting.delete(upstream);
    }
  }

  /** The completion of an execution has been sent, and the turn that sent it goes on. */
  completing(executionId: string): void {
    const waiting = this.waiting.get(executionId);
    if (waiting === undefined) return;
    this.waiting.delete(executionId);
    for (const each of waiting) if (--each.left === 0) this.offer(each.work);
  }
}

/** The flows of a backend that this process has created. */
export const localFlows = perBackend((backend) => new LocalFlows((work) => localOffers(backend).offer(work)));

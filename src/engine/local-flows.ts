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

/** Most edges that are remembered, because one upstream can have hundreds; those of the oldest upstreams are forgotten first. */
const MAX_EDGES = 10_000;

interface Waiting {
  left: number;
  readonly work: LocalOffer;
}

class LocalFlows {
  /** By the execution id of an upstream: those that wait for it. */
  private readonly waiting = new Map<string, Waiting[]>();
  private edges = 0;

  constructor(private readonly offer: (work: LocalOffer) => void) {}

  add(members: readonly WaitingMember[]): void {
    for (const { upstreams, needed, work } of members) {
      const waiting = { left: needed, work };
      for (const upstream of upstreams) {
        const others = this.waiting.get(upstream);
        if (others === undefined) this.waiting.set(upstream, [waiting]);
        else others.push(waiting);
        this.edges++;
      }
    }
    for (const upstream of this.waiting.keys()) {
      if (this.edges <= MAX_EDGES) return;
      this.take(upstream);
    }
  }

  private take(upstream: string): readonly Waiting[] {
    const waiting = this.waiting.get(upstream) ?? [];
    this.waiting.delete(upstream);
    this.edges -= waiting.length;
    return waiting;
  }

  /** The completion of an execution has been sent, and the turn that sent it goes on. */
  completing(executionId: string): void {
    for (const each of this.take(executionId)) if (--each.left === 0) this.offer(each.work);
  }
}

/** The flows of a backend that this process has created. */
export const localFlows = perBackend((backend) => new LocalFlows((work) => localOffers(backend).offer(work)));

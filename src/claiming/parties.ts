/** Callers that look for the same work: for each set of abilities the planner that serves them, as long as it is used. */
import { Abilities } from './abilities.js';
import type { Planner } from './planner.js';

/** Callers with equal abilities. */
export interface Party {
  readonly planner: Planner;
  /** When every place was looked at last. */
  sweptAt: number;
  /** Claims that wait for work. */
  waiting: number;
}

/** Sets of abilities that are kept; beyond it the one that was used least lately is forgotten, unless claims wait there. */
const MAX_PARTIES = 100;

export class Parties {
  /** The one that was used least lately first. */
  private readonly parties = new Map<string, Party>();

  private latest: Party | undefined;

  constructor(private readonly plannerFor: (abilities: Abilities) => Planner) {}

  get size(): number {
    return this.parties.size;
  }

  [Symbol.iterator](): Iterator<Party> {
    return this.parties.values();
  }

  /** The party of callers with these capabilities, for these kinds of work, or any. */
  of(capabilities: readonly string[], kinds: readonly string[] | undefined): Party {
    const key = kinds === undefined ? capabilities.join() : `${capabilities.join()}\n${kinds.join('\n')}`;
    let party = this.parties.get(key);
    if (party === undefined) {
      this.forget();
      party = { planner: this.plannerFor(new Abilities(capabilities, kinds)), sweptAt: -Infinity, waiting: 0 };
    }
    if (party === this.latest) return party;
    this.latest = party;
    this.parties.delete(key);
    this.parties.set(key, party);
    return party;
  }

  private forget(): void {
    for (const [key, { planner, waiting }] of this.parties) {
      if (this.parties.size < MAX_PARTIES) return;
      if (waiting > 0) continue;
      planner.stop();
      this.parties.delete(key);
    }
  }
}

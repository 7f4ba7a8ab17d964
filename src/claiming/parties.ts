/** Groups of callers that look for the same work: a planner for each set of abilities in use. */
import { Abilities } from './abilities.js';
import type { Planner } from './planner.js';

/** Callers with equal abilities. */
export interface Party {
  readonly planner: Planner;
  /** When the last sweep of every place began. */
  sweptAt: number;
  /** Number of claims that wait for work. */
  waiting: number;
}

/** Most sets of abilities kept. The least recently used one without waiting claims is dropped. */
const MAX_PARTIES = 100;

export class Parties {
  /** Least recently used first. */
  private readonly parties = new Map<string, Party>();

  private latest: Party | undefined;

  constructor(private readonly plannerFor: (abilities: Abilities) => Planner) {}

  get size(): number {
    return this.parties.size;
  }

  [Symbol.iterator](): Iterator<Party> {
    return this.parties.values();
  }

  /** The party of callers with these capabilities and kinds; without kinds, any. */
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

/**
 * Matches claims with work. A worker has capabilities, and may be limited to some kinds of work. A *need* is what the
 * work of a lead requires; a worker covers it if its claims would find that work.
 */

/** The requirements of a lead's work: capabilities, and a kind out of the list. */
export interface Need {
  /** Identifies the need; equal for equal needs. */
  readonly key: string;
  readonly capabilities: readonly string[];
  /** Absent: work of any kind. */
  readonly kinds: readonly string[] | undefined;
}

/** Most cached answers; the cache is cleared when it is full. */
const MAX_REMEMBERED = 1_000;

export class Abilities {
  /** The need that stands for all work of these abilities. */
  readonly need: Need;
  private readonly capabilities: ReadonlySet<string>;
  private readonly kinds: ReadonlySet<string> | undefined;
  private readonly covered = new Map<string, boolean>();

  /** @param kinds the kinds of work that claims name; undefined for work of any kind */
  constructor(capabilities: Iterable<string>, kinds?: Iterable<string>) {
    this.capabilities = new Set(capabilities);
    this.kinds = kinds === undefined ? undefined : new Set(kinds);
    this.need = needOf([...this.capabilities], this.kinds === undefined ? undefined : [...this.kinds]);
  }

  /** The need of announced work: of the announced kind if there is one, otherwise of the kinds of these abilities. */
  needFor(capabilities: readonly string[], kind: string | undefined): Need {
    return needOf(capabilities, kind === undefined ? this.need.kinds : [kind]);
  }

  /** Whether a claim with these abilities finds all work of this need. */
  covers(need: Need): boolean {
    let covers = this.covered.get(need.key);
    if (covers === undefined) {
      covers = this.hasCapabilities(need) && this.hasKinds(need);
      if (this.covered.size >= MAX_REMEMBERED) this.covered.clear();
      this.covered.set(need.key, covers);
    }
    return covers;
  }

  private hasCapabilities({ capabilities }: Need): boolean {
    return capabilities.every((token) => this.capabilities.has(token));
  }

  private hasKinds({ kinds }: Need): boolean {
    const own = this.kinds;
    if (own === undefined) return true;
    // A need of any kind is not covered: a claim limited to some kinds does not find all of its work.
    return kinds?.every((kind) => own.has(kind)) ?? false;
  }
}

function needOf(capabilities: readonly string[], kinds: readonly string[] | undefined): Need {
  // Neither capabilities nor kinds contain line breaks.
  const key = `${[...capabilities].sort().join()}\n${kinds === undefined ? '' : [...kinds].sort().join('\n')}`;
  return { key, capabilities, kinds };
}

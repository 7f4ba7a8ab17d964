/**
 * What a claim can bring, and what work needs. A worker has capabilities, and may be limited to some kinds of work. A
 * *need* says what a lead's work asks for; a worker covers it when a claim by that worker would find the work.
 */

/** What the work of a lead asks for: capabilities, and one kind or one of several. */
export interface Need {
  /** Equal for equal needs. */
  readonly key: string;
  readonly capabilities: readonly string[];
  /** Absent: work of any kind. */
  readonly kinds: readonly string[] | undefined;
}

/** Answers kept; beyond it all are worked out anew. */
const MAX_REMEMBERED = 1_000;

export class Abilities {
  /** Anything that these abilities can do. */
  readonly need: Need;
  private readonly capabilities: ReadonlySet<string>;
  private readonly kinds: ReadonlySet<string> | undefined;
  private readonly covered = new Map<string, boolean>();

  /** @param kinds the kinds of work that a claim names; absent when claims bring work of any kind */
  constructor(capabilities: Iterable<string>, kinds?: Iterable<string>) {
    this.capabilities = new Set(capabilities);
    this.kinds = kinds === undefined ? undefined : new Set(kinds);
    this.need = needOf([...this.capabilities], this.kinds === undefined ? undefined : [...this.kinds]);
  }

  /** The need of work that a wake announces: its own kind where the wake names it, else any kind that these abilities run. */
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
    // Work of any kind: a claim that is limited to some kinds does not find all of it.
    return kinds?.every((kind) => own.has(kind)) ?? false;
  }
}

function needOf(capabilities: readonly string[], kinds: readonly string[] | undefined): Need {
  // Neither capabilities nor kinds contain line breaks.
  const key = `${[...capabilities].sort().join()}\n${kinds === undefined ? '' : [...kinds].sort().join('\n')}`;
  return { key, capabilities, kinds };
}

/** A run as a readable story: time, actor, action. */

interface Line {
  readonly at: number;
  readonly actor: string;
  readonly text: string;
}

/** Lines printed from the end of a long story; earlier ones rarely matter. */
const MAX_LINES = 400;
const ACTOR_WIDTH = 8;

export class Story {
  private readonly lines: Line[] = [];
  /**
   * @param startAt when the run begins, virtual ms
   * @param told whether it is recorded; not in runs without a reader
   */
  constructor(
    private readonly startAt: number,
    private readonly told: boolean,
  ) {}

  tell(at: number, actor: string, text: string | (() => string)): void {
    if (this.told) this.lines.push({ at, actor, text: typeof text === 'string' ? text : text() });
  }

  toString(): string {
    const left = Math.max(0, this.lines.length - MAX_LINES);
    return [
      ...(left > 0 ? [`(${left} earlier lines are left out)`] : []),
      ...this.lines
        .slice(left)
        .map(
          ({ at, actor, text }) => `${`+${at - this.startAt} ms`.padStart(12)}  ${actor.padEnd(ACTOR_WIDTH)} ${text}`,
        ),
    ].join('\n');
  }
}

/**
 * Lets the records of a run go on in the order in which they were stored, which is the order of every later run. The
 * answer to a record can be lost: its repetition is then answered behind records that were stored after it.
 */
export class RecordOrder {
  /** Records that are not answered yet. */
  private unanswered = 0;
  /** Answered records by their places. */
  private readonly waiting = new Map<number, () => void>();
  private passed = 0;

  /** @param readCount number of records of earlier runs that were read; all of them before this run records one */
  constructor(private readonly readCount: () => number) {}

  /** Number of records before the next one: those of earlier runs, and those of this run that have gone on. */
  get count(): number {
    return Math.max(this.readCount(), this.passed);
  }

  /** Stores a record. Resolves with the answer when the records before it have gone on. */
  async inTurn<Answer extends { readonly place: number }>(record: () => Promise<Answer>): Promise<Answer> {
    this.unanswered += 1;
    let turn: Promise<void> | undefined;
    try {
      const answer = await record();
      turn = new Promise((go) => this.waiting.set(answer.place, go));
      return answer;
    } finally {
      this.unanswered -= 1;
      this.letGo();
      await turn;
    }
  }

  /** Records go on that have no other before them; all of them when no answer is missing. */
  private letGo(): void {
    for (const place of [...this.waiting.keys()].sort((a, b) => a - b)) {
      if (place > this.count && this.unanswered > 0) return;
      this.passed = Math.max(this.passed, place + 1);
      this.waiting.get(place)?.();
      this.waiting.delete(place);
    }
  }
}

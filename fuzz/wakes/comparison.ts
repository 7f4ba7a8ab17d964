/** Compares what the backends of a run announce, step by step. */
import type { AnyDecision, Command } from '../../model/machine.js';
import { emptyState, type PartitionState } from '../../model/state.js';
import type { Comparison, Subject } from '../comparison.js';
import { othersIn, WakeJudge } from './judge.js';
import { standingOf, type Standing } from './standing.js';

export class WakeComparison {
  private readonly judge = new WakeJudge();
  /** Of each partition, before the step. */
  private readonly standings = new Map<string, Standing>();
  /** Subjects that have lost their watches of streams with their process. */
  private readonly deaf = new Set<string>();

  constructor(private readonly comparison: Comparison) {}

  /** Before a step. */
  async begin(partition: string, state: PartitionState, commands: readonly Command[]): Promise<void> {
    if (!this.standings.has(partition)) this.standings.set(partition, standingOf(state));
    for (const { name, args } of commands) {
      if (name !== 'watchStream') continue;
      for (const { ears } of this.comparison.subjects) await ears?.watch(args.executionId);
    }
  }

  /** After a step, when every subject has answered. @throws Divergence */
  async end(
    partition: string,
    state: PartitionState,
    decisions: readonly AnyDecision[],
    isLogged: boolean,
  ): Promise<void> {
    const { subjects } = this.comparison;
    if (subjects.every(({ ears }) => ears === undefined)) return;
    const before = this.standings.get(partition) ?? standingOf(emptyState());
    const after = standingOf(state);
    this.standings.set(partition, after);
    const change = { partition, before, after, decisions, isLogged, isOneCommand: decisions.length === 1 };
    const heard = await Promise.all(subjects.map(({ ears }) => ears?.heard() ?? []));
    const hearsFrames = this.deaf.size === 0;
    const [first] = heard;
    subjects.forEach((subject, i) => {
      if (subject.ears === undefined) return;
      const said = heard[i] ?? [];
      const complaint = this.judge.judge(subject.name, change, said);
      if (complaint !== undefined)
        this.comparison.expectEqual(subject, complaint.what, complaint.expected, complaint.got);
      this.comparison.expectEqual(
        subject,
        'the announcements',
        othersIn(first ?? [], hearsFrames, change.isOneCommand),
        othersIn(said, hearsFrames, change.isOneCommand),
      );
    });
  }

  /** The process of a subject died and started again. */
  async restarted(subject: Subject): Promise<void> {
    this.deaf.add(subject.name);
    this.judge.restarted(subject.name);
    await subject.ears?.renew();
  }
}

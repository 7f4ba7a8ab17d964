/** Flows of a program: races behind each other, whose members take their time, and fail. */
import fc from 'fast-check';

/** One member of a race. */
export interface MemberSetup {
  readonly takesMs: number;
  readonly fails: boolean;
  /** Whether a member of its own waits for it, and for nothing else. */
  readonly isFollowed: boolean;
}

/** Members that begin together, and one behind them that waits for as many of them as are needed. */
export interface Stage {
  readonly members: readonly MemberSetup[];
  /** How many have to complete: all of them, the first one, or so many, counted round. */
  readonly needs: 'all' | 'any' | number;
  readonly onSatisfied: 'cancel_remaining' | 'let_run';
}

/** Each stage begins when the one before it is decided. */
export interface FlowSetup {
  readonly stages: readonly Stage[];
}

const rarely = fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) });

const member: fc.Arbitrary<MemberSetup> = fc.record({
  takesMs: fc.constantFrom(0, 5, 400, 3_000, 10_000),
  fails: rarely,
  isFollowed: rarely,
});

const stage: fc.Arbitrary<Stage> = fc.record({
  members: fc.array(member, { minLength: 1, maxLength: 5 }),
  needs: fc.constantFrom('all' as const, 'any' as const, 2, 3),
  onSatisfied: fc.constantFrom('cancel_remaining' as const, 'cancel_remaining' as const, 'let_run' as const),
});

export const flowSetup: fc.Arbitrary<FlowSetup> = fc.record({
  stages: fc.array(stage, { minLength: 1, maxLength: 3 }),
});

/** The same with one thing less, or plainer. */
export function* simplerFlows({ stages }: FlowSetup): Generator<FlowSetup> {
  for (let at = 0; stages.length > 1 && at < stages.length; at++) yield { stages: stages.toSpliced(at, 1) };
  for (const [at, { members, ...rest }] of stages.entries()) {
    const withMembers = (changed: readonly MemberSetup[]): FlowSetup => ({
      stages: stages.with(at, { ...rest, members: changed }),
    });
    for (let which = 0; members.length > 1 && which < members.length; which++)
      yield withMembers(members.toSpliced(which, 1));
    for (const [which, one] of members.entries()) {
      if (one.takesMs > 0) yield withMembers(members.with(which, { ...one, takesMs: 0 }));
      if (one.fails) yield withMembers(members.with(which, { ...one, fails: false }));
      if (one.isFollowed) yield withMembers(members.with(which, { ...one, isFollowed: false }));
    }
  }
}

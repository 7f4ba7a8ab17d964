/** Flows of a program: races in sequence, whose members take time, and fail. */
import fc from 'fast-check';

/** One member of a race. */
export interface MemberSetup {
  readonly takesMs: number;
  readonly fails: boolean;
  /** Whether a member of its own depends on it, and on nothing else. */
  readonly isFollowed: boolean;
}

/** Members that start together, and one that depends on a group of them. */
export interface Stage {
  readonly members: readonly MemberSetup[];
  /** How many have to complete: all, the first one, or a number (modulo the size). */
  readonly needs: 'all' | 'any' | number;
  readonly onSatisfied: 'cancel_remaining' | 'let_run';
}

/** Each stage starts when the previous one is decided. */
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

/** The same with one part removed or simplified. */
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

/** What a worker has done with is free at once: nothing that ended is carried on by what came after it. */
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import { systemClock } from '../../src/engine/clock.js';
import { Attempt, type AttemptHooks } from '../../src/worker/attempt/attempt.js';
import { HandlerContext, type ContextDependencies } from '../../src/worker/handler/context.js';
import { Bag } from '../../src/util/bag.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as (options?: { readonly type: 'minor' }) => void;

const KIB = 1_024;
const COUNT = 20_000;
const IN_HAND = 16;

/** Bytes that the old generation gained while so many attempts of 1 KiB passed, 16 of them in hand at a time. */
function promotedBy(enter: (attempt: Attempt) => void, leave: (attempt: Attempt) => void): number {
  const inHand = new Array<Attempt | undefined>(IN_HAND).fill(undefined);
  const pass = (index: number): void => {
    const place = index % IN_HAND;
    const ended = inHand[place];
    if (ended !== undefined) leave(ended);
    enter((inHand[place] = attemptOf(index)));
  };
  for (let index = 0; index < IN_HAND; index++) pass(index);
  // From here on the structures themselves are old.
  collect();
  const before = oldBytes();
  for (let index = IN_HAND; index < COUNT; index++) {
    pass(index);
    if (index % 1_000 === 0) collect({ type: 'minor' });
  }
  return oldBytes() - before;
}

const oldBytes = (): number =>
  getHeapSpaceStatistics().find((space) => space.space_name === 'old_space')?.space_used_size ?? NaN;

function attemptOf(index: number): Attempt {
  const claimed = {
    executionId: `{fp:0}:${String(index).padStart(36, '0')}`,
    executionKind: 'k',
    leaseId: 'l',
    leaseEpoch: 1,
    attemptId: 'a',
    attemptIndex: 0,
    load: new Array<number>(KIB / 8).fill(index),
  } as unknown as ClaimedExecution;
  return new Attempt(claimed, 'lane', systemClock, 30_000, 0, {} as AttemptHooks);
}

/** A twentieth of what passed: what each collection meets in hand. */
const LITTLE = (COUNT * KIB) / 20;

describe('attempts that ended', () => {
  it('are collected after they left a bag', () => {
    const bag = new Bag<Attempt>();
    expect(
      promotedBy(
        (attempt) => bag.add(attempt),
        (attempt) => bag.delete(attempt),
      ),
    ).toBeLessThan(LITTLE);
  });

  it('are collected although their handlers had a context', () => {
    const last = { context: undefined as HandlerContext | undefined };
    expect(
      promotedBy(
        (attempt) => (last.context = new HandlerContext(attempt, undefined, {} as ContextDependencies)),
        () => undefined,
      ),
    ).toBeLessThan(LITTLE);
  });
});

describe('a bag', () => {
  it('contains the items that were added and not deleted', () => {
    const members = Array.from({ length: 6 }, (_, id) => ({ id, place: -1 }));
    const bag = new Bag<(typeof members)[number]>();
    const ids = (): number[] => [...bag].map(({ id }) => id).sort();
    for (const member of members) bag.add(member);
    expect([bag.size, ids()]).toEqual([6, [0, 1, 2, 3, 4, 5]]);
    // The first, the last, one twice, and one between.
    expect([0, 5, 5, 2].map((id) => bag.delete(members[id] as (typeof members)[number]))).toEqual([
      true,
      true,
      false,
      true,
    ]);
    expect([bag.size, ids()]).toEqual([3, [1, 3, 4]]);
    expect(members.map((member) => bag.has(member))).toEqual([false, true, false, true, true, false]);
    for (const member of members) bag.delete(member);
    bag.add(members[2] as (typeof members)[number]);
    expect([bag.size, ids()]).toEqual([1, [2]]);
  });
});

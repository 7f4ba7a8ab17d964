/** Marks of those that wait for news of a partition: who is told, and for how long. */
import { describe, expect, test } from 'vitest';
import { encodeCursor } from '../../model/partition/cursor.js';
import { NO_NOTICES, noticesAfter } from '../../model/partition/notices.js';
import { SpecMachine } from '../../model/specification/machine.js';
import type { ArgsOf } from '../../model/machine.js';
import { parseCommand } from '../../src/backend/boundary.js';
import { created, given, idOf, NOW, PARTITION, START } from './dsl.js';

const AT_BEGINNING = '.0.0';

/** A partition in which these executions were created, and what is marked in it. */
function partitionWith(...ids: number[]) {
  const machine = new SpecMachine({ retentionMs: 60_000 });
  const create = (n: number): void => machine.record(created({ executionId: idOf(n), at: START + n }));
  ids.forEach(create);
  return {
    create,
    end: () => encodeCursor(machine.partition.header),
    marks: () => machine.partition.header.notices,
    watchLog: (after: string) => machine.run(parseCommand('watchLog', { partition: PARTITION, after }, 'memory'), NOW),
    watchEnds: (args: Omit<ArgsOf<'watchEnds'>, 'partition'>, at: number) =>
      machine.run(parseCommand('watchEnds', { partition: PARTITION, ...args }, 'memory'), at),
  };
}

describe('watchLog', () => {
  test('marks a log whose end the reader knows', () => {
    given()
      .when('watchLog', { partition: PARTITION, after: AT_BEGINNING })
      .answers({ kind: 'watching' })
      .nothingHappens();
    const partition = partitionWith(1, 2);
    expect(partition.watchLog(partition.end())).toMatchObject({ outcome: { kind: 'watching' } });
    expect(partition.marks()).toEqual({ appends: true, endsUntil: undefined });
  });

  test.each([
    ['has an entry more', '.0.0'],
    ['is another one', `other.1.${START + 1}`],
    ['has another entry there', `${START.toString(36)}.1.${START}`],
    ['was longer', `${(START + 1).toString(36)}.2.${START + 1}`],
  ])('sends a reader whose log %s to read it', (_, after) => {
    given(created({ at: START + 1 }))
      .when('watchLog', { partition: PARTITION, after })
      .answers({ kind: 'behind' })
      .nothingHappens();
    const partition = partitionWith(1);
    partition.watchLog(after);
    expect(partition.marks()).toBe(NO_NOTICES);
  });

  test('is used up by the next entry', () => {
    const partition = partitionWith(1);
    partition.watchLog(partition.end());
    partition.create(2);
    expect(partition.marks()).toBe(NO_NOTICES);
  });
});

describe('watchEnds', () => {
  test('lasts for its time, however the log grows, and is never shortened', () => {
    const partition = partitionWith(1);
    expect(partition.watchEnds({ ttlMs: 1_000 }, NOW)).toMatchObject({ outcome: { kind: 'watching' } });
    expect(partition.watchEnds({ ttlMs: 10 }, NOW)).toMatchObject({ outcome: { kind: 'watching' } });
    expect(partition.marks()).toEqual({ appends: false, endsUntil: NOW + 1_000 });
    partition.create(2);
    expect(partition.marks()).toEqual({ appends: false, endsUntil: NOW + 1_000 });
    expect(noticesAfter(partition.marks(), NOW + 999)).toEqual({ appends: false, endsUntil: NOW + 1_000 });
    expect(noticesAfter(partition.marks(), NOW + 1_000)).toBe(NO_NOTICES);
  });

  test('is independent of watchLog', () => {
    const partition = partitionWith(1);
    partition.watchEnds({ ttlMs: 1_000 }, NOW);
    partition.watchLog(partition.end());
    expect(partition.marks()).toEqual({ appends: true, endsUntil: NOW + 1_000 });
    partition.create(2);
    expect(partition.marks()).toEqual({ appends: false, endsUntil: NOW + 1_000 });
  });
});

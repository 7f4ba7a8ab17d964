/** What users and operators change of an execution beside its course: priority and tags. */
import { describe, expect, test } from 'vitest';
import { claimArgs, CLASSES, created, event, given, idOf, IN_CLASS, NOW, START, X } from './dsl.js';

const Y = idOf(2);

describe('changePriority', () => {
  const change = { executionId: X, newPriority: 7, requestedBy: 'ann' };

  test.each(CLASSES)('in %s', (state) => {
    const result = given(...IN_CLASS[state]).when('changePriority', change);
    if (state === 'none') result.refuses('execution_not_found');
    else if (state.startsWith('T')) result.refuses('execution_not_eligible', { lifecyclePhase: 'terminal' });
    else if (state.startsWith('S')) result.refuses('execution_not_eligible', { publicState: 'suspended' });
    else if (state.startsWith('A')) result.refuses('execution_not_eligible', { publicState: 'active' });
    else {
      result
        .answers({ kind: 'changed', executionId: X, newPriority: 7 })
        .then({ type: 'priority_changed', priority: 7, requestedBy: 'ann' })
        .leaves({ priority: 7, createdAt: START, editedAt: NOW });
    }
  });

  test('moves waiting work to its new place, by age among equals', () => {
    const other = created({ executionId: Y, at: START - 1, priority: 7 });
    given(other, created())
      .when('changePriority', change)
      .when('claimForWorker', claimArgs(), NOW)
      .answers({ executions: [{ executionId: Y }] });
    given(other, created())
      .when('changePriority', { ...change, newPriority: 8 })
      .when('claimForWorker', claimArgs(), NOW)
      .answers({ executions: [{ executionId: X, priority: 8 }] });
  });

  test('is clamped, and writes nothing if it is the same', () => {
    given(created({ priority: 7 }))
      .when('changePriority', change)
      .answers({ kind: 'changed' })
      .nothingHappens();
    given(created())
      .when('changePriority', { ...change, newPriority: 1e9 })
      .then({ type: 'priority_changed', priority: 9_000 });
    given(created())
      .when('changePriority', { ...change, newPriority: -5 })
      .answers({ newPriority: 0 })
      .nothingHappens();
  });
});

describe('setExecutionTags', () => {
  const tags = { 'b.c': 'x', 'a.b': 'y' };

  test.each(CLASSES)('in %s', (state) => {
    const result = given(...IN_CLASS[state]).when('setExecutionTags', { executionId: X, tags });
    if (state === 'none') result.refuses('execution_not_found');
    else result.answers({ kind: 'ok', count: 2 }).then({ type: 'tags_set', tags }).leaves({ tags });
  });

  test('replaces the given keys, and keeps the others', () => {
    const result = given(created({ tags: { 'a.b': 'old', 'c.d': 'kept' } })).when('setExecutionTags', {
      executionId: X,
      tags,
    });
    const merged = { 'a.b': 'y', 'b.c': 'x', 'c.d': 'kept' };
    expect(result.reads('getExecutionTags', { executionId: X }, NOW)).toMatchObject({ outcome: merged });
    expect(result.reads('getExecutionTags', { executionId: Y }, NOW)).toMatchObject({ outcome: undefined });
    expect(result.reads('describeExecution', { executionId: X }, NOW)).toMatchObject({
      outcome: { tags: merged, lastMutationAt: NOW },
    });
    result.when('setExecutionTags', { executionId: X, tags }, NOW).answers({ count: 2 }).nothingHappens();
  });

  test('refuses more tags than an execution can have', () => {
    const many = (name: string, n: number) =>
      Object.fromEntries(Array.from({ length: n }, (_, i) => [`${name}.${i}`, '']));
    given(created({ tags: many('a', 60) }))
      .when('setExecutionTags', { executionId: X, tags: many('b', 5) })
      .refuses('too_many_tags', { maxTags: '64' });
    given(created({ tags: many('a', 60) }))
      .when('setExecutionTags', { executionId: X, tags: many('b', 4) })
      .answers({ count: 4 });
  });

  test('outlives the end of an execution, and its replay', () => {
    given(...IN_CLASS.Tcompleted, event('tags_set', { tags: { 'a.b': 'y' } }))
      .when('replayExecution', { executionId: X })
      .leaves({ tags: { 'a.b': 'y' } });
  });
});

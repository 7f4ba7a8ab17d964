/** Claims that name the kinds their worker can run: work of another kind is never taken, and never touched. */
import { describe, expect, test } from 'vitest';
import type { Event } from '../../model/events.js';
import { parseCommand } from '../../src/backend/boundary.js';
import { claimArgs, created, given, idOf, IN_CLASS, minted, NOW, START, X } from './dsl.js';

describe('kinds', () => {
  const ofKind = (n: number, executionKind: string, facts: object = {}): Event =>
    created({ executionId: idOf(n), at: START + n, executionKind, ...facts });
  const world = [ofKind(1, 'render'), ofKind(2, 'mail'), ofKind(3, 'Mail'), ofKind(4, 'mail.urgent', { priority: 9 })];
  const taken = (kinds: string[] | undefined, facts: object = {}, events: readonly Event[] = world) => {
    const args = claimArgs({ claims: minted(20), ...(kinds === undefined ? {} : { kinds }), ...facts });
    const { decision } = given(...events).when('claimForWorker', args);
    return decision.ok && 'executions' in decision.outcome
      ? decision.outcome.executions.map(({ executionId }) => Number(executionId.slice(-4)))
      : [];
  };

  test.each([
    [undefined, [4, 1, 2, 3]],
    [['render'], [1]],
    [['mail'], [2]],
    [
      ['Mail', 'mail'],
      [2, 3],
    ],
    [
      ['mail.urgent', 'render'],
      [4, 1],
    ],
    [['mai'], []],
    [['mail', 'mail', 'none'], [2]],
  ])('a worker that can run %j takes %j', (kinds, expected) => {
    expect(taken(kinds)).toEqual(expected);
  });

  test('work that a worker cannot run hides no lower work, and is not touched', () => {
    given(ofKind(1, 'render', { priority: 9_000 }), ofKind(2, 'mail'))
      .when('claimForWorker', claimArgs({ kinds: ['mail'], claims: minted(5) }))
      .answers({ kind: 'claimed', executions: [{ executionId: idOf(2), executionKind: 'mail' }] })
      .then({ type: 'execution_claimed', executionId: idOf(2) })
      .leaves({ situation: 'ready' }, idOf(1));
  });

  test('work needs a matching kind and matching capabilities', () => {
    const needy = [ofKind(1, 'render', { requiredCapabilities: ['gpu'] })];
    expect(taken(['render'], {}, needy)).toEqual([]);
    expect(taken(['mail'], { workerCapabilities: ['gpu'] }, needy)).toEqual([]);
    expect(taken(['render'], { workerCapabilities: ['gpu'] }, needy)).toEqual([1]);
  });

  test('lapsed work of another kind is neither reclaimed nor ended', () => {
    given(...IN_CLASS.AE)
      .when('claimForWorker', claimArgs({ kinds: ['other'] }))
      .answers({ kind: 'no_work', reclaimCapExceeded: [] })
      .nothingHappens();
    given(created({ policy: { maxReclaimCount: 0 } }), ...IN_CLASS.AE.slice(1))
      .when('claimForWorker', claimArgs({ kinds: ['other'] }))
      .answers({ kind: 'no_work', reclaimCapExceeded: [] })
      .nothingHappens()
      .when('claimForWorker', claimArgs({ kinds: ['kind'] }), NOW)
      .answers({ kind: 'no_work', reclaimCapExceeded: [X] });
  });

  test('resumed work keeps its kind', () => {
    given(...IN_CLASS.RI)
      .when('claimForWorker', claimArgs({ kinds: ['other'] }))
      .answers({ kind: 'no_work' })
      .when('claimForWorker', claimArgs({ kinds: ['kind'] }), NOW)
      .answers({ kind: 'claimed', executions: [{ claimKind: 'resumed' }] });
  });

  test('a claim names at least one and at most 256 kinds', () => {
    const parse = (kinds: string[]) => () => parseCommand('claimForWorker', claimArgs({ kinds }), 'memory');
    expect(parse([])).toThrowError(/invalid_input/);
    expect(parse(Array.from({ length: 256 }, (_, i) => `k${i}`))).not.toThrow();
    expect(parse(Array.from({ length: 257 }, (_, i) => `k${i}`))).toThrowError(/invalid_input/);
    expect(parse([''])).toThrowError(/invalid_input/);
  });
});

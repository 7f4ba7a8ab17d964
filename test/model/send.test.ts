/** Signals by name: taken where they are listened to, kept where they are not, and no wake-up is lost between the two. */
import { describe, expect, test } from 'vitest';
import type { ArgsOf } from '../../model/machine.js';
import { channelOf } from '../../model/suspension/channel.js';
import { CLASSES, FENCE, given, IN_CLASS, NOW, uuid, X, type Then } from './dsl.js';

const send = (n: number, args: Partial<ArgsOf<'signalExecution'>> = {}): ArgsOf<'signalExecution'> => ({
  executionId: X,
  signalId: uuid(700 + n),
  signalName: 'go',
  ...args,
});

const suspend = (
  keys: readonly string[],
  args: Partial<ArgsOf<'suspendExecution'>> = {},
): ArgsOf<'suspendExecution'> => ({
  executionId: X,
  fence: FENCE,
  suspensionId: uuid(500),
  waitpoints: keys.map((waitpointKey, n) => ({ waitpointId: uuid(520 + n), waitpointKey })),
  resumeCondition: { type: 'count', n: 1, countKind: 'distinct_signals', waitpoints: [...keys] },
  ...args,
});

const running = (): Then => given(...IN_CLASS.AL).when('signalExecution', send(0, { signalName: 'other' }), NOW);
const effectOf = (then: Then): unknown => then.decision.ok && (then.decision.outcome as { effect?: string }).effect;

describe('signalExecution', () => {
  test.each(CLASSES)('in %s', (state) => {
    const result = given(...IN_CLASS[state]).when('signalExecution', send(1), NOW);
    if (state === 'none') result.refuses('execution_not_found');
    else if (state.startsWith('T')) result.refuses('target_not_signalable').nothingHappens();
    else {
      result.answers({ kind: 'accepted', signalId: uuid(701), effect: 'kept_for_a_wait' });
      result.leaves({ keptSignalCount: 1 });
    }
  });

  test('reaches the waitpoint whose key begins with its name', () => {
    const waiting = given(...IN_CLASS.AL).when('suspendExecution', suspend(['stop', 'go#1@7']), NOW);
    expect(effectOf(waiting.when('signalExecution', send(2, { signalName: 'g' }), NOW))).toBe('kept_for_a_wait');
    expect(effectOf(waiting.when('signalExecution', send(3, { signalName: 'go#1@7' }), NOW))).toBe('kept_for_a_wait');
    const taken = waiting.when('signalExecution', send(1), NOW);
    expect(effectOf(taken)).toBe('resume_condition_satisfied');
    taken.leaves({ situation: 'ready', keptSignalCount: 2 });
    expect(['a#b#c', 'a', '#sleep:0@7'].map(channelOf)).toEqual(['a', 'a', '']);
  });

  test('a second time has the answer of the first, whatever happened since', () => {
    const kept = running().when('signalExecution', send(1), NOW);
    kept
      .when('signalExecution', send(1), NOW)
      .answers({ kind: 'duplicate', existingSignalId: uuid(701) })
      .nothingHappens();
    const taken = given(...IN_CLASS.AL)
      .when('suspendExecution', suspend(['go']), NOW)
      .when('signalExecution', send(1), NOW);
    taken
      .when('signalExecution', send(1), NOW)
      .answers({ kind: 'duplicate', existingSignalId: uuid(701) })
      .nothingHappens();
    taken
      .when('cancelExecution', { executionId: X, reason: '', source: 'operator_override' }, NOW)
      .when('signalExecution', send(1), NOW)
      .answers({ kind: 'duplicate' });
  });

  test('is refused beyond the limits', () => {
    running()
      .when('signalExecution', send(1, { maxSignalsPerExecution: 1 }), NOW)
      .refuses('signal_limit_exceeded', { limit: 'signals' });
  });

  test('that a suspension has not seen refuses the suspension', () => {
    const kept = running();
    kept
      .when('suspendExecution', suspend(['go'], { seenSignals: 0 }), NOW)
      .refuses('signals_arrived')
      .nothingHappens();
    kept.when('suspendExecution', suspend(['go'], { seenSignals: 1 }), NOW).leaves({ situation: 'suspended' });
    kept.when('suspendExecution', suspend(['go']), NOW).leaves({ situation: 'suspended' });
  });
});

/** What waits for the end of a turn runs in one tick: first the actions, then the calls. */
import { expect, it, vi } from 'vitest';
import { atTurnEnd, sendAtTurnEnd } from '../../src/util/turn-end.js';

const ended = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('runs actions before calls, including those added meanwhile, after all reactions of the turn', async () => {
  const ran: string[] = [];
  const reaction = async (): Promise<void> => {
    sendAtTurnEnd(() => ran.push('call'));
    atTurnEnd(() => {
      ran.push('action');
      sendAtTurnEnd(() => {
        ran.push('second call');
        atTurnEnd(() => ran.push('late action'));
      });
      sendAtTurnEnd(() => ran.push('third call'));
      atTurnEnd(() => ran.push('second action'));
    });
    await undefined;
    ran.push('reaction');
  };
  await Promise.resolve().then(reaction);
  await ended();
  expect(ran).toEqual([...['reaction', 'action', 'second action', 'call', 'second call', 'late action', 'third call']]);
});

it('takes one tick', async () => {
  const nextTick = vi.spyOn(process, 'nextTick');
  try {
    sendAtTurnEnd(() => undefined);
    atTurnEnd(() => atTurnEnd(() => undefined));
    expect(nextTick).toHaveBeenCalledTimes(1);
    await ended();
    expect(nextTick).toHaveBeenCalledTimes(1);
  } finally {
    nextTick.mockRestore();
  }
});

it('runs the others when one throws, and the error reaches the process', async () => {
  const ran: string[] = [];
  const nextTick = vi
    .spyOn(process, 'nextTick')
    .mockImplementation(((tick: () => void) => void setImmediate(caught, tick)) as typeof process.nextTick);
  const errors: unknown[] = [];
  const caught = (tick: () => void): void => {
    try {
      tick();
    } catch (error) {
      errors.push(error);
    }
  };
  try {
    atTurnEnd(() => {
      throw new Error('first');
    });
    atTurnEnd(() => ran.push('second'));
    sendAtTurnEnd(() => ran.push('call'));
    await ended();
    await ended();
    await ended();
  } finally {
    nextTick.mockRestore();
  }
  expect(ran).toEqual(['second', 'call']);
  expect(errors).toEqual([new Error('first')]);
});

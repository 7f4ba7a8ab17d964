import { describe, expect, it } from 'vitest';
import { Emitter } from '../../src/worker/report/emitter.js';

interface Events {
  readonly finished: number;
}

const emitter = (): Emitter<Events> =>
  new Emitter<Events>((error) => {
    throw error;
  });

describe('an emitter', () => {
  it('calls a listener once for each of its registrations, and ends them one by one', () => {
    const events = emitter();
    const heard: number[] = [];
    const listener = (event: number): unknown => heard.push(event);
    const offs = [events.on('finished', listener), events.on('finished', listener)];
    events.emit('finished', 1);
    offs[0]?.();
    offs[0]?.();
    events.emit('finished', 2);
    offs[1]?.();
    events.emit('finished', 3);
    expect(heard).toEqual([1, 1, 2]);
  });

  it('calls a listener that registers itself again once per event', () => {
    const events = emitter();
    let calls = 0;
    let off: () => void;
    const listener = (): void => {
      if (++calls > 10) return;
      off();
      off = events.on('finished', listener);
    };
    off = events.on('finished', listener);
    events.emit('finished', 1);
    events.emit('finished', 2);
    expect(calls).toBe(2);
  });

  it('gives each listener an event of its own: what one changes, the next does not see', () => {
    const events = new Emitter<{ readonly blocked: { tasks: string[] } }>(() => undefined);
    const heard: string[][] = [];
    events.on('blocked', (event) => void event.tasks.push('made up'));
    events.on('blocked', (event) => void heard.push(event.tasks));
    events.emit('blocked', { tasks: ['mail'] });
    expect(heard).toEqual([['mail']]);
  });
});

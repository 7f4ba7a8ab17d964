import { expect, it, vi } from 'vitest';
import { Iteration } from '../../src/app/iteration.js';

/** Yields numbers until the signal aborts. */
async function* numbers(signal: AbortSignal): AsyncGenerator<number, void, undefined> {
  for (let n = 0; ; n++) {
    signal.throwIfAborted();
    yield n;
  }
}

it('an iteration listens to its signals from its first read on, and ends with the reason of an earlier abort too', async () => {
  const controller = new AbortController();
  const listens = vi.spyOn(controller.signal, 'addEventListener');
  const [read, late] = [new Iteration(numbers, [controller.signal]), new Iteration(numbers, [controller.signal])];
  expect(listens).not.toHaveBeenCalled();
  expect(await read.next()).toEqual({ done: false, value: 0 });
  controller.abort(new Error('over'));
  await expect(read.next()).rejects.toThrow('over');
  await expect(late.next()).rejects.toThrow('over');
});

it('an iteration that its reader leaves before the first read yields nothing', async () => {
  const iteration = new Iteration(numbers, []);
  await iteration.return();
  expect(await iteration.next()).toEqual({ done: true, value: undefined });
});

it('an iteration that its signal ends between two reads closes what it reads from at once, and says so at the next read', async () => {
  let closed = false;
  const open = async function* (signal: AbortSignal): AsyncGenerator<number, void, undefined> {
    try {
      yield* numbers(signal);
    } finally {
      closed = true;
    }
  };
  const [one, other] = [new AbortController(), new AbortController()];
  const iteration = new Iteration(open, [one.signal, other.signal]);
  await iteration.next();
  one.abort(new Error('over'));
  other.abort(new Error('later'));
  await new Promise(setImmediate);
  expect(closed).toBe(true);
  await expect(iteration.next()).rejects.toThrow('over');
  expect(await iteration.next()).toEqual({ done: true, value: undefined });
});

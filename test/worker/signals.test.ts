import { expect, it } from 'vitest';
import { onTermination } from '../../src/worker/shutdown/signals.js';

it('any number of workers share one listener for a signal, each is called, and the last one removes it', () => {
  const before = process.listenerCount('SIGTERM');
  const told: number[] = [];
  const leaves = Array.from({ length: 20 }, (_, n) =>
    onTermination(
      () => told.push(n),
      () => told.push(-n),
    ),
  );
  expect(process.listenerCount('SIGTERM')).toBe(before + 1);
  leaves[0]?.();
  leaves[0]?.();
  // What a launcher passes on besides the terminal comes twice, and counts once.
  for (let again = 0; again < 2; again++) process.emit('SIGTERM', 'SIGTERM');
  expect(told).toEqual(Array.from({ length: 19 }, (_, n) => n + 1));
  for (const leave of leaves) leave();
  expect(process.listenerCount('SIGTERM')).toBe(before);
});

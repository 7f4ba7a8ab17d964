import { expect, it } from 'vitest';
import { Gate } from '../../src/backend/gate.js';

it('a call that was answered while the event loop was blocked counts as answered when the grace ends', async () => {
  // From here on, timers come before what is set to come next, as they come before the sockets.
  await new Promise((resolve) => setImmediate(resolve));
  const gate = new Gate('test');
  let answer!: () => void;
  void gate.count(new Promise<void>((resolve) => (answer = resolve)));
  const drained = gate.drain(1);
  setImmediate(answer);
  const blockedUntil = performance.now() + 5;
  while (performance.now() < blockedUntil);
  expect(await drained).toEqual({ unanswered: 0 });
});

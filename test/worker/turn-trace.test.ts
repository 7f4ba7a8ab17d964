/** Tracing which handler runs leaves nothing behind when it ends. */
import { expect, it } from 'vitest';
import { TurnTrace } from '../../src/worker/event-loop/turn-trace.js';
import { pause } from '../app/support.js';
import { ManualClock } from './manual-clock.js';

/** What the hooks of the process have put on a new promise: each makes every `await` dearer. */
const marks = (): number => Object.getOwnPropertySymbols(Promise.resolve()).length;

it('costs nothing after its end, however often it was started', async () => {
  const before = marks();
  const clock = new ManualClock();
  const stretches: [owner: string, ms: number][] = [];
  const trace = new TurnTrace<string>(clock, (...stretch) => stretches.push(stretch));
  for (let time = 0; time < 50; time++) {
    trace.begin();
    await trace.run(`call ${time}`, async () => {
      await pause(0);
      clock.time += 10;
    });
    trace.end();
    await pause(0);
  }
  expect(stretches.filter(([, ms]) => ms === 10).map(([owner]) => owner)).toEqual(
    Array.from({ length: 50 }, (_, time) => `call ${time}`),
  );
  expect(marks()).toBe(before);
  expect(clock.pending).toBe(0);
});

it('ends by itself ten minutes after its last start', async () => {
  const clock = new ManualClock();
  const trace = new TurnTrace<string>(clock, () => undefined);
  trace.begin();
  await clock.pass(300_000);
  trace.begin();
  await clock.pass(599_999);
  expect(trace.isOn).toBe(true);
  await clock.pass(1);
  expect(trace.isOn).toBe(false);
});

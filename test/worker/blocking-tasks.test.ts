/** Tasks that block the event loop for real do not stop the healthy work of their worker. */
import { afterEach, describe, expect, it } from 'vitest';
import type { App } from '../../src/index.js';
import { block, collectingLog, memoryApp, pause, until } from '../app/support.js';

let a: App | undefined;
afterEach(() => a?.close());

describe('a task that blocks the event loop', () => {
  it('does not stop healthy work of its worker', async () => {
    a = memoryApp();
    let blocks = 0;
    const bad = a.task('bad', () => {
      blocks++;
      block(1_500);
    });
    const healthy = a.task('healthy', () => pause(50));
    const worker = await a.worker({ slots: 2, leaseTtl: 1_000 });
    const startedAt = performance.now();
    await bad.runMany([undefined, undefined, undefined]);
    await healthy.runMany(Array.from({ length: 80 }, () => undefined));
    await until(() => worker.stats().completed === 80);
    // One for each slot, and again behind each rest, of which a busy machine has several.
    expect(blocks).toBeLessThanOrEqual(2 * (1 + Math.floor((performance.now() - startedAt) / (4 * 1_500))));
  });

  it.each([
    ['another task', 'healthy'],
    ['the same task', 'bad'],
  ])('after its first await does not stop healthy work of %s', async (_, kind) => {
    a = memoryApp();
    let blocks = 0;
    const handler = async ({ input }: { input: unknown }) => {
      await pause(20);
      if (input !== 'block') return;
      blocks++;
      block(1_500);
      await pause(1);
    };
    const tasks = { bad: a.task('bad', handler), healthy: a.task('healthy', handler) };
    const worker = await a.worker({ slots: 2, leaseTtl: 1_000 });
    const startedAt = performance.now();
    await tasks.bad.runMany(['block', 'block', 'block']);
    await tasks[kind as 'bad' | 'healthy'].runMany(Array.from({ length: 80 }, () => 'no'));
    await until(() => worker.stats().completed === 80);
    // Each blocks once or twice before it is known and parked, and again behind each pause.
    expect(blocks).toBeLessThanOrEqual(3 * (2 + Math.floor((performance.now() - startedAt) / (4 * 1_500))));
  });

  it('only together with its other runs has these runs parked until they are spread out', async () => {
    const { log, lines } = collectingLog();
    a = memoryApp({ log });
    let answer: Promise<void> | undefined;
    const task = a.task('group', async () => {
      // All of them go on in the same turn, as after one answer of a server.
      answer ??= pause(200).then(() => void (answer = undefined));
      await answer;
      block(450);
      await pause(1);
    });
    const worker = await a.worker({ slots: 4, leaseTtl: 1_000 });
    await task.runMany([1, 2, 3, 4]);
    // Their pauses are drawn at random, and become longer until they differ enough.
    await until(() => worker.stats().completed === 4, 120_000);
    expect(lines.join('\n')).toMatch(/has lost its worker \d times/);
  });
});

/** Budgets and quotas. */
import { expect } from 'vitest';
import type { TaskContext } from '../../../src/index.js';
import { deferred, pause, until } from '../support.js';
import { refusalOf, within, type Scenario } from './world.js';

export const METERS: readonly Scenario[] = [
  {
    name: 'a budget cannot be overspent: runs wait for room or are refused, and start at once when there is some',
    run: async ({ open }) => {
      const [a, b] = [await open(), await open()];
      const definition = { limits: { tokens: { hard: 10, soft: 5 } } };
      const [tokens, seen] = [a.budget('tokens', definition), b.budget('tokens', definition)];
      const spend = a.task('spend', { budget: tokens }, async ({ budget, input }: TaskContext<number>) => {
        const held = await budget(tokens).reserve({ tokens: input });
        await held.settle({ tokens: input });
        return 'spent';
      });
      const strict = a.task('strict', { budget: { of: tokens, whenExhausted: 'refuse' } }, () => 1);
      const worker = await a.worker();
      const first = await spend.run(4);
      expect(await within(first.result())).toBe('spent');
      const tooMuch = await refusalOf(() => spend.run(7).result());
      // A claim that is under way has seen room.
      await until(() => worker.stats().claiming === 'idle');
      await seen.report({ tokens: 6 }, { key: 'k' });
      await seen.report({ tokens: 6 }, { key: 'k' });
      const over = await refusalOf(() => seen.report({ tokens: 1 }));
      const refused = await refusalOf(() => strict.run());
      const waiting = await spend.run(1);
      await pause(100);
      const { because, sentence } = await waiting.explain();
      const status = await seen.status();
      await seen.setLimits({ tokens: { hard: 20 } });
      expect(await within(waiting.result())).toBe('spent');
      const usage = await first.usage();
      const bill = (await seen.bill()).map(({ date: _, ...day }) => day);
      await seen.reset();
      const { usage: after } = await seen.status();
      const message = (tooMuch as { message: string }).message.split('\n')[0];
      return { message, over, refused, because, sentence, status, usage, bill, after };
    },
  },
  {
    name: 'a quota holds per key: others wait, and go on at once; a full one drops or displaces',
    run: async ({ open }) => {
      const [a, b] = [await open(), await open()];
      const [begun, go] = [deferred(), deferred()];
      let [now, most] = [0, 0];
      const per = (input: string): string => input.slice(0, 1);
      const limited = a.task('limited', { quota: { per, concurrency: 1 } }, async ({ input }: TaskContext<string>) => {
        most = Math.max(most, ++now);
        if (input === 'a1') {
          begun.resolve();
          await go.promise;
        }
        now--;
        return input;
      });
      const rate = a.task('rate', { quota: { rate: { limit: 2, window: '1s' } } }, () => 1);
      const drops = a.task('drops', { quota: { concurrency: 1, whenFull: 'drop' } });
      const displaces = a.task('displaces', { quota: { concurrency: 1, whenFull: 'cancel_oldest' } });
      await a.worker({ slots: 5, tasks: [limited, rate] });
      await limited.run('a1');
      await within(begun.promise);
      const [waiting, other] = await limited.runMany(['a2', 'b1']);
      expect(await within(other?.result() as never)).toBe('b1');
      await pause(50);
      const [use] = await a.quotas.of(limited, 'a');
      const { because, sentence } = { ...(await b.get(waiting?.id ?? '').explain()) };
      go.resolve();
      expect(await within(waiting?.result() as never)).toBe('a2');
      expect(most).toBeLessThanOrEqual(2);
      const three = await rate.runMany([undefined, undefined, undefined]);
      await within(Promise.all(three.map((run) => run.result())), 0, 2);
      await drops.run(undefined);
      const dropped = await refusalOf(() => drops.run(undefined));
      const old = await displaces.run(undefined);
      await displaces.run(undefined);
      await within(until(async () => (await old.state()) === 'cancelled'));
      const { cancelReason, cancelledBy } = await old.info();
      return { use, because, sentence, dropped, cancelReason, cancelledBy };
    },
  },
];

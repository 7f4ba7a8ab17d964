/**
 * Two tenants send mail. Each may have five mails under way at once, and start a hundred a minute. One of them sends
 * more than that: its mails wait. The other tenant has room, so its mails leave at once.
 *
 *     npx tsx examples/tenants.ts                      in memory
 *     VALKEY_URL=valkey://localhost:6379 npx tsx examples/tenants.ts
 */
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { app, memory, type App, type TaskContext } from '../src/index.js';
import { valkey } from '../src/valkey/index.js';

export interface Mail {
  readonly tenant: string;
  readonly to: string;
}

/** The task that sends one mail, within the limits of its tenant. */
export function sendingOf(a: App, deliver: (mail: Mail) => unknown) {
  return a.task(
    'send',
    { quota: { per: ({ tenant }: Mail) => tenant, concurrency: 5, rate: { limit: 100, window: '1m' } } },
    async ({ input }: TaskContext<Mail>) => {
      await deliver(input);
      return `${input.to} has mail from ${input.tenant}`;
    },
  );
}

export const mailsOf = (tenant: string, count: number): Mail[] =>
  Array.from({ length: count }, (_, i) => ({ tenant, to: `reader-${i + 1}` }));

async function main(): Promise<void> {
  await using a = app({ backend: process.env['VALKEY_URL'] === undefined ? memory() : valkey() });
  const send = sendingOf(a, () => delay(50));
  await a.worker({ slots: 20 });
  const started = Date.now();
  const after = (): string => `after ${((Date.now() - started) / 1_000).toFixed(1)} s`;
  const many = await send.runMany(mailsOf('acme', 110));
  const few = await send.runMany(mailsOf('umbrella', 5));
  await Promise.all(few.map((run) => run.result()));
  console.log(`All ${few.length} mails of umbrella are sent ${after()}.`);
  await Promise.all(many.slice(0, 50).map((run) => run.result()));
  const [use] = await a.quotas.of(send, { tenant: 'acme' });
  console.log(`${use?.started} mails of acme have started ${after()}, and ${use?.held} are under way.`);
  await Promise.all(many.map((run) => run.result()));
  console.log(`All ${many.length} mails of acme are sent ${after()}.`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();

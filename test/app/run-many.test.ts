/** Whether a creation is tried again depends on its own fault, not on what shares its call. */
import { expect, test } from 'vitest';
import { EngineError, type ErrorCode } from '../../model/errors.js';
import type { Command } from '../../model/machine.js';
import type { Backend, CommandResult } from '../../src/backend/backend.js';
import { app, memory } from '../../src/index.js';

/** A backend on which creations fail as told, each by its place among all that are sent. */
function failing(faultOf: (sent: number) => ErrorCode | undefined): { backend: Backend; calls: number[] } {
  const inner = memory({ partitions: { count: 1 } });
  const calls: number[] = [];
  let sent = 0;
  const execute = async (commands: readonly Command[]): Promise<CommandResult[]> => {
    calls.push(commands.length);
    const results: CommandResult[] = [];
    for (const command of commands) {
      const code = faultOf(sent++);
      if (code !== undefined) results.push({ ok: false, error: new EngineError(code, 'x.') });
      else results.push(...((await inner.execute([command])) as unknown as CommandResult[]));
    }
    return results;
  };
  return { backend: { ...inner, execute } as unknown as Backend, calls };
}

test('creations that met a retryable fault are repeated, and no others', async () => {
  const { backend, calls } = failing((sent) => (sent % 3 === 1 && sent < 9 ? 'call_timeout' : undefined));
  await using client = app({ backend });
  const echo = client.task('echo', ({ input }: { input: number }) => input);
  const runs = await echo.runMany([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  expect(calls).toEqual([9, 3]);
  await client.worker();
  expect(await Promise.all(runs.map((run) => run.result({ timeout: '5s' })))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
});

test('a fault that is not retryable rejects at once', async () => {
  const { backend, calls } = failing((sent) =>
    sent === 0 ? 'call_timeout' : sent === 1 ? 'server_refused' : undefined,
  );
  await using client = app({ backend });
  const echo = client.task('echo', ({ input }: { input: number }) => input);
  await expect(echo.runMany([0, 1, 2])).rejects.toMatchObject({ code: 'server_refused' });
  expect(calls).toEqual([3]);
});

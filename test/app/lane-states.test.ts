/** Lanes that operators pause, drain and resume, as users see it, in memory and on a server. */
import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { EngineError, memory, app, type App, type Backend } from '../../src/index.js';
import { valkey } from '../../src/valkey/index.js';
import { sharedValkey } from '../support/valkey/index.js';

const open: App[] = [];
afterEach(() => Promise.all(open.splice(0).map((each) => each.close())));

const BACKENDS = {
  memory: async () => memory({ partitions: { count: 4 } }),
  valkey: async () =>
    valkey({ url: (await sharedValkey()).url, prefix: `lanes-${randomUUID()}:`, partitions: { count: 4 } }),
};

/** Claims that reach the backend. */
function counted(backend: Backend): { readonly backend: Backend; claims(): number } {
  let claims = 0;
  const watched = new Proxy(backend, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (name === 'claimForWorker') claims++;
        if (name === 'execute')
          claims += (args[0] as { name: string }[]).filter((command) => command.name === 'claimForWorker').length;
        return (value as (...all: unknown[]) => unknown).apply(target, args);
      };
    },
  });
  return { backend: watched, claims: () => claims };
}

async function made(name: keyof typeof BACKENDS) {
  const { backend, claims } = counted(await BACKENDS[name]());
  const jobs = app({ backend });
  open.push(jobs);
  return { jobs, backend, claims };
}

describe.each(Object.keys(BACKENDS) as (keyof typeof BACKENDS)[])('lanes in %s', (name) => {
  it('wait while they are paused, without polling, and continue when they are resumed', async () => {
    const { jobs, claims } = await made(name);
    const mail = jobs.task('send', { lane: 'mail:out', input: z.number() }, async ({ input }) => input + 1);
    await jobs.worker();
    expect(await mail.run(1).result()).toBe(2);
    const lane = jobs.lane('mail:out');
    expect((await lane.state()).state).toBe('open');
    await lane.pause({ reason: 'the provider is down', requestedBy: 'ann' });
    expect(await lane.state()).toMatchObject({ state: 'paused', requestedBy: 'ann', reason: 'the provider is down' });
    const runs = await mail.runMany([1, 2, 3, 4, 5, 6]);
    const asked = claims();
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect((await jobs.counts()).lanes['mail:out']?.states).toMatchObject({ waiting: 6 });
    expect(claims() - asked).toBeLessThanOrEqual(12);
    await lane.resume();
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual([2, 3, 4, 5, 6, 7]);
    expect((await lane.state()).state).toBe('open');
  });

  it('finish their work while they are drained, and refuse new work', async () => {
    const { jobs } = await made(name);
    const mail = jobs.task('send', { input: z.number() }, async ({ input }) => input + 1);
    const run = await mail.run(1);
    await jobs.lane('send').drain({ reason: 'moving' });
    const refusal = {
      code: 'lane_draining',
      message: 'lane_draining: Task "send": the lane "send" is being drained and takes no new runs.',
      hint: expect.stringContaining('app.lane(name).resume()'),
    };
    await expect(mail.run(2)).rejects.toMatchObject(refusal);
    await expect(mail.runMany([2, 3])).rejects.toMatchObject(refusal);
    const both = jobs.flow('both', (f) => f.run(mail, 2));
    await expect(both.run()).rejects.toMatchObject({ message: refusal.message.replace('Task "send"', 'Flow "both"') });
    await jobs.worker();
    expect(await run.result()).toBe(2);
  });

  it('report the partitions in which a change failed, and repeat the change there', async () => {
    const { jobs, backend } = await made(name);
    const { pauseLane } = backend;
    const failing = Object.assign(Object.create(backend) as Backend, {
      pauseLane: (args: { partition: string }) =>
        args.partition === '{fp:2}'
          ? Promise.reject(new EngineError('server_refused', 'no.'))
          : pauseLane({ laneId: 'x', ...args }),
    });
    const other = app({ backend: failing, closeBackend: false });
    open.push(other);
    await expect(other.lane('x').pause()).rejects.toMatchObject({
      code: 'server_refused',
      detail: { made: '3', failed: '{fp:2}' },
    });
    expect((await jobs.lane('x').state()).state).toBe('mixed');
    await jobs.lane('x').pause();
    expect((await jobs.lane('x').state()).state).toBe('paused');
    expect(() => jobs.lane('')).toThrow('app.lane()');
    await expect(jobs.lane('x').pause({ why: 'x' } as object)).rejects.toThrow('no option "why"');
  });
});

/** The deployment gate, on memory and on a server: three workers die, and each effect happens once. */
import { describe, expect, it } from 'vitest';
import { gate, type Effects } from '../../examples/deployment-gate.js';
import { app, memory, valkey, type App, type Backend } from '../../src/index.js';
import { testApp } from '../../src/testing/index.js';
import { pause, until } from '../app/support.js';
import { sharedValkey } from '../support/valkey/index.js';

/** Effects that are written down. */
function written(): { effects: Effects; notes: string[] } {
  const notes: string[] = [];
  const effects = {
    build: (commit: string) => {
      notes.push(`build ${commit}`);
      return `image:${commit}`;
    },
    escalate: (commit: string) => void notes.push(`escalate ${commit}`),
    rollOut: (image: string) => void notes.push(`roll out ${image}`),
  };
  return { effects, notes };
}

const NEVER = new Promise<never>(() => undefined);

/** A connection that is cut for good by a call of this command, or by `cut`: the process behind it might as well be dead. */
function mortal(inner: Backend, cutBy?: string): { backend: Backend; isCut: () => boolean; cut: () => void } {
  let isCut = false;
  const backend = new Proxy(inner, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        const [commands] = args as [readonly { name: string }[]];
        if (name === 'execute' && commands.some((command) => command.name === cutBy)) isCut = true;
        return isCut && ['execute', 'recordStep'].includes(String(name))
          ? NEVER
          : (Reflect.apply(value, target, args) as unknown);
      };
    },
  });
  return { backend, isCut: () => isCut, cut: () => void (isCut = true) };
}

describe('the deployment gate', () => {
  it.concurrent.each(['memory', 'valkey'] as const)(
    'builds and rolls out once, though three workers die, on %s',
    async (name) => {
      const inner =
        name === 'memory'
          ? memory()
          : await valkey({
              url: (await sharedValkey()).url,
              prefix: `gate${Math.random()}:`,
              partitions: { count: 1 },
            });
      const apps: App[] = [];
      const { effects, notes } = written();
      const start = async (backend: Backend): Promise<App> => {
        const a = app({ backend, closeBackend: false });
        apps.push(a);
        gate(a, effects);
        await a.worker({ leaseTtl: '3s', drainTimeout: 0 });
        return a;
      };
      const caller = app({ backend: inner });
      const deploy = gate(caller, effects);
      // The first one dies when it is about to wait, the second one while the run waits, the third one with the end in hand.
      const first = mortal(inner, 'suspendExecution');
      await start(first.backend);
      const run = await deploy.run({ commit: 'c1', deadline: '1h' });
      await until(first.isCut);
      const second = mortal(inner);
      await start(second.backend);
      await until(async () => (await run.state()) === 'suspended');
      second.cut();
      await run.approve('release', { by: 'ann' });
      await run.approve('release', { by: 'ann' });
      const third = mortal(inner, 'completeExecution');
      await start(third.backend);
      await pause(50);
      await expect.poll(() => run.state()).toBe('suspended');
      await run.approve('release', { by: 'bea' });
      await until(third.isCut);
      await start(inner);
      expect(await run.result()).toEqual({ deployed: true, by: ['ann', 'bea'] });
      expect(notes).toEqual(['build c1', 'roll out image:c1']);
      await Promise.all(apps.map((a) => a.close({ timeout: 0 })));
      await caller.close();
    },
  );

  it('asks a manager when the deadline passes, and takes a no', async () => {
    await using t = testApp();
    const { effects, notes } = written();
    const deploy = gate(t.app, effects);
    await t.app.worker();
    const runs = [
      await deploy.run({ commit: 'yes', deadline: '1d' }),
      await deploy.run({ commit: 'no', deadline: '1d' }),
    ];
    await t.advance('2d');
    await runs[0]?.approve('override', { by: 'cleo' });
    await runs[1]?.reject('override', { by: 'cleo', note: 'not on a Friday' });
    await t.advance('1h');
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual([
      { deployed: true, by: ['cleo'] },
      { deployed: false, by: ['cleo'] },
    ]);
    expect([...notes].sort()).toEqual(['build no', 'build yes', 'escalate no', 'escalate yes', 'roll out image:yes']);
  });

  it('asks a manager on a server when the deadline passes', async () => {
    const backend = await valkey({ url: (await sharedValkey()).url, prefix: `gate${Math.random()}:` });
    await using a = app({ backend });
    const { effects, notes } = written();
    const deploy = gate(a, effects);
    await a.worker();
    const run = await deploy.run({ commit: 'c1', deadline: '100ms' });
    await run.approve('release', { by: 'ann' });
    await until(() => notes.includes('escalate c1'));
    await run.approve('override', { by: 'cleo' });
    expect(await run.result({ timeout: '20s' })).toEqual({ deployed: true, by: ['cleo'] });
    expect(notes).toEqual(['build c1', 'escalate c1', 'roll out image:c1']);
  });
});

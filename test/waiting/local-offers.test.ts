/**
 * What makes work claimable and the worker that waits for it in one process: the claim travels with a signal, and with the
 * completion of the last one that a member of a flow waits for.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { app, memory, type App, type Backend, type TaskContext } from '../../src/index.js';
import { pause } from '../app/support.js';

/** The worker looks again by itself only long after the test. */
const RARELY = '10m';

let a: App | undefined;
afterEach(async () => {
  // A handler whose gate stays closed would hold up the end of its worker.
  await a?.close({ timeout: 0 });
  a = undefined;
});

/** A store that wakes nobody, and tells of every claim that is made. */
function withoutWakes(claims: string[]): Backend {
  const store = memory();
  return new Proxy(store, {
    get(target, name) {
      if (name === 'onWake') return async () => () => undefined;
      if (name === 'execute')
        return (commands: Parameters<Backend['execute']>[0]) => {
          for (const command of commands) if (command.name === 'claimForWorker') claims.push(command.args.laneId);
          return target.execute(commands);
        };
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

const suspended = async (run: { state(): Promise<string> }): Promise<void> => {
  while ((await run.state()) !== 'suspended') await pause(1);
};

const waits = ({ waitFor }: TaskContext): Promise<unknown> => waitFor('go');

describe('a run that is signalled by the process that works on it', () => {
  it('goes on although no wake arrives', async () => {
    a = app({ backend: withoutWakes([]) });
    const task = a.task('t', waits);
    const run = await task.run(undefined);
    await a.worker({ sweepInterval: RARELY });
    await suspended(run);
    await run.signal('go', 'now');
    expect(await run.result({ timeout: '20s' })).toBe('now');
  });

  it('is claimed by one of several workers', async () => {
    const claims: string[] = [];
    a = app({ backend: withoutWakes(claims) });
    const task = a.task('t', async ({ waitFor }: TaskContext) => {
      await waitFor('go');
      await waitFor('never');
    });
    const run = await task.run(undefined);
    await Promise.all([a.worker(), a.worker(), a.worker()]);
    await suspended(run);
    claims.length = 0;
    await run.signal('go');
    expect(claims).toEqual(['t']);
  });

  it('is not claimed with a signal where work needs an admission', async () => {
    const claims: string[] = [];
    a = app({ backend: withoutWakes(claims) });
    const task = a.task('t', { quota: { concurrency: 5 } }, waits);
    const run = await task.run(undefined);
    await a.worker({ slots: 2 });
    await suspended(run);
    claims.length = 0;
    await run.signal('go');
    expect(claims).toEqual([]);
  });
});

describe('a member of a flow whose upstreams are completed by the process that created it', () => {
  /** Tasks of lanes `up` and `down`; each upstream ends when its gate is opened. */
  function withGates(claims: string[]) {
    const opened = new Map<number, () => void>();
    const it = (a = app({ backend: withoutWakes(claims) }));
    const up = it.task('up', async ({ input }: TaskContext<number>) => {
      await new Promise<void>((resolve) => opened.set(input, resolve));
      return input;
    });
    const down = it.task('down', ({ input }: TaskContext<readonly number[]>) => input);
    const begun = async (count: number): Promise<void> => {
      while (opened.size < count) await pause(1);
      claims.length = 0;
    };
    return { it, up, down, begun, open: (n: number) => opened.get(n)?.() };
  }

  it('begins although no wake arrives, once the last of them has ended', async () => {
    const claims: string[] = [];
    const { it: its, up, down, begun, open } = withGates(claims);
    const flow = its.flow('f', (f) => f.run(down, [f.run(up, 1), f.run(up, 2)]));
    const run = await flow.run(undefined);
    await its.worker({ slots: 3, sweepInterval: RARELY });
    await begun(2);
    open(1);
    while ((await run.info()).members.completed !== 1) await pause(1);
    expect(claims).not.toContain('down');
    open(2);
    expect(await run.result({ timeout: '20s' })).toEqual([1, 2]);
    expect(claims.filter((lane) => lane === 'down')).toHaveLength(1);
  });

  it('begins with the ending that decides its quorum', async () => {
    const claims: string[] = [];
    const { it: its, up, down, begun, open } = withGates(claims);
    const flow = its.flow('f', (f) => f.run(down, f.quorum(2, [f.run(up, 1), f.run(up, 2), f.run(up, 3)])));
    const run = await flow.run(undefined);
    await its.worker({ slots: 4, sweepInterval: RARELY });
    await begun(3);
    open(3);
    open(1);
    expect(await run.result({ timeout: '20s' })).toEqual([1, 3]);
  });
});

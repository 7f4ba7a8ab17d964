/** Handlers of users in a simulated deployment: what is wrong with them is found, and nothing is said of right ones. */
import { describe, expect, it } from 'vitest';
import { claimedIn } from '../../fuzz/claimed.js';
import type { Command, CommandResult } from '../../src/engine/index.js';
import { app, backoff, child, memory, type Backend, type TaskContext } from '../../src/index.js';
import { simulate, SimulationError, testApp, type SimulateOptions } from '../../src/testing/index.js';
import { simulateOn } from '../../src/testing/simulate/campaign.js';
import { rejectionOf } from '../app/support.js';

/** A bank, as the handlers see it: with an idempotency key it charges once. */
class Bank {
  readonly charges: string[] = [];
  readonly refunds: string[] = [];
  private readonly keys = new Set<string>();

  charge(order: string, key = `${this.charges.length}`): string {
    if (!this.keys.has(key)) this.charges.push(order);
    this.keys.add(key);
    return `receipt of ${order}`;
  }
}

let bank = new Bank();
type Order = TaskContext<{ order: string }>;

const shop = app({ backend: memory() });
const RETRY = { retry: { failures: 3, backoff: backoff.fixed('1s') } };
const right = shop.task('right', RETRY, async ({ input, step }: Order) => {
  const receipt = await step('charge', ({ idempotencyKey }) => bank.charge(input.order, idempotencyKey));
  await step('mail', () => undefined);
  return receipt;
});
const outside = shop.task('outside', RETRY, async ({ input, step }: Order) => {
  await step('reserve', () => undefined);
  bank.charge(input.order);
  await step('mail', () => undefined);
});
const keyless = shop.task('keyless', RETRY, async ({ input, step }: Order) => {
  await step('charge', () => bank.charge(input.order));
});
const deaf = shop.task('deaf', RETRY, async ({ input, step }: Order) => {
  try {
    await step('charge', ({ idempotencyKey }) => bank.charge(input.order, idempotencyKey));
  } catch {
    // As if every error came from the bank: the abort of a lost lease does not.
    bank.refunds.push(input.order);
    return 'refunded';
  }
  return 'charged';
});
const approved = shop.task('approved', RETRY, async ({ input, step, waitFor, sleep }: Order) => {
  const by = await waitFor<string>('approval');
  await sleep('1d');
  await step('charge', ({ idempotencyKey }) => bank.charge(input.order, idempotencyKey));
  return by;
});
const doubled = shop.task('doubled', RETRY, ({ input }: TaskContext<number>) => 2 * input);
const parent = shop.task('parent', RETRY, async ({ children }: TaskContext) =>
  children.all([child(doubled, 1), child(doubled, 2)]),
);
const flow = shop.flow('flow', (f) => {
  const first = f.run(doubled, 1);
  return f.run(doubled, 5, { after: [first] });
});

/** Charges one order with a task, and expects one charge. */
const chargesOnce =
  (task: typeof keyless | typeof right | typeof outside) =>
  async (t: { settled(): Promise<void> }): Promise<void> => {
    bank = new Bank();
    await shop.worker();
    const run = await task.run({ order: 'o1' });
    await t.settled();
    expect(await run.state()).toBe('completed');
    expect(bank.charges).toEqual(['o1']);
  };

const failureOf = async (simulated: Promise<unknown>): Promise<SimulationError> => {
  const error = await rejectionOf(simulated);
  if (error instanceof SimulationError) return error;
  throw error;
};

describe('a wrong handler is found, and its failure shrunk to one fault', () => {
  it('one with an effect outside of its steps', async () => {
    const { message, schedule, story, cause } = await failureOf(simulate(shop, chargesOnce(outside), { runs: 30 }));
    expect(message).toMatch(
      /^The scenario fails with one fault: expected \[ 'o1', 'o1' \] to deeply equal \[ 'o1' \]\n\n/,
    );
    expect(schedule).toHaveLength(1);
    expect(schedule[0]).toMatch(/^crash_/);
    expect(story).toMatch(
      /worker 1 CRASHES .*recordStep "mail" of outside 1.*\n(.*\n)*.*worker 2 begins outside 1: attempt 2/,
    );
    expect(cause).toHaveProperty('actual', ['o1', 'o1']);
  });

  it('one that counts on its step being called once', async () => {
    const { schedule, story } = await failureOf(
      simulate(shop, chargesOnce(keyless), { runs: 30, faults: ['crash', 'call_failed'] }),
    );
    expect(schedule).toEqual([expect.stringMatching(/^crash_before@/)]);
    expect(story.match(/calls the function of step "charge"/g)).toHaveLength(2);
  });

  it('one that takes the abort for a failure of its step', async () => {
    const { message } = await failureOf(
      simulate(
        shop,
        async (t) => {
          bank = new Bank();
          await shop.worker();
          const run = await deaf.run({ order: 'o1' });
          expect(await run.result()).toBe('charged');
          await t.settled();
          expect(bank.refunds).toEqual([]);
        },
        { runs: 30 },
      ),
    );
    expect(message).toMatch(/fails with one fault: expected \[ 'o1' \] to deeply equal \[\]/);
    expect(message).toContain('STANDS STILL for 30000 ms');
  });

  it('one that keeps state in memory across a wait, if each process has its own', async () => {
    const define = () => {
      const own = app({ backend: memory() });
      const tokens = new Map<string, string>();
      const task = own.task('task', async ({ executionId, step, waitFor }: TaskContext) => {
        await step('ask', () => void tokens.set(executionId, 'secret'));
        await waitFor('go');
        return tokens.get(executionId) ?? 'forgotten';
      });
      return { app: own, task };
    };
    const scenario = async (t: { settled(): Promise<void> }, { app: own, task }: ReturnType<typeof define>) => {
      await own.worker();
      const run = await task.run();
      await t.settled();
      await run.signal('go');
      expect(await run.result()).toBe('secret');
    };
    const { message } = await failureOf(simulate(define, scenario, { runs: 30, faults: ['crash'] }));
    expect(message).toMatch(/fails with one fault: expected 'forgotten' to be 'secret'/);
    const shared = define();
    await simulate(shared, scenario, { runs: 10, faults: ['crash'] });
  });

  it('one that waits for what never comes, by what it waits for', async () => {
    const stuck = async (): Promise<void> => {
      await shop.worker();
      await approved.run({ order: 'o1' }).result();
    };
    expect((await failureOf(simulate(shop, stuck, { runs: 1 }))).message).toMatch(
      /^The scenario fails without any fault: after \d+ minutes of virtual time nothing happens any more.* approved 1: .*approval/,
    );
  });
});

describe('nothing is said of a right handler', () => {
  it('with steps that honour their idempotency keys, whatever happens', async () => {
    expect(await simulate(shop, chargesOnce(right), { runs: 30 })).toEqual({ runs: 31, faults: expect.any(Number) });
  });

  it('that waits for a signal and sleeps', async () => {
    const scenario: Parameters<typeof simulate>[1] = async (t) => {
      bank = new Bank();
      await shop.worker();
      const run = await approved.run({ order: 'o1' });
      await t.advance('1h');
      await run.signal('approval', 'ann');
      await t.advance('2d');
      expect(await run.result()).toBe('ann');
      expect(bank.charges).toEqual(['o1']);
    };
    await simulate(shop, scenario, { runs: 12 });
  });

  it('that starts children, and in a flow, with two workers', async () => {
    const { faults } = await simulate(
      shop,
      async () => {
        await shop.worker({ slots: 2 });
        await shop.worker();
        const [children, last] = await Promise.all([parent.run().result(), flow.run().result()]);
        expect([children, last]).toEqual([[2, 4], 10]);
      },
      { runs: 12 },
    );
    expect(faults).toBeGreaterThan(8);
  });
});

describe('a run', () => {
  const red: SimulateOptions = { runs: 30, faults: ['crash', 'slow'] };

  it('is the same for the same seed, and is played again by what its failure prints', async () => {
    const first = await failureOf(simulate(shop, chargesOnce(outside), red));
    const second = await failureOf(simulate(shop, chargesOnce(outside), red));
    expect(second.message).toBe(first.message);
    const printed = /Again: await simulate\(\.\.\., (\{.*\})\);/.exec(first.message)?.[1];
    expect(printed).toBe(`{ seed: ${first.seed}, schedule: ['${first.schedule[0]}'] }`);
    const { seed, schedule } = first;
    expect((await failureOf(simulate(shop, chargesOnce(outside), { seed, schedule }))).message).toBe(first.message);
    expect(await simulate(shop, chargesOnce(right), { seed, schedule })).toEqual({ runs: 1, faults: 1 });
  });

  it('says so if its failure depends on more than the simulation', async () => {
    let plays = 0;
    const moody = async (): Promise<void> => {
      await shop.worker();
      plays += 1;
      if (plays === 2) throw new Error('once');
    };
    expect((await failureOf(simulate(shop, moody, red))).message).toContain('It did not fail again: it depends on');
  });

  it('takes time for fakes in the process that calls them, which can die meanwhile', async () => {
    let [began, ended] = [0, 0];
    const own = app({ backend: memory() });
    const slow = own.task('slow', RETRY, async ({ step }) => step('slow', fake));
    let takes: (duration: string) => Promise<void> = async () => undefined;
    async function fake(): Promise<void> {
      began += 1;
      await takes('20s');
      ended += 1;
    }
    await simulate(
      own,
      async (t) => {
        [began, ended] = [0, 0];
        takes = (duration) => t.takes(duration as '20s');
        await own.worker();
        const startAt = t.now();
        await slow.run().result();
        expect(t.now() - startAt).toBeGreaterThan(20_000);
        expect(began).toBeGreaterThan(0);
        expect(ended).toBe(1);
      },
      { runs: 8, faults: ['crash'] },
    );
  });

  it('drains a worker of the scenario with all that took its place, and its listeners hear of all of them', async () => {
    await simulate(
      shop,
      async (t) => {
        bank = new Bank();
        const worker = await shop.worker();
        let finished = 0;
        worker.on('finished', () => (finished += 1));
        // As outside of a simulation, what a listener rejects with is handled.
        worker.on('finished', () => Promise.reject(new Error('from a listener')) as never);
        await right.run({ order: 'o1' }).result();
        await t.settled();
        expect(finished).toBeGreaterThan(0);
        await worker.drain();
        const late = await right.run({ order: 'o2' });
        await t.advance('1m');
        expect(await late.state()).toBe('waiting');
        await late.cancel();
      },
      { runs: 10, faults: ['pause', 'answer_lost'] },
    );
  });

  it('fails for a rejection that nobody handles', async () => {
    const floating = app({ backend: memory() });
    const task = floating.task('task', () => void Promise.reject(new Error('lost')));
    const others = process.listeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection');
    try {
      const scenario = async (): Promise<void> => {
        await floating.worker();
        await task.run().result();
      };
      const { message } = await failureOf(simulate(floating, scenario, { runs: 1 }));
      expect(message).toContain('without any fault: a rejection is left unhandled');
    } finally {
      for (const listener of others) process.on('unhandledRejection', listener);
    }
  });
});

describe('a store that breaks its promises is found', () => {
  /** Memory that carries out commands with a fault. */
  const broken =
    (execute: (backend: Backend, commands: readonly Command[]) => Promise<readonly CommandResult[]>) =>
    (now: () => number): Backend => {
      const backend = memory({ now, partitions: { count: 1 } });
      return new Proxy(backend, {
        get: (of, key) => {
          if (key === 'execute') return (commands: readonly Command[]) => execute(of, commands);
          const value: unknown = Reflect.get(of, key);
          return typeof value === 'function' ? value.bind(of) : value;
        },
      });
    };

  it('one that forgets what earlier owners have stored', async () => {
    const forgets = broken(async (backend, commands) =>
      (await backend.execute(commands)).map((result) => {
        if (!result.ok || result.outcome.kind !== 'claimed') return result;
        const executions = claimedIn(result.outcome).map(({ earlier, ...each }) => ({
          ...each,
          earlier: earlier && { ...earlier, steps: [] },
        }));
        return { ...result, outcome: { ...result.outcome, executions } } as CommandResult;
      }),
    );
    const { message } = await failureOf(simulateOn(forgets, shop, chargesOnce(right), { runs: 30 }));
    expect(message).toMatch(/the function of step "charge" of right 1 is called although its value is stored/);
  });

  it('one that does not take the lease from a worker that died', async () => {
    const keeps = broken(async (backend, commands) => {
      const kept = commands.filter(({ name }) => name !== 'applyDue');
      const results = [...(await backend.execute(kept))];
      const nothing = { ok: true, outcome: { kind: 'left_to_other', until: 9e15 } } as unknown as CommandResult;
      return commands.map(({ name }) => (name === 'applyDue' ? nothing : (results.shift() as CommandResult)));
    });
    const crashes: SimulateOptions = { runs: 30, faults: ['crash'] };
    const { message } = await failureOf(simulateOn(keeps, shop, chargesOnce(right), crashes));
    expect(message).toMatch(/with one fault: after \d+ minutes .* right 1: /);
  });
});

describe('simulate', () => {
  it('leaves the app as it was', async () => {
    await using t = testApp(shop);
    await shop.worker();
    expect(await doubled.run(2).result()).toBe(4);
    await expect(simulate(shop, () => undefined)).rejects.toThrow('simulate: the app is in use');
    expect(t.app).toBe(shop);
  });

  it('refuses what it cannot use', async () => {
    const refused = async (options: unknown, code: unknown = shop): Promise<string> =>
      ((await rejectionOf(simulate(code as typeof shop, () => undefined, options as SimulateOptions))) as Error)
        .message;
    expect(await refused({ run: 1 })).toContain('there is no option "run"');
    expect(await refused({ runs: 0 })).toContain('simulate: runs must be a whole number from 1');
    expect(await refused({ seed: -1 })).toContain('simulate: seed must be');
    expect(await refused({ faults: ['fire'] })).toContain('simulate: faults must be a list of crash, pause,');
    expect(await refused({ faults: [] })).toContain('simulate: faults must be');
    expect(await refused({ schedule: ['crash@1'] })).toContain('simulate: schedule must be as it was printed');
    expect(await refused({ schedule: 'crash_before@1' })).toContain('simulate: schedule must be a list');
    expect(await refused({}, {})).toContain('simulate: the code must be an app');
    const twice = simulate(
      () => shop,
      async ({ app: own }) => void (await own.worker()),
      { runs: 1 },
    );
    expect(await rejectionOf(twice)).toHaveProperty(
      'message',
      expect.stringContaining('the same app for two processes'),
    );
  });
});

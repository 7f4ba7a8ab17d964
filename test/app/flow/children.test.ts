/** Children of handlers: what they give, what becomes of them, and what a handler that runs again finds. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  child,
  ChildrenFailedError,
  InvalidDefinitionError,
  NonRetryableError,
  type Task,
  type TaskContext,
} from '../../../src/index.js';
import { testApp, type TestApp } from '../../../src/testing/index.js';
import { rejectionOf } from '../support.js';

/** An app in memory, under a virtual clock, with one worker. */
let t: TestApp;
let squares: Task<number, number>;
/** Fails, ends when it is told to, or gives what it is given. */
let odds: Task<'fail' | 'hang' | number, string | number>;
/** Sleeps, and then gives a value. */
let after: Task<{ ms: number; value: string | number }, string | number>;
beforeAll(async () => {
  t = testApp();
  after = t.app.task('after', async ({ input, sleep }: TaskContext<{ ms: number; value: string | number }>) => {
    await sleep(input.ms);
    return input.value;
  });
  squares = t.app.task('square', ({ input }: TaskContext<number>) => input * input);
  odds = t.app.task('odd', async ({ input, signal }: TaskContext<'fail' | 'hang' | number>) => {
    if (input === 'fail') throw new NonRetryableError('it is broken', { category: 'broken' });
    if (input === 'hang')
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
    // One that fails ends before its siblings that do not.
    await undefined;
    return input;
  });
  await t.app.worker({ slots: 50 });
});
afterAll(() => t[Symbol.asyncDispose]());

async function children(run: { readonly children: AsyncIterable<{ task: string; state: string }> }) {
  const found: string[] = [];
  for await (const { task, state } of run.children) found.push(`${task} ${state}`);
  return found.sort();
}

describe('children', () => {
  test('give their results in order, with their types, while their parent holds no slot', async () => {
    await using t = testApp();
    const squares = t.app.task('square', ({ input }: TaskContext<number>) => input * input);
    const starts: number[] = [];
    const parent = t.app.task('parent', async ({ children, resumes }: TaskContext<number>) => {
      starts.push(resumes);
      const [nine, also] = await children.all([child(squares, 3), child(squares, 3)]);
      return children.all([1, 2].map((n) => child(squares, nine + also + n)));
    });
    const worker = await t.app.worker({ slots: 1 });
    const run = await parent.run(1);
    await t.advance('1s');
    expect(await run.result()).toEqual([361, 400]);
    expect(starts).toEqual([0, 1, 2]);
    expect(worker.stats()).toMatchObject({ suspended: 2, completed: 5 });
    expect(await children(run)).toEqual(Array(4).fill('square completed'));
  });

  test('are decided by the first results of any() and quorum(); the others are cancelled or continue', async () => {
    const parent = t.app.task('choose', async ({ children }: TaskContext<null>) => {
      const first = await children.any([child(odds, 'hang'), child(odds, 'fail'), child(odds, 7)]);
      const both = await children.quorum(2, [child(odds, 5), child(odds, 'hang'), child(odds, 6)], {
        onSatisfied: 'let_run',
      });
      return { first, both };
    });
    const run = await parent.run(null);
    await t.advance('1s');
    expect(await run.result()).toEqual({ first: 7, both: [5, 6] });
    expect(await children(run)).toEqual([
      'odd active',
      'odd cancelled',
      'odd completed',
      'odd completed',
      'odd completed',
      'odd failed',
    ]);
  });

  test('that fail report their reasons, which are the same in every run of the handler', async () => {
    const seen: unknown[] = [];
    const parent = t.app.task('brave', async ({ children, sleep }: TaskContext<boolean>) => {
      try {
        await children.all([child(odds, 1), child(odds, 'fail')], { name: 'parts' });
      } catch (error) {
        if (!(error instanceof ChildrenFailedError)) throw error;
        seen.push(error.failed, error.message);
        await sleep('1m');
        return 'without it';
      }
      return 'never';
    });
    const timid = t.app.task('timid', { retry: { failures: 5 } }, ({ children }: TaskContext<boolean>) =>
      children.all([child(odds, 'fail')]),
    );
    const [run, other] = [await parent.run(true), await timid.run(true)];
    await t.advance('2m');
    expect(await run.result()).toBe('without it');
    const failed = { index: 1, task: 'odd', state: 'failed', message: 'it is broken', category: 'broken' };
    expect(seen).toMatchObject([
      [failed],
      '1 of 2 in children "parts" did not complete: child 2 (task "odd") failed: it is broken',
      [failed],
      expect.any(String),
    ]);
    expect(await rejectionOf(other.result())).toMatchObject({ category: 'children_failed' });
    expect(await other.info()).toMatchObject({ attempts: 1 });
  });

  test('are cancelled with their parent, and so are their own children', async () => {
    const middle = t.app.task('middle', ({ children }: TaskContext<null>) => children.all([child(odds, 'hang')]));
    const parent = t.app.task('top', async ({ children, step, sleep }: TaskContext<null>) => {
      await children.any([child(odds, 'hang'), child(odds, 1)], { name: 'first', onSatisfied: 'let_run' });
      await step('between', () => 1);
      await sleep('1s');
      await children.all([child(middle, null), child(odds, 'hang')]);
    });
    const run = await parent.run(null);
    await t.advance('5s');
    expect(await run.state()).toBe('waiting_children');
    expect(await children(run)).toEqual(['middle waiting_children', 'odd active', 'odd active', 'odd completed']);
    await run.cancel('enough');
    await t.advance('5s');
    expect(await children(run)).toEqual(['middle cancelled', 'odd cancelled', 'odd cancelled', 'odd completed']);
  });

  test('that ended with their parent run again by their own replays, made before the replay of the parent', async () => {
    let isSlow = true;
    const work = t.app.task('slow at first', async ({ input, sleep }: TaskContext<number>) => {
      if (isSlow) await sleep('1h');
      return input;
    });
    const parent = t.app.task('replayed parent', ({ children }: TaskContext<null>) =>
      children.all([child(work, 1), child(work, 2)]),
    );
    const run = await parent.run(null);
    await t.advance('1s');
    await run.cancel('too slow');
    await t.advance('1s');
    isSlow = false;
    await run.replay();
    await t.advance('1s');
    const failure = (await rejectionOf(run.result())) as Error;
    expect(failure.message).toMatch(/1 of 2 in children "children" did not complete: .*cancelled: parent_cancelled/);
    for await (const { id } of run.children) await t.app.get(id).replay();
    await run.replay();
    await t.advance('1s');
    expect(await run.result()).toEqual([1, 2]);
  });

  test('of several groups are evaluated again when their parent is replayed', async () => {
    let isBroken = true;
    const work = t.app.task('broken at first', ({ input }: TaskContext<number>) => {
      if (isBroken) throw new NonRetryableError('it is broken');
      return input;
    });
    const parent = t.app.task('of two groups', ({ children }: TaskContext<null>) =>
      Promise.all([
        children.all([child(work, 1), child(squares, 2)], { name: 'older' }),
        children.all([child(squares, 3)], { name: 'newer' }),
      ]),
    );
    const run = await parent.run(null);
    await t.advance('1s');
    expect(await rejectionOf(run.result())).toMatchObject({ category: 'children_failed' });
    isBroken = false;
    for await (const { id, state } of run.children) if (state === 'failed') await t.app.get(id).replay();
    await run.replay();
    await t.advance('1s');
    expect(await run.result()).toEqual([[1, 4], [9]]);
  });

  test('accept a deadline instead of a timeout', async () => {
    const parent = t.app.task('patient', ({ children }: TaskContext<null>) =>
      children.any([child(odds, 'hang', { deadline: '1m', priority: 3, tags: { 'team.name': 'docs' } })]),
    );
    const run = await parent.run(null);
    await t.advance('2m');
    expect(await rejectionOf(run.result())).toMatchObject({
      message: expect.stringContaining('child 1 (task "odd") expired'),
    });
  });

  test('can belong to a member of a flow', async () => {
    const sum = t.app.task('sum', async ({ input, children }: TaskContext<{ of: number[] }>) =>
      (await children.all(input.of.map((n) => child(squares, n)))).reduce((all, n) => all + n, 0),
    );
    const flow = t.app.flow('sums', (f) => f.run(squares, f.run(sum, { of: [f.run(squares, 2), 3] })));
    const run = await flow.run();
    await t.advance('1s');
    expect(await run.result()).toBe(625);
    expect(await children(run)).toEqual(
      ['square', 'square', 'square', 'square', 'sum'].map((task) => `${task} completed`),
    );
  });

  test('can be more than one call takes', async () => {
    const parent = t.app.task(
      'many',
      async ({ children, input }: TaskContext<number>) =>
        (await children.all(Array.from({ length: input }, (_, n) => child(squares, n)))).length,
    );
    const run = await parent.run(501);
    await t.advance('1m');
    expect(await run.result()).toBe(501);
  });

  test('race in a group of 500', async () => {
    const parent = t.app.task('race', ({ children }: TaskContext<null>) =>
      children.any(
        Array.from({ length: 500 }, () => child(squares, 2)),
        { onSatisfied: 'let_run' },
      ),
    );
    const run = await parent.run(null);
    await t.advance('1m');
    expect(await run.result()).toBe(4);
  });

  test.each(['alone', 'beside a sleep'])('whose inputs exceed one call race as one group, %s', async (how) => {
    const large = 'x'.repeat(3 * 1024 * 1024);
    const heavy = t.app.task(`heavy ${how}`, async ({ input, sleep }: TaskContext<{ ms: number; large: string }>) => {
      if (input.ms === 0) throw new NonRetryableError('it is broken', { category: 'broken' });
      await sleep(input.ms);
      return input.ms;
    });
    const waits = (...all: number[]) => all.map((ms) => child(heavy, { ms, large }));
    const parent = t.app.task(`race of heavy ones ${how}`, async ({ children, sleep }: TaskContext<null>) => {
      const beside = how === 'alone' ? undefined : sleep('20s');
      const first = await children.any(waits(60_000, 0, 1_000, 5_000));
      const both = await children.quorum(2, waits(0, 3_000, 60_000, 2_000), { name: 'both' });
      const none = children.quorum(2, waits(0, 60_000, 0), { name: 'none' });
      const failed = await none.then(String, (error: ChildrenFailedError) => error.failed.map(({ index }) => index));
      const some = await children.quorum(2, waits(100, 200, 2_000), { name: 'some', onSatisfied: 'let_run' });
      await beside;
      return { first, both, failed, some };
    });
    const run = await parent.run(null);
    await t.advance('30s');
    expect(await run.result()).toEqual({ first: 1_000, both: [3_000, 2_000], failed: [0, 2], some: [100, 200] });
    const states = await children(run);
    expect(states.filter((row) => row.endsWith('cancelled'))).toHaveLength(4);
    expect(states.filter((row) => row.endsWith('completed'))).toHaveLength(6);
    expect(states.filter((row) => row.endsWith('failed'))).toHaveLength(4);
  });

  test('of an empty list give an empty list', async () => {
    const parent = t.app.task('alone', ({ children }: TaskContext<null>) => children.all([]));
    const run = await parent.run(null);
    await t.advance('1s');
    expect(await run.result()).toEqual([]);
  });
});

describe('children beside other waits', () => {
  test('can have a time limit: late ones continue, and the handler starts others', async () => {
    const seen: string[] = [];
    const parent = t.app.task('hurried', async ({ children, sleep }: TaskContext<null>) => {
      const slow = children.all([child(after, { ms: 60_000, value: 1 })], { name: 'slow' });
      const won = await Promise.race([slow.then(() => 'children'), sleep('1s').then(() => 'time')]);
      seen.push(won);
      const [other] = await children.all([child(after, { ms: 10, value: 2 })], { name: 'instead' });
      return [won, other];
    });
    const run = await parent.run(null);
    await t.advance('500ms');
    expect(await run.state()).toBe('suspended');
    expect((await run.explain()).sentence).toMatch(/^It sleeps until .*\. It also waits for children: after\.$/);
    await t.advance('5s');
    expect(await run.result()).toEqual(['time', 2]);
    expect(new Set(seen)).toEqual(new Set(['time']));
    expect(await children(run)).toEqual(['after completed', 'after suspended']);
    await t.advance('2m');
    expect(await children(run)).toEqual(['after completed', 'after completed']);
  });

  test('that end in time win against a time limit', async () => {
    const parent = t.app.task('in time', async ({ children, sleep }: TaskContext<null>) =>
      Promise.race([
        children.all([10, 20].map((ms) => child(after, { ms, value: ms }))),
        sleep('1h').then(() => 'too late'),
      ]),
    );
    const run = await parent.run(null);
    await t.advance('1s');
    expect(await run.result()).toEqual([10, 20]);
  });

  test.each(['signal', 'children'])('and a signal can be awaited together: the %s come first', async (first) => {
    const parent = t.app.task(`with a signal after ${first}`, async ({ children, waitFor }: TaskContext<null>) =>
      Promise.all([children.all([100, 200].map((ms) => child(after, { ms, value: ms }))), waitFor('go')]),
    );
    const run = await parent.run(null);
    if (first === 'children') await t.advance('1s');
    else await t.advance('50ms');
    expect(await run.state()).toBe('suspended');
    await run.signal('go', 'now');
    await t.advance('1s');
    expect(await run.result()).toEqual([[100, 200], 'now']);
  });

  test('can be cut short by a signal, after which the handler cancels some of them', async () => {
    const parent = t.app.task('stoppable', async ({ children, waitFor }: TaskContext<null>) =>
      Promise.race([children.any([child(after, { ms: 60_000, value: 1 })]), waitFor('stop').then(() => 'stopped')]),
    );
    const run = await parent.run(null);
    await t.advance('1s');
    await run.signal('stop');
    await t.advance('1s');
    expect(await run.result()).toBe('stopped');
  });

  test('in several groups start together, and each group continues when it is decided', async () => {
    const order: string[] = [];
    const parent = t.app.task('groups', async ({ children, step }: TaskContext<null>) => {
      const each = async (name: string, group: Promise<unknown>) => {
        const value = await group;
        await step(name, () => void order.push(name));
        return value;
      };
      return Promise.all([
        each('slow', children.all([300, 400].map((ms) => child(after, { ms, value: ms })))),
        each('first', children.any([200, 5_000].map((ms) => child(after, { ms, value: ms })))),
        each('fast', children.all([50, 100].map((ms) => child(after, { ms, value: ms })))),
        each(
          'few',
          children.quorum(
            2,
            [20, 30, 5_000].map((ms) => child(after, { ms, value: ms })),
          ),
        ),
      ]);
    });
    const run = await parent.run(null);
    await t.advance('40ms');
    expect(await children(run)).toHaveLength(9);
    const why = await run.explain();
    expect(why.sentence).toBe('It waits for children: after (6).');
    expect(why.unblock?.some((step) => step.kind === 'call' && step.call === 'completeExecution')).toBe(true);
    await t.advance('2s');
    expect(await run.result()).toEqual([[300, 400], 200, [50, 100], [20, 30]]);
    expect(order).toEqual(['few', 'fast', 'first', 'slow']);
    // Those that no group needs any more are cancelled, whether its group was the newest or not.
    expect((await children(run)).filter((row) => row !== 'after completed')).toEqual(Array(2).fill('after cancelled'));
  });

  test('in a failed group do not affect other groups', async () => {
    const parent = t.app.task('one of two fails', async ({ children }: TaskContext<null>) =>
      Promise.allSettled([
        children.all([child(odds, 'fail'), child(after, { ms: 500, value: 1 })]),
        children.all([child(after, { ms: 1_000, value: 2 }), child(after, { ms: 100, value: 3 })]),
      ]).then((both) => both.map((one) => (one.status === 'fulfilled' ? one.value : (one.reason as Error).name))),
    );
    const run = await parent.run(null);
    await t.advance('5s');
    expect(await run.result()).toEqual(['ChildrenFailedError', [2, 3]]);
  });

  test('in the group that is decided first win a race of groups, in every run of the handler', async () => {
    const winners: unknown[] = [];
    const parent = t.app.task('race of groups', async ({ children, sleep }: TaskContext<null>) => {
      const winner = await Promise.race(
        ['a', 'b'].map(async (name, i) => {
          await children.all([child(after, { ms: i === 0 ? 200 : 100, value: name })], { name });
          return name;
        }),
      );
      winners.push(winner);
      await sleep('1s');
      return winner;
    });
    const run = await parent.run(null);
    await t.advance('5s');
    expect(await run.result()).toBe('b');
    expect(new Set(winners)).toEqual(new Set(['b']));
  });

  test('that end at once are awaited beside a time that has passed already', async () => {
    const parent = t.app.task(
      'beside-the-past',
      async ({ sleepUntil, children, input }: TaskContext<'race' | 'all'>) => {
        const time = sleepUntil(new Date(1)).then(() => 'time');
        const results = children.all([child(squares, 2)]);
        return input === 'race' ? Promise.race([time, results]) : Promise.all([time, results]);
      },
    );
    for (let times = 0; times < 5; times++) {
      const runs = [await parent.run('race'), await parent.run('all')] as const;
      await t.advance('1s');
      expect(await Promise.all(runs.map((run) => run.result()))).toEqual(['time', ['time', [4]]]);
    }
  });

  test('are cancelled with a parent that is suspended on them', async () => {
    const parent = t.app.task('cancelled beside', async ({ children, sleep }: TaskContext<null>) =>
      Promise.all([children.all([child(after, { ms: 60_000, value: 1 })]), sleep('1h')]),
    );
    const run = await parent.run(null);
    await t.advance('1s');
    await run.cancel();
    await t.advance('1s');
    expect(await children(run)).toEqual(['after cancelled']);
  });
});

describe('children refuse', () => {
  /** What a handler is told that does this with its context. */
  async function told(name: string, body: (context: TaskContext<null>) => unknown, next = body): Promise<unknown> {
    let isFirst = true;
    const task = t.app.task(name, async (context: TaskContext<null>) => {
      const run = isFirst ? body : next;
      isFirst = false;
      await run(context);
      return 'done';
    });
    const run = await task.run(null);
    await t.advance('2s');
    return rejectionOf(run.result());
  }

  test('what is no task, with what was given', () => {
    for (const wrong of ['foo', undefined, {}])
      expect(() => child(wrong as never, 1)).toThrow(/^child\(\): task must be a task of the app, not /);
  });

  test('children of other tasks that a replay without its steps has left, and give the results of the same ones', async () => {
    const ran: string[] = [];
    const one = t.app.task('left one', () => ran.push('one'));
    const other = t.app.task('left other', () => ran.push('other'));
    let [kids, isBroken] = [[one], true];
    const parent = t.app.task('leaves', async ({ children }: TaskContext<null>) => {
      await children.all(kids.map((task) => child(task, undefined)));
      if (isBroken) throw new NonRetryableError('not yet');
      return ran.join();
    });
    const run = await parent.run(null);
    const again = async (steps: 'keep' | 'discard'): Promise<unknown> => {
      await run.replay({ steps });
      await t.advance('2s');
      return run.result().catch((error: Error) => error.message);
    };
    await t.advance('2s');
    kids = [other];
    expect(await again('discard')).toMatch(/step_changed: children "children" .* asks for other tasks/);
    [kids, isBroken] = [[one], false];
    expect(await again('discard')).toBe('one');
    kids = [one, other];
    expect(await again('keep')).toMatch(/step_changed/);
    expect(await again('discard')).toBe('one,other');
  });

  test('a name that was used for something else, or for other children', async () => {
    const one = ({ children }: TaskContext<null>) => children.all([child(squares, 1)], { name: 'x' });
    const two = ({ children }: TaskContext<null>) =>
      children.all(
        [1, 2].map((n) => child(squares, n)),
        { name: 'x' },
      );
    const changed = {
      message: expect.stringMatching(/step_changed: .* "x" .*\. The handler is defined at children\.test\.ts:\d+\./),
    };
    expect(await told('more', one, two)).toMatchObject(changed);
    expect(await told('a step', one, ({ step }) => step('x', () => 1))).toMatchObject(changed);
    expect(
      await told(
        'was a step',
        async ({ step, sleep }) => {
          await step('x', () => 1);
          await sleep('1s');
        },
        one,
      ),
    ).toMatchObject(changed);
  });

  test('calls inside a step, arguments that are not a list, and items that are not children', async () => {
    const inside = ({ step, children }: TaskContext<null>) =>
      step('s', async () => void (await children.all([child(squares, 1)])));
    expect(await told('inside', inside)).toMatchObject({ message: expect.stringContaining('inside the function') });
    const bad: [string, (c: TaskContext<null>) => unknown, RegExp][] = [
      ['no list', ({ children }) => children.all(3 as never), /the children must be a list/],
      ['a run', ({ children }) => children.all([squares.run(1) as never]), /made by child/],
      ['none of any', ({ children }) => children.any([]), /0 children/],
      [
        'too many',
        ({ children }) => children.any(Array.from({ length: 501 }, () => child(squares, 1))),
        /501 children/,
      ],
      ['k', ({ children }) => children.quorum(3, [child(squares, 1)]), /k must be a whole number from 1 to 1/],
      [
        'no k',
        ({ children }) => children.quorum(undefined as never, [child(squares, 1)]),
        /k must be .*, not undefined/,
      ],
      ['no list of a quorum', ({ children }) => children.quorum(1, undefined as never), /the children must be a list/],
      ['a quorum of none', ({ children }) => children.quorum(1, []), /0 children/],
      ['an option', ({ children }) => children.all([], { timeout: '1s' } as never), /no option "timeout"/],
      [
        'a policy',
        ({ children }) => children.any([child(squares, 1)], { onSatisfied: 'x' as never }),
        /cancel_remaining or let_run/,
      ],
      ['another app', ({ children }) => children.all([child({ name: 'gone' } as never, 1)]), /not a task of this app/],
    ];
    for (const [name, body, message] of bad)
      expect(await told(name, body)).toMatchObject({ message: expect.stringMatching(message) });
    const hints: unknown[] = [];
    for (const length of [0, 501])
      await told(`hint ${length}`, async ({ children }) => {
        const list = Array.from({ length }, () => child(squares, 1));
        hints.push(((await rejectionOf((async () => children.any(list))())) as InvalidDefinitionError).hint);
      }).catch(() => undefined);
    expect(hints).toEqual([
      expect.stringContaining('what an empty list gives'),
      expect.stringContaining('several groups'),
    ]);
    expect(() => child(squares, 1, { retry: 1 } as never)).toThrow(InvalidDefinitionError);
  });
});

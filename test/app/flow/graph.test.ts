import vm from 'node:vm';
import { describe, expect, test } from 'vitest';
import { app, memory } from '../../../src/index.js';
import { graphOf, type Graph } from '../../../src/app/flow/graph.js';
import type { FlowBuilder } from '../../../src/app/flow/nodes.js';
import { insideOf } from '../../../src/app/app.js';
import { fill, templateOf } from '../../../src/shared/template.js';

const a = app({ backend: memory() });
const fetch = a.task('fetch', ({ input }: { input: { url: string } }) => input.url.length);
const sum = a.task('sum', ({ input }: { input: { parts: number[]; note?: string } }) => input.parts.length);
const double = a.task('double', ({ input }: { input: number }) => input * 2);

function graph(build: (f: FlowBuilder) => unknown): Graph {
  const tasks = insideOf(a)?.tasks;
  return graphOf('test', build, undefined, (name) => tasks?.named(name) as never);
}

describe('the graph of a flow', () => {
  test('has an edge to a node from every node in its input, at any depth', () => {
    const { nodes, output } = graph((f) => {
      const one = f.run(fetch, { url: 'a' });
      const two = f.run(fetch, { url: 'b' });
      return f.run(sum, { parts: [one, two, one], note: 'both' });
    });
    expect(nodes.map(({ upstreams }) => upstreams)).toEqual([[], [], [0, 1]]);
    expect(nodes[2]?.template).toEqual({
      value: { parts: [null, null, null], note: 'both' },
      holes: [
        { at: ['parts', 0], take: 'one', of: ['0'] },
        { at: ['parts', 1], take: 'one', of: ['1'] },
        { at: ['parts', 2], take: 'one', of: ['0'] },
      ],
    });
    expect(output).toEqual({ value: null, holes: [{ at: [], take: 'one', of: ['2'] }] });
  });

  test('refuses a value that is nested deeper than the search for nodes', () => {
    const nested = (levels: number, inner: unknown = 1): unknown => {
      let value = inner;
      for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { value };
      return value;
    };
    const refusal = { name: 'InvalidDefinitionError', message: expect.stringContaining('deeper than 1000 levels') };
    const declared = (levels: number) => () => graph((f) => f.run(sum, nested(levels, f.run(fetch, { url: 'a' }))));
    expect(declared(1_000)().nodes[1]?.upstreams).toEqual([0]);
    expect(declared(1_001)).toThrow(expect.objectContaining(refusal));
    expect(declared(100_000)).toThrow(expect.objectContaining(refusal));
    expect(() => graph((f) => ({ of: f.run(double, 1), all: nested(100_000) }))).toThrow(
      expect.objectContaining(refusal),
    );
  });

  test('finds nodes in values of another realm, and none in instances of classes', () => {
    const { nodes } = graph((f) => {
      const first = f.run(double, 1);
      f.run(sum, vm.runInNewContext('({ parts: [first] })', { first }) as { parts: number[] });
    });
    expect(nodes[1]).toMatchObject({ upstreams: [0], template: { holes: [{ at: ['parts', 0] }] } });
    class Parts {
      constructor(readonly parts: number[]) {}
    }
    expect(graph((f) => f.run(sum, new Parts([1]))).nodes[0]?.template.value).toBeInstanceOf(Parts);
  });

  test('refuses calls after its builder has ended, and an asynchronous builder', async () => {
    let late: FlowBuilder | undefined;
    const { nodes } = graph((f) => (late = f).run(double, 1));
    expect(() => late?.run(double, 2)).toThrow('run is called after its builder has ended');
    expect(nodes).toHaveLength(1);
    const unhandled: unknown[] = [];
    const note = (error: unknown): void => void unhandled.push(error);
    process.on('unhandledRejection', note);
    const asynchronous = async (f: FlowBuilder): Promise<unknown> => {
      await Promise.resolve();
      return f.run(double, 1);
    };
    expect(() => graph(asynchronous)).toThrow('must not be asynchronous');
    await new Promise((resolve) => setTimeout(resolve, 5));
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
  });

  test('has an edge for an order without a result, too', () => {
    const { nodes } = graph((f) => {
      const first = f.run(double, 1);
      f.run(double, 2, { after: [first], priority: 3 });
    });
    expect(nodes[1]).toMatchObject({ upstreams: [0], policy: { kind: 'all_of' }, options: { priority: 3 } });
    expect(nodes[1]?.options).not.toHaveProperty('after');
  });

  test('passes the results of a quorum as a list, and that of an any group as one value', () => {
    const { nodes } = graph((f) => {
      const urls = ['a', 'b', 'c'].map((url) => f.run(fetch, { url }));
      f.run(sum, { parts: f.quorum(2, urls) });
      f.run(double, f.any(urls, { onSatisfied: 'let_run' }));
    });
    expect(nodes[3]).toMatchObject({
      upstreams: [0, 1, 2],
      policy: { kind: 'quorum', k: 2, onSatisfied: 'cancel_remaining' },
      template: { holes: [{ at: ['parts'], take: 'each', of: ['0', '1', '2'] }] },
    });
    expect(nodes[4]).toMatchObject({
      policy: { kind: 'any_of', onSatisfied: 'let_run' },
      template: { value: null, holes: [{ at: [], take: 'one', of: ['0', '1', '2'] }] },
    });
  });

  const one = (f: FlowBuilder) => f.run(double, 1);
  test.each<[string, (f: FlowBuilder) => unknown, RegExp]>([
    ['no nodes', () => undefined, /has no nodes/],
    [
      'a group beside a node',
      (f) => f.run(sum, { parts: [f.any([one(f)]), one(f)] }),
      /a group and for something else/,
    ],
    ['two groups', (f) => f.run(sum, { parts: [f.any([one(f)]), f.any([one(f)])] }), /a group and for something else/],
    ['a group as its output', (f) => f.any([one(f)]), /returns a group/],
    [
      'a node twice in a group',
      (f) => {
        const node = one(f);
        return f.any([node, node]);
      },
      /a node twice/,
    ],
    ['an empty group', (f) => f.any([]), /at least one node/],
    ['a quorum of too many', (f) => f.quorum(2, [one(f)]), /k must be a whole number from 1 to 1/],
    ['a quorum without its number', (f) => f.quorum(undefined as never, [one(f)]), /k must be .*, not undefined/],
    ['a quorum of none', (f) => f.quorum(1, []), /at least one node/],
    ['what is no node', (f) => f.run(double, 1, { after: [3 as never] }), /3 is no node of this flow/],
    ['a promise', async () => undefined, /must not be asynchronous/],
    ['a task that is none', (f) => f.run({ name: 'gone' } as never), /Task "gone" is not a task of this app/],
    ['the name of a task', (f) => f.run('double' as never), /What was given is not a task/],
    ['a node in a text', (f) => f.run(double, `x ${String(one(f))}` as never), /a node is a placeholder for a result/],
    ['a node in a sum', (f) => f.run(double, ((one(f) as never) + 1) as never), /a node is a placeholder/],
    ['a node written as JSON', (f) => f.run(double, JSON.stringify([one(f)]) as never), /a node is a placeholder/],
    [
      'a node that waits for too many',
      (f) => f.run(sum, { parts: Array.from({ length: 2_001 }, () => one(f)) }),
      /node 2002 waits for 2001 others, more than 2000/,
    ],
    ['an unknown option', (f) => f.run(double, 1, { retry: 1 } as never), /no option "retry"/],
  ])('refuses %s', (_, build, message) => {
    expect(() => graph(build)).toThrow(message);
  });

  test('refuses a node of another flow, in an input and in a group', () => {
    let strange: never;
    graph((f) => {
      strange = one(f) as never;
    });
    expect(() => graph((f) => f.run(double, strange))).toThrow(/another flow/);
    expect(() =>
      graph((f) => {
        one(f);
        f.any([strange]);
      }),
    ).toThrow(/no node of this flow/);
  });

  test('accepts an object that contains itself: the codec refuses it later', () => {
    const round: { parts: number[]; self?: unknown } = { parts: [] };
    round.self = round;
    expect(graph((f) => f.run(sum, round)).nodes).toHaveLength(1);
  });
});

describe('a template', () => {
  test('is filled at every position', () => {
    const template = templateOf({
      value: { parts: [null, 7], best: null, all: null },
      holes: [
        { at: ['parts', 0], take: 'one', of: ['4'] },
        { at: ['best'], take: 'one', of: ['9', '4'] },
        { at: ['all'], take: 'each', of: ['9', '4', '5'] },
      ],
    });
    const results = new Map<string, unknown>([
      ['4', 'four'],
      ['5', 'five'],
    ]);
    expect(fill(template, results)).toEqual({ parts: ['four', 7], best: 'four', all: ['four', 'five'] });
  });

  test('with a hole at the top becomes the whole value', () => {
    expect(fill({ value: null, holes: [{ at: [], take: 'one', of: ['0'] }] }, new Map([['0', 5]]))).toBe(5);
  });

  test('treats a member called __proto__ as an ordinary member', () => {
    const value = JSON.parse('{"__proto__":null}') as object;
    const filled = fill(
      { value, holes: [{ at: ['__proto__'], take: 'one', of: ['0'] }] },
      new Map([['0', { bad: 1 }]]),
    ) as object;
    expect(Object.getPrototypeOf(filled)).toBe(Object.prototype);
    expect(Object.getOwnPropertyDescriptor(filled, '__proto__')?.value).toEqual({ bad: 1 });
  });

  test.each<[string, unknown]>([
    ['no object', 3],
    ['without a value', { holes: [] }],
    ['without holes', { value: 1 }],
    ['with a hole that is none', { value: 1, holes: [{ at: [], take: 'two', of: [] }] }],
  ])('%s is damage', (_, read) => {
    expect(() => templateOf(read)).toThrow(/is called a template/);
  });

  test('reports a missing result and a missing position as damage', () => {
    const hole = { at: ['a'], take: 'one', of: ['0'] } as const;
    expect(() => fill({ value: { a: null }, holes: [hole] }, new Map())).toThrow(/is missing/);
    expect(() => fill({ value: {}, holes: [hole] }, new Map([['0', 1]]))).toThrow(/no place for it/);
    expect(() => fill({ value: 'text', holes: [hole] }, new Map([['0', 1]]))).toThrow(/no place for it/);
  });
});

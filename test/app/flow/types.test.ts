/** What the types of flows let through, and what not. */
import { expectTypeOf, test } from 'vitest';
import { app, memory, type FlowNode, type TaskContext } from '../../../src/index.js';

const a = app({ backend: memory() });
const none = a.task('none', () => 1);
const number = a.task('number', ({ input }: TaskContext<number>) => input + 1);
const text = a.task('text', ({ input }: TaskContext<{ of: number; tags?: string[] }>) => `${input.of}`);
const dated = a.task('dated', ({ input }: TaskContext<{ at: string }>) => ({ at: new Date(input.at) }));

test('results have the types of the inputs that take them', () => {
  const flow = a.flow('types', (f, input: { start: number }) => {
    const one = f.run(number, input.start);
    expectTypeOf(one).toEqualTypeOf<FlowNode<number>>();
    f.run(none);
    f.run(number, one, { after: [one] });
    f.run(text, { of: one });
    f.run(text, { of: 1, tags: [f.run(text, { of: one })] });
    f.run(number, f.any([one, one]));
    // A date arrives as a text.
    f.run(dated, f.run(dated, { at: 'now' }));
    const many = f.quorum(2, [f.run(text, { of: 1 }), f.run(text, { of: 2 })]);
    f.run(text, { of: 1, tags: many });

    // @ts-expect-error a text is no number
    f.run(number, f.run(text, { of: one }));
    // @ts-expect-error one text is no list
    f.run(text, { of: one, tags: f.run(text, { of: one }) });
    // @ts-expect-error an input is needed
    f.run(number);
    // @ts-expect-error a group is no node
    f.run(number, 1, { after: [f.any([one])] });
    return { one, all: [one, one] };
  });
  expectTypeOf<Parameters<typeof flow.run>[0]>().toEqualTypeOf<{ start: number }>();
});

test('a group is not a result: only a node can take it', () => {
  // @ts-expect-error a group
  a.flow('gives a group', (f) => f.any([f.run(none), f.run(none)]));
  // @ts-expect-error a group among the members
  a.flow('gives a member', (f) => ({ first: f.any([f.run(none)]), node: f.run(none) }));
  // @ts-expect-error a group among the items
  a.flow('gives an item', (f) => [f.run(none), f.quorum(1, [f.run(none)])]);
  a.flow('gives anything', (f) => f.run(none) as ReturnType<typeof JSON.parse>);
  a.flow('gives what nobody knows', (f): unknown => f.run(none));
  a.flow('gives nodes', (f, input: readonly number[]) => input.map((each) => f.run(number, each)));
});

test('a flow has the type that its declaration returns', () => {
  const node = a.flow('gives a node', (f) => f.run(text, { of: 1 }));
  expectTypeOf<Awaited<ReturnType<ReturnType<typeof node.run>['result']>>>().toEqualTypeOf<string>();
  const parts = a.flow('gives parts', (f) => ({ first: f.run(number, 1), second: f.run(text, { of: 2 }) }));
  expectTypeOf<Awaited<ReturnType<ReturnType<typeof parts.run>['result']>>>().toEqualTypeOf<{
    first: number;
    second: string;
  }>();
  const nothing = a.flow('gives nothing', (f) => void f.run(number, 1));
  expectTypeOf<Awaited<ReturnType<ReturnType<typeof nothing.run>['result']>>>().toEqualTypeOf<undefined>();
});

/** What a flow returns is kept in a tag: short, whatever texts are in it, and the same for every process that reads it. */
import { expect, it } from 'vitest';
import { storedIn, tagsOf } from '../../../src/app/flow/stored.js';
import { fill } from '../../../src/shared/template.js';
import { memoryApp, rejectionOf } from '../support.js';

const nodes = (...indexes: readonly number[]) => indexes.map((index) => `result ${index}`);
const upTo = (count: number, step = 1) => Array.from({ length: count }, (_, index) => index * step);

/** The stored text of a value in which a text like `result 5` stands for the node 5, and what is read of it. */
function kept(value: unknown) {
  const holes: { at: (string | number)[]; take: 'one'; of: string[] }[] = [];
  const walk = (part: unknown, at: (string | number)[]): unknown => {
    const node = typeof part === 'string' ? /^result (\d+)$/.exec(part)?.[1] : undefined;
    if (node !== undefined) return holes.push({ at, take: 'one', of: [node] }) && null;
    if (Array.isArray(part)) return part.map((item, index) => walk(item, [...at, index]));
    if (typeof part !== 'object' || part === null) return part;
    return Object.fromEntries(Object.entries(part).map(([name, member]) => [name, walk(member, [...at, name])]));
  };
  const output = { value: walk(value, []), holes };
  const tags = tagsOf('Flow', { output, input: 'digest', ownId: undefined });
  const read = storedIn(tags).output;
  const results = new Map(read?.holes.flatMap(({ of }) => of).map((node) => [node, `result ${node}`]));
  return { text: tags['flowfabric.output'], value: read && fill(read, results) };
}

it.each<[string, unknown, string]>([
  ['a node', 'result 7', '@7'],
  ['nodes in a list', nodes(0, 1, 2, 5, 4, 9), '[@0-2,@5,@4,@9]'],
  ['nodes among other items', ['result 0', 'result 1', 3, 'result 2'], '[@0-1,3,@2]'],
  ['lists beside each other', [nodes(0, 1), nodes(2, 3)], '[[@0-1],[@2-3]]'],
  ['members', { a: 'result 0', b: { 'result 1': 'result 1' } }, '{"a":@0,"b":{"result 1":@1}}'],
  [
    'texts like nodes',
    ['@1', '"@2"', '\\', '\\"@3', { '@4': 'result 5' }],
    '["@1","\\"@2\\"","\\\\","\\\\\\"@3",{"@4":@5}]',
  ],
  ['no nodes', { value: null, holes: [] }, '{"value":null,"holes":[]}'],
])('%s are kept as they were', (_, value, text) => {
  expect(kept(value)).toEqual({ text, value });
});

it('the nodes of a long list take little room, and others what their numbers take', () => {
  expect(kept(nodes(...upTo(10_000))).text).toBe('[@0-9999]');
  expect(kept(nodes(...upTo(200, 2))).value).toEqual(nodes(...upTo(200, 2)));
  expect(() => kept(nodes(...upTo(300, 2)))).toThrow('takes more than 1024 bytes');
});

it('a damaged value is corruption', () => {
  for (const text of ['[@1', '@', '{"a":@1-2}', '[@x]', 'nothing', '@99999999999'])
    expect(() => storedIn({ 'flowfabric.output': text })).toThrow(expect.objectContaining({ code: 'corruption' }));
});

it('a flow gives as many results as its input asks for, and refuses to return what is no value', async () => {
  await using a = memoryApp();
  const double = a.task('double', ({ input }: { input: number }) => 2 * input);
  const doubles = a.flow('doubles', (f, count: number) => upTo(count).map((number) => f.run(double, number)));
  await a.worker({ slots: 20 });
  expect(await doubles.run(60).result()).toEqual(upTo(60, 2));
  const odd = a.flow('odd', (f) => {
    f.run(double, 1);
    return (() => 1) as never;
  });
  expect(await rejectionOf(odd.run())).toMatchObject({
    message: expect.stringContaining('a function cannot be written'),
  });
});

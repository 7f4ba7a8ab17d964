/**
 * What the compiler says about tasks. Every expected error stands above the line that it must be reported at: a message
 * about another member would not be silenced, and the type check would fail.
 */
import { expect, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import { delay, type App, type Task, type TaskContext } from '../../src/index.js';
import { memoryApp } from './support.js';

const IN = z.object({ n: z.string().transform((text) => text.length) });
const OUT = z.object({ r: z.string(), d: z.number().default(1) });
const KINDS = z.object({ k: z.enum(['a', 'b']) });

it('types flow from schemas, or from the handler', async () => {
  await using a = memoryApp();
  expectTypeOf(a.task('1', { input: IN, output: OUT }, ({ input }) => ({ r: input.n.toFixed() }))).toEqualTypeOf<
    Task<{ n: string }, { r: string; d: number }>
  >();
  expectTypeOf(a.task('2', { input: IN }, ({ input }) => input.n)).toEqualTypeOf<Task<{ n: string }, number>>();
  expectTypeOf(
    a.task('3', { output: OUT }, async ({ input }: TaskContext<number>) => ({ r: String(input) })),
  ).toEqualTypeOf<Task<number, { r: string; d: number }>>();
  expectTypeOf(a.task('4', { priority: 1 }, async ({ input }: TaskContext<number>) => String(input))).toEqualTypeOf<
    Task<number, string>
  >();
  expectTypeOf(a.task('5', { output: z.string() }, ({ attempt }) => (attempt === 1 ? delay('1s') : 'x'))).toEqualTypeOf<
    Task<unknown, string>
  >();
  expectTypeOf(a.task('6', { output: KINDS }, async () => ({ k: 'a' }))).toEqualTypeOf<
    Task<unknown, { k: 'a' | 'b' }>
  >();
  expectTypeOf(a.task<number, string>('7', { priority: 1 }, ({ input }) => String(input))).toEqualTypeOf<
    Task<number, string>
  >();
});

/** Compiled, never run. */
export function mistakes(a: App): void {
  const input = z.object({ n: z.string() });
  const output = z.object({ r: z.string() });
  a.task(
    'unknown option',
    {
      input,
      // @ts-expect-error -- there is no such option
      retries: 3,
    },
    () => 1,
  );
  a.task(
    'unknown option within',
    {
      input,
      output,
      // @ts-expect-error -- it is called failures
      retry: { failure: 3 },
    },
    () => ({ r: '' }),
  );
  a.task(
    'wrong option',
    {
      // @ts-expect-error -- a lane is a text
      lane: 5,
    },
    () => 1,
  );
  a.task(
    'wrong result',
    { output },
    // @ts-expect-error -- a number is no text
    async () => ({ r: 5 }),
  );
  a.task(
    'wrong result of an input',
    { input, output },
    // @ts-expect-error -- there is no r in it
    async (context) => ({ q: context.input.n }),
  );
}

it('mistakes are reported where they are made', () => {
  expect(mistakes).toBeTypeOf('function');
});

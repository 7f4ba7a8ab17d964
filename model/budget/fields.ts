/** Arguments of budgets. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { withWireForm } from '../core/wire-form.js';
import { LIMITS } from '../limits.js';
import { inOrder } from './amounts.js';
import type { Amounts } from './facts.js';

/** Names of dimensions need no escapes where they are stored, and no name looks like an array index. */
const DIMENSION = /^[A-Za-z][A-Za-z0-9_./-]{0,127}$/;

const dimension = z.string().refine((name) => DIMENSION.test(name), {
  error: 'must begin with a letter and have at most 128 letters, digits, "_", ".", "/" or "-"',
});

const tooMany = { error: `too_many_dimensions: at most ${LIMITS.maxDimensions}` };

/** Amounts travel as they are stored. */
const asStored = {
  encode: (value: unknown): readonly string[] => [textOf(value as Amounts | undefined)],
  decode: (text: string): Amounts => (text === '' ? {} : (JSON.parse(text) as Amounts)),
};

const textOf = (amounts: Amounts | undefined): string =>
  amounts === undefined || Object.keys(amounts).length === 0 ? '' : JSON.stringify(amounts);

const record = field
  .mapOf(dimension, field.integer(0, LIMITS.maxInteger))
  .refine((amounts) => Object.keys(amounts).length <= LIMITS.maxDimensions, tooMany)
  .transform((amounts): Amounts => inOrder(Object.entries(amounts).filter(([, amount]) => amount > 0)));

/** Amounts by dimension; zeros are left out. */
export const amounts = withWireForm(record, asStored);

/** Amounts, at least one of them above 0. */
export const someAmounts = withWireForm(
  record.refine((amounts) => Object.keys(amounts).length > 0, { error: 'must have an amount above 0' }),
  asStored,
);

/** Amounts of an answer. */
export const answeredAmounts = withWireForm(z.custom<Amounts>(), asStored);

/** Usage of a task: tokens and time have members of their own, other dimensions go into `custom`. */
export const usage = withWireForm(
  z
    .strictObject({
      inputTokens: field.count.optional(),
      outputTokens: field.count.optional(),
      wallMs: field.count.optional(),
      custom: field.mapOf(dimension, field.count).default({}),
    })
    .refine(({ custom }) => Object.values(NAMED).every((name) => !Object.hasOwn(custom, name)), {
      error: 'custom: input_tokens, output_tokens and wall_ms have members of their own',
    })
    .transform(({ custom, ...named }): Amounts => {
      const entries = Object.entries(NAMED).map(
        ([member, name]) => [name, named[member as keyof typeof NAMED] ?? 0] as const,
      );
      return inOrder([...entries, ...Object.entries(custom)].filter(([, amount]) => amount > 0));
    })
    .refine((amounts) => Object.keys(amounts).length <= LIMITS.maxDimensions, tooMany)
    .refine((amounts) => Object.keys(amounts).length > 0, { error: 'must have an amount above 0' }),
  asStored,
);

/** The dimension of each member of `usage`. */
const NAMED = { inputTokens: 'input_tokens', outputTokens: 'output_tokens', wallMs: 'wall_ms' } as const;

const limitOf = z
  .strictObject({ hard: field.count.default(0), soft: field.count.default(0) })
  .refine(({ hard, soft }) => hard === 0 || soft <= hard, { error: 'soft must not be above hard' });

/** Limits by dimension; 0 for none. */
export interface Limits {
  readonly hardLimits: Amounts;
  readonly softLimits: Amounts;
}

const limitsRecord = field
  .mapOf(dimension, limitOf)
  .refine((limits) => Object.keys(limits).length <= LIMITS.maxDimensions, tooMany)
  .transform((limits): Limits => {
    const side = (name: 'hard' | 'soft'): Amounts =>
      inOrder(Object.entries(limits).map(([dimension, limit]) => [dimension, limit[name]] as const));
    return { hardLimits: side('hard'), softLimits: side('soft') };
  });

const limitTexts = {
  texts: ['hard_limits', 'soft_limits'],
  encode: (value: unknown): readonly string[] => {
    const { hardLimits, softLimits } = (value ?? { hardLimits: {}, softLimits: {} }) as Limits;
    return [textOf(hardLimits), textOf(softLimits)];
  },
};

/** Limits of a new budget. */
export const limits = withWireForm(limitsRecord, limitTexts);

/** Limits to change; at least one. */
export const changedLimits = withWireForm(
  limitsRecord.refine(({ hardLimits }) => Object.keys(hardLimits).length > 0, { error: 'must name a dimension' }),
  limitTexts,
);

/** A choice that travels as it is stored: the first word as the empty text. */
export const storedWord = <const Word extends string>(letters: Readonly<Record<Word, string>>) => {
  const [first] = Object.keys(letters);
  return withWireForm(field.wordOf(letters), {
    encode: (word) => [word === undefined || word === first ? '' : letters[word as Word]],
  });
};

/** The execution whose account is charged. It may be of any partition, so its id travels whole. */
export const spender = z
  .string()
  .refine((text) => field.executionId.safeParse(text).success, { error: 'must look like "{fp:<partition>}:<uuid>"' });

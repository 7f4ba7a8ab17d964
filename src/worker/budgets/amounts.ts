/** Amounts of a budget as users write them: whole numbers by dimension. */
import type { Amounts } from '../../../model/budget/facts.js';
import { amounts as amountsField } from '../../../model/budget/fields.js';
import { LIMITS } from '../../../model/limits.js';
import { checkField, checkWhole, isRecord, refuse, shown } from '../../shared/checks.js';
import { InvalidDefinitionError } from '../../shared/errors.js';

/** Amounts of some of the dimensions of a budget. */
export type AmountsOf<Dimension extends string> = Readonly<Partial<Record<Dimension, number>>>;

/** The name and the dimensions of a budget, for checks and messages. */
export interface BudgetWords<Dimension extends string = string> {
  readonly name: string;
  /** The dimensions in its definition; undefined allows any. */
  readonly dimensions: readonly Dimension[] | undefined;
}

/**
 * Checks the amounts of a call; messages use the names of the user's code.
 * @throws InvalidDefinitionError for a dimension that the budget does not have, and for an amount that is no whole
 *   number
 */
export function amountsFor(where: string, { name, dimensions }: BudgetWords, given: unknown): Amounts {
  const call = `Budget ${shown(name)}, ${where}`;
  if (!isRecord(given))
    throw refuse(call, 'the amounts', `an object like { ${dimensions?.[0] ?? 'tokens'}: 5 }`, given);
  const amounts = Object.entries(given).filter(([, amount]) => amount !== undefined);
  for (const [dimension, amount] of amounts) {
    if (dimensions?.includes(dimension) === false) throw unknownDimension(call, dimension, dimensions);
    checkWhole(call, dimension, amount, 0, LIMITS.maxInteger);
  }
  const counted = Object.fromEntries(amounts) as Amounts;
  checkField(call, 'the amounts', amountsField, counted);
  return counted;
}

/** The same for amounts to record or reserve. @throws InvalidDefinitionError also when no amount is above 0 */
export function someAmountsFor(where: string, budget: BudgetWords, given: unknown): Amounts {
  const counted = amountsFor(where, budget, given);
  if (Object.values(counted).some((amount) => amount > 0)) return counted;
  throw new InvalidDefinitionError(`Budget ${shown(budget.name)}, ${where}: one amount at least must be above 0`);
}

/** @throws InvalidDefinitionError for limits of dimensions that are not in the definition */
export function checkDimensions(where: string, { name, dimensions }: BudgetWords, given: object): void {
  const unknown = Object.keys(given).find((dimension) => dimensions?.includes(dimension) === false);
  if (unknown !== undefined) throw unknownDimension(`Budget ${shown(name)}, ${where}`, unknown, dimensions ?? []);
}

const unknownDimension = (call: string, dimension: string, dimensions: readonly string[]): InvalidDefinitionError =>
  new InvalidDefinitionError(
    `${call}: there is no dimension ${shown(dimension)}; its definition has ${dimensions.map(shown).join(', ')}`,
    `Correct the name, or add it to the limits where the budget is defined: { ${dimension}: {} } counts it without a limit.`,
  );

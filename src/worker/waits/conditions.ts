/** Wait conditions: one signal, or a combination of several. */
import { InvalidDefinitionError } from '../../shared/errors.js';
import { needList, needWhole, shown } from '../../shared/checks.js';
import { knownOnly } from '../../shared/known-only.js';
import { boundText } from '../../util/text.js';
import { uuidFrom } from '../../util/uuid-from.js';
import { checkWaitName, MAX_NAME_BYTES } from './names.js';

/** Whether `count` counts every signal, or every sender once. */
export type Distinct = 'signal' | 'source';

/** A combination of signals with these names; made by `all`, `any`, `count`. */
export type WaitCondition<Name extends string = string> =
  | { readonly type: 'name'; readonly name: Name }
  | { readonly type: 'all' | 'any'; readonly of: readonly WaitCondition<Name>[] }
  | { readonly type: 'count'; readonly n: number; readonly names: readonly Name[]; readonly distinct: Distinct }
  /** `n` different people approve, or one of them rejects. */
  | { readonly type: 'approval'; readonly n: number; readonly name: Name };

/** Most people that one approval can require. */
export const MAX_APPROVALS = 1_000;

/** Most levels of a condition. One that contains itself has more. */
const MAX_LEVELS = 100;

type Part<Name extends string> = Name | WaitCondition<Name>;

const MEMBERS = {
  name: { type: true, name: true },
  all: { type: true, of: true },
  any: { type: true, of: true },
  count: { type: true, n: true, names: true, distinct: true },
  approval: { type: true, n: true, name: true },
} as const;

const partOf =
  (where: string, level: number) =>
  <Name extends string>(part: Part<Name>): WaitCondition<Name> => {
    if (typeof part === 'string') {
      checkWaitName(where, part);
      return { type: 'name', name: part };
    }
    if (level > MAX_LEVELS)
      throw new InvalidDefinitionError(
        `${where}: a condition may have ${MAX_LEVELS} levels at most`,
        'Write it flatter. One that contains itself has no end.',
      );
    const checked = rebuilt(where, part, level);
    if (checked !== undefined) return checked;
    throw new InvalidDefinitionError(
      `${where}: a part must be the name of a signal, or a condition, not ${shown(part)}`,
    );
  };

/** Checks a condition that users may have written by hand, part by part. Undefined for a value that is no condition. */
function rebuilt<Name extends string>(
  where: string,
  part: WaitCondition<Name> | null | undefined,
  level: number,
): WaitCondition<Name> | undefined {
  if (part !== null && part !== undefined && Object.hasOwn(MEMBERS, part.type))
    knownOnly<object>(`${where}: a condition of type ${part.type}`, part, MEMBERS[part.type]);
  switch (part?.type) {
    case 'name':
      return partOf(where, level)(part.name);
    case 'all':
    case 'any': {
      const { type, of } = part;
      needList(where, `the parts of ${type}`, of);
      return several(type, of, level + 1);
    }
    case 'count': {
      const { n, names, distinct } = part;
      return count(n, names, { distinct });
    }
    case 'approval': {
      const { n, name } = part;
      checkWaitName(where, name);
      needWhole(where, 'n of an approval', n, 1, MAX_APPROVALS);
      return { type: 'approval', n, name };
    }
    default:
      return undefined;
  }
}

function several<Name extends string>(
  where: 'all' | 'any',
  parts: readonly Part<Name>[],
  level = 1,
): WaitCondition<Name> {
  if (parts.length === 0) throw new InvalidDefinitionError(`${where}: name a signal at least`);
  return { type: where, of: parts.map(partOf(where, level)) };
}

/**
 * One signal of each name, in any order.
 * @throws InvalidDefinitionError
 * @example const signals = await waitFor(all('legal', 'finance'), { timeout: '7d' });
 */
export const all = <Name extends string>(...parts: readonly Part<Name>[]): WaitCondition<Name> => several('all', parts);

/**
 * The first signal of any of the names.
 * @throws InvalidDefinitionError
 * @example const [{ name, payload }] = await waitFor(any('paid', 'cancelled'));
 */
export const any = <Name extends string>(...parts: readonly Part<Name>[]): WaitCondition<Name> => several('any', parts);

/**
 * `n` signals of one name, or of several. With `distinct: 'source'` each sender (`from`) counts once, and the wait gives
 * its newest signal.
 * @throws InvalidDefinitionError
 * @example const approvals = await waitFor(count(2, 'approval', { distinct: 'source' }));
 */
export function count<Name extends string>(
  n: number,
  names: Name | readonly Name[],
  options: { readonly distinct?: Distinct | undefined } = {},
): WaitCondition<Name> {
  knownOnly('count', options, { distinct: true });
  const { distinct = 'signal' } = options;
  if (typeof names !== 'string') needList('count', 'names', names);
  const list = typeof names === 'string' ? [names] : [...names];
  if (!Number.isInteger(n) || n < 1 || n > 10_000)
    throw new InvalidDefinitionError(`count: the number must be a whole number from 1 to 10000, not ${shown(n)}`);
  if (distinct !== 'signal' && distinct !== 'source')
    throw new InvalidDefinitionError(`count: distinct must be "signal" or "source", not ${shown(distinct)}`);
  if (list.length === 0) throw new InvalidDefinitionError('count: name a signal at least');
  for (const name of list) checkWaitName('count', name);
  return { type: 'count', n, names: list, distinct };
}

/** @throws InvalidDefinitionError for a value that is neither a name nor a condition */
export const conditionOf = (where: string, what: Part<string>): WaitCondition => partOf(where, 1)(what);

/** The names that a condition listens to, each once. */
export function namesOf(condition: WaitCondition): readonly string[] {
  switch (condition.type) {
    case 'all':
    case 'any':
      return [...new Set(condition.of.flatMap(namesOf))];
    case 'count':
      return [...new Set(condition.names)];
    default:
      return [condition.name];
  }
}

/** The default name of a wait: its condition, and of a long one the beginning with an id that follows from all of it. */
export function defaultNameOf(condition: WaitCondition): string {
  const title = titleOf(condition);
  if (Buffer.byteLength(title) <= MAX_NAME_BYTES) return title;
  const id = uuidFrom(title);
  return `${boundText(title, MAX_NAME_BYTES - id.length - 1)} ${id}`;
}

function titleOf(condition: WaitCondition): string {
  switch (condition.type) {
    case 'all':
    case 'any':
      return `${condition.type}(${condition.of.map(titleOf).join(', ')})`;
    case 'count':
      return `count(${condition.n}, ${condition.names.join(', ')})`;
    default:
      return condition.name;
  }
}

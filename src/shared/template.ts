/**
 * Values with holes: the input of a member of a flow, written before the results that belong in it exist. A template
 * says where they go; the worker fills them in when the work begins. The value has nothing in the places of its holes,
 * so that no text of a user's can be taken for one.
 */
import { present } from '../../model/core/present.js';
import { EngineError } from '../../model/errors.js';

/** The encoding of a payload that is a template. */
export const TEMPLATE_ENCODING = 'template';

/** Where in a value: names of members and numbers of items, from outside to inside. Empty for the value itself. */
export type Path = readonly (string | number)[];

export interface Hole {
  readonly at: Path;
  /** `one`: the first result that there is. `each`: a list of all that there are, in the order of `of`. */
  readonly take: 'one' | 'each';
  /** Labels of the results that go here. */
  readonly of: readonly string[];
}

export interface Template {
  /** The value, with `null` in every hole. */
  readonly value: unknown;
  readonly holes: readonly Hole[];
}

/** How many levels lie around the value that its user gave: it is a member of the template. */
export const TEMPLATE_LEVELS = 1;

/** The labels that a template names, each once, in the order of their first use. */
export function labelsOf({ holes }: Pick<Template, 'holes'>): string[] {
  return [...new Set(holes.flatMap(({ of }) => of))];
}

/**
 * The value with the results in it. Changes the template's value, which a caller has just read.
 * @throws EngineError `corruption` when a hole is where the value has no place, or its result is missing
 */
export function fill({ value, holes }: Template, results: ReadonlyMap<string, unknown>): unknown {
  const root = { value };
  for (const hole of holes) put(root, ['value', ...hole.at], resultIn(hole, results));
  return root.value;
}

function resultIn({ take, of }: Hole, results: ReadonlyMap<string, unknown>): unknown {
  const there = of.filter((label) => results.has(label));
  if (take === 'each') return there.map((label) => results.get(label));
  const [first] = there;
  if (first === undefined)
    throw new EngineError('corruption', 'payload: a result that belongs in the input is missing.');
  return results.get(first);
}

function put(root: object, path: Path, result: unknown): void {
  const last = present(path.at(-1));
  let holder: unknown = root;
  for (const name of path.slice(0, -1)) holder = memberOf(holder, name);
  memberOf(holder, last);
  // A plain assignment to `__proto__` would not make a member of that name.
  Object.defineProperty(holder, last, { value: result, writable: true, enumerable: true, configurable: true });
}

function memberOf(holder: unknown, name: string | number): unknown {
  if (typeof holder === 'object' && holder !== null && Object.hasOwn(holder, name))
    return (holder as Record<string | number, unknown>)[name];
  throw new EngineError('corruption', 'payload: a result belongs where the input has no place for it.');
}

/** A template as it was read from JSON. @throws EngineError `corruption` for anything else */
export function templateOf(read: unknown): Template {
  const { value, holes } = (typeof read === 'object' && read !== null ? read : {}) as Partial<Template>;
  if (value === undefined || !Array.isArray(holes) || !holes.every(isHole))
    throw new EngineError('corruption', 'payload: it is called a template, and is none.');
  return { value, holes };
}

function isHole(hole: unknown): hole is Hole {
  const { at, take, of } = (typeof hole === 'object' && hole !== null ? hole : {}) as Partial<Hole>;
  return (
    Array.isArray(at) &&
    at.every((name) => typeof name === 'string' || typeof name === 'number') &&
    (take === 'one' || take === 'each') &&
    Array.isArray(of) &&
    of.every((label) => typeof label === 'string')
  );
}

/** `children` of a handler's context. */
import { LIMITS } from '../../../model/limits.js';
import { needList, needWhole, refuse } from '../../shared/checks.js';
import { InvalidDefinitionError } from '../../shared/errors.js';
import { knownOnly } from '../../shared/known-only.js';
import { checkName } from '../checkpoints/names.js';
import { whenAwaited } from '../waits/lazy-promise.js';
import { Child, type OutputOf } from './child.js';
import type { Asked, ChildrenOfRun } from './children.js';
import type { Needed } from './outcome.js';

export interface ChildrenOptions {
  /**
   * Identifies these children when the handler runs again. Default `children`. Uses of one name are told apart by their
   * order.
   */
  readonly name?: string | undefined;
}

export interface ChildrenGroupOptions extends ChildrenOptions {
  /**
   * What happens to the remaining children once the group is decided: they are cancelled (`cancel_remaining`, the
   * default), or continue.
   */
  readonly onSatisfied?: 'cancel_remaining' | 'let_run' | undefined;
}

type ChildList = readonly Child<unknown>[];

/**
 * Starts runs of other tasks and waits for them without a slot: this run of the handler ends, and once the children are
 * decided the handler runs again from the beginning and gets the results here.
 *
 * The children are created together, in one atomic step, when the promise is awaited; inputs beyond 4 MiB, or more than
 * 500 children, take several. When their parent is cancelled, fails or expires, they are cancelled with it.
 *
 * @throws ChildrenFailedError if too many did not complete; it says which ones and why
 * @throws EngineError `step_changed` if an earlier run asked for other children under this name, `step_misused` inside
 *   a step, `flow_limit_exceeded`
 * @throws InvalidDefinitionError, InvalidInputError for invalid options or inputs; TaskAbort
 * @example const [page, image] = await children.all([child(render, { url }), child(resize, { file })]);
 */
export interface Children {
  /** All results, in the order of the list. The first child that does not complete decides; the others continue. */
  all<Of extends ChildList | []>(
    children: Of,
    options?: ChildrenOptions,
  ): Promise<{ -readonly [Key in keyof Of]: OutputOf<Of[Key]> }>;
  /** The result of the first to complete. */
  any<Of extends ChildList>(children: Of, options?: ChildrenGroupOptions): Promise<OutputOf<Of[number]>>;
  /** The results of the first `k` to complete, in the order of the list. */
  quorum<Of extends ChildList>(
    k: number,
    children: Of,
    options?: ChildrenGroupOptions,
  ): Promise<OutputOf<Of[number]>[]>;
}

const OPTIONS = { name: true } as const;
const GROUP_OPTIONS = { name: true, onSatisfied: true } as const;

/** The value of a use, computed when it is awaited. */
const given = <T>(results: Promise<ReadonlyMap<number, unknown>>, take: (values: unknown[]) => T): Promise<T> =>
  whenAwaited(async () => take([...(await results).values()]));

export function childrenOf(made: () => ChildrenOfRun): Children {
  const group = (what: 'any' | 'quorum', k: number, children: ChildList, options: ChildrenGroupOptions) => {
    const where = `children.${what}`;
    knownOnly<ChildrenGroupOptions>(where, options, GROUP_OPTIONS);
    const { onSatisfied = 'cancel_remaining' } = options;
    if (onSatisfied !== 'cancel_remaining' && onSatisfied !== 'let_run')
      throw refuse(where, 'onSatisfied', 'cancel_remaining or let_run', onSatisfied);
    const asked = askedFor(where, children, { kind: what, k, onSatisfied }, options);
    if (children.length === 0 || children.length > LIMITS.maxMembersPerCall)
      throw new InvalidDefinitionError(
        `${where}: ${children.length} children; a group has 1 to ${LIMITS.maxMembersPerCall}`,
        children.length === 0
          ? 'Decide before the call what an empty list gives.'
          : 'Wait for several groups, one after the other.',
      );
    return made().run(asked);
  };
  return {
    all(children: ChildList, options: ChildrenOptions = {}) {
      knownOnly<ChildrenOptions>('children.all', options, OPTIONS);
      const asked = askedFor('children.all', children, { kind: 'all' }, options);
      return asked.children.length === 0 ? Promise.resolve([]) : given(made().run(asked), (values) => values);
    },
    any: (children: ChildList, options: ChildrenGroupOptions = {}) =>
      given(group('any', 1, children, options), ([value]) => value),
    quorum(k: number, children: ChildList, options: ChildrenGroupOptions = {}) {
      needList('children.quorum', 'the children', children);
      needWhole('children.quorum', 'k', k, 1, Math.max(1, children.length));
      return given(group('quorum', k, children, options), (values) => values);
    },
  } as Children;
}

function askedFor(where: string, children: ChildList, needed: Needed, { name = 'children' }: ChildrenOptions): Asked {
  needList(where, 'the children', children);
  const stranger = children.findIndex((one) => !(one instanceof Child));
  if (stranger !== -1) throw refuse(where, 'each child', 'made by child(task, input)', children[stranger]);
  checkName('children', name);
  return { name, children: [...children] as ChildList, needed };
}

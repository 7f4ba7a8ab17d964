/**
 * Validation of a suspension before anything is stored; faults have the exact words of the spec. Spec 06 section 5.2.
 */
import { LIMITS } from '../limits.js';
import { keysOfCompiled, nodeCountOf, type ResumeCondition } from './condition.js';

/** A waitpoint that is created with its suspension, or an existing unused one. */
export type Binding =
  | { readonly waitpointId: string; readonly waitpointKey: string; readonly usePending?: undefined }
  | { readonly waitpointId: string; readonly usePending: true; readonly waitpointKey?: undefined };

export interface SuspensionRequest {
  readonly waitpoints: readonly Binding[];
  readonly resumeCondition: ResumeCondition;
  readonly timeoutAt?: number | undefined;
}

/** Deepest nesting of composites. */
const MAX_DEPTH = 4;
const EMPTY_NAME = 'resume_condition: empty signal name (use Wildcard instead)';
/** Prefix of names that are reserved for the engine. */
const RESERVED = '__';

/** The first fault of a request, or undefined. */
export function faultOf({ waitpoints, resumeCondition, timeoutAt }: SuspensionRequest): string | undefined {
  if (waitpoints.length === 0) return 'waitpoints_empty';
  const [primary] = waitpoints as readonly [Binding];
  const isFresh = primary.usePending === undefined;
  if (isFresh && resumeCondition.type === 'single' && resumeCondition.waitpointKey !== primary.waitpointKey)
    return 'waitpoint_key_mismatch';
  return (
    faultOfBindings(waitpoints) ??
    // The key of an existing waitpoint is checked later, when it is known.
    (isFresh ? faultOfReferences(waitpoints, resumeCondition) : undefined) ??
    (resumeCondition.type === 'timeout_only' && timeoutAt === undefined
      ? 'timeout_only_without_deadline'
      : undefined) ??
    faultOfNames(resumeCondition) ??
    faultOfStructure(resumeCondition)
  );
}

function faultOfBindings(waitpoints: readonly Binding[]): string | undefined {
  const [primary, ...others] = waitpoints as readonly [Binding, ...Binding[]];
  for (const [index, { usePending, waitpointKey }] of others.entries()) {
    const at = `at waitpoints[${index + 1}]`;
    if (usePending === true) return `additional_waitpoint_binding_must_be_fresh ${at}`;
    if (waitpointKey === '') return `additional_waitpoint_binding_empty_key ${at}`;
  }
  if (primary.usePending === true && others.length > 0) return 'use_pending_with_extras_unsupported';
  if (primary.waitpointKey === '') return 'additional_waitpoint_binding_empty_key at waitpoints[0]';
  const seen = new Set<string>();
  for (const { waitpointId, waitpointKey = '' } of waitpoints) {
    if (seen.has(waitpointId) || seen.has(`\t${waitpointKey}`)) return `duplicate_waitpoint_binding: ${waitpointKey}`;
    seen.add(waitpointId).add(`\t${waitpointKey}`);
  }
  return undefined;
}

/** The fault of a condition that names another key than that of the only waitpoint. */
export function faultOfKey(condition: string, waitpointKey: string): string | undefined {
  const missing = keysOfCompiled(condition).find((key) => key !== waitpointKey);
  if (missing === undefined) return undefined;
  const isSingle = condition.startsWith('s\t');
  return isSingle ? 'waitpoint_key_mismatch' : `referenced_waitpoint_key_missing_binding: ${missing}`;
}

/** Keys in the order of the tree. */
function keysOf(condition: ResumeCondition): readonly string[] {
  if (condition.type === 'single') return [condition.waitpointKey];
  if (condition.type === 'count') return condition.waitpoints;
  return condition.type === 'all_of' ? condition.members.flatMap(keysOf) : [];
}

/**
 * Every key of the condition must have a waitpoint, and every waitpoint must be used. A condition that only time or an
 * operator satisfies has exactly one waitpoint all the same.
 */
function faultOfReferences(waitpoints: readonly Binding[], condition: ResumeCondition): string | undefined {
  const used = new Set(keysOf(condition));
  const bound = new Set(waitpoints.map(({ waitpointKey = '' }) => waitpointKey));
  const missing = [...used].find((key) => !bound.has(key));
  if (missing !== undefined) return `referenced_waitpoint_key_missing_binding: ${missing}`;
  if (used.size === 0 && waitpoints.length === 1) return undefined;
  const extra = [...bound].find((key) => !used.has(key));
  return extra === undefined ? undefined : `extra_binding_not_referenced_by_condition: ${extra}`;
}

function faultOfNames(condition: ResumeCondition): string | undefined {
  if (condition.type === 'all_of') return firstFault(condition.members, faultOfNames);
  const matcher = condition.type === 'single' || condition.type === 'count' ? condition.matcher : undefined;
  if (matcher?.type !== 'by_name') return undefined;
  if (matcher.name === '') return EMPTY_NAME;
  return matcher.name.startsWith(RESERVED) ? `resume_condition: reserved signal name: ${matcher.name}` : undefined;
}

function firstFault<Item>(items: readonly Item[], fault: (item: Item, index: number) => string | undefined) {
  for (const [index, item] of items.entries()) {
    const found = fault(item, index);
    if (found !== undefined) return found;
  }
  return undefined;
}

function faultOfStructure(condition: ResumeCondition): string | undefined {
  if (nodeCountOf(condition) > LIMITS.maxConditionNodes) return `condition exceeds ${LIMITS.maxConditionNodes} nodes`;
  if (keysOf(condition).length > LIMITS.maxConditionKeys)
    return `condition exceeds ${LIMITS.maxConditionKeys} waitpoint keys`;
  return faultOfNode(condition, 1, '<root>');
}

function faultOfNode(condition: ResumeCondition, depth: number, path: string): string | undefined {
  const isRoot = path === '<root>';
  if (condition.type === 'single') return undefined;
  if (condition.type === 'operator_only' || condition.type === 'timeout_only')
    return isRoot ? undefined : `leaf_never_satisfiable at path ${path}`;
  if (depth > MAX_DEPTH) return `depth ${depth} exceeds cap ${MAX_DEPTH} at path ${path}`;
  if (condition.type === 'all_of') {
    if (condition.members.length === 0) return `allof_empty_members at path ${path}`;
    return firstFault(condition.members, (member, index) =>
      faultOfNode(member, depth + 1, `${isRoot ? '' : `${path}.`}members[${index}]`),
    );
  }
  if (condition.n === 0) return `count_n_zero at path ${path}`;
  if (condition.waitpoints.length === 0) return `count_waitpoints_empty at path ${path}`;
  const distinct = new Set(condition.waitpoints).size;
  if (condition.countKind === 'distinct_waitpoints' && condition.n > distinct)
    return `count_exceeds_waitpoint_set: n=${condition.n} > waitpoints.len()=${distinct} at path ${path}`;
  return undefined;
}

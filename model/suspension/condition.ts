/**
 * Resume conditions of suspended executions. A condition is compiled to a flat list of nodes, parents first, which the
 * Lua (`lua/suspension/condition.lua`) evaluates as well, so the server decodes no JSON. Progress is a list of entries,
 * one for each satisfier of a node; entries are never removed. Spec 06 section 5.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { present } from '../core/present.js';
import { keysOf } from '../core/tables.js';
import { LIMITS } from '../limits.js';
import { channelOf } from './channel.js';

/** Which signals a part accepts: those with a name, or all. */
const matcher = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('by_name'), name: field.looseLabel }),
  z.strictObject({ type: z.literal('wildcard') }),
]);
type Matcher = z.output<typeof matcher>;

/** What makes two satisfiers of a count distinct. */
const COUNT_KINDS = { distinct_waitpoints: 'w', distinct_signals: 'g', distinct_sources: 'r' } as const;

const single = z.strictObject({ type: z.literal('single'), waitpointKey: field.looseLabel, matcher });
const count = z.strictObject({
  type: z.literal('count'),
  /** Number of distinct satisfiers required. */
  n: z.number().int().min(0).max(LIMITS.maxCountedSignals),
  countKind: z.enum(keysOf(COUNT_KINDS)),
  /** Any signal when absent. */
  matcher: matcher.optional(),
  /** Keys of the waitpoints whose signals count. */
  waitpoints: z.array(field.looseLabel).max(LIMITS.maxConditionNodes),
});
const operatorOnly = z.strictObject({ type: z.literal('operator_only') });
const timeoutOnly = z.strictObject({ type: z.literal('timeout_only') });

/** A condition as callers write it. */
export type ResumeCondition =
  | z.output<typeof single>
  | z.output<typeof count>
  | z.output<typeof operatorOnly>
  | z.output<typeof timeoutOnly>
  | { readonly type: 'all_of'; readonly members: readonly ResumeCondition[] };

/** Conditions that are too deep are refused by name up to this depth; the schema refuses deeper ones unread. */
const MAX_PARSED_DEPTH = 16;

const allOfAt = (depth: number): z.ZodType<ResumeCondition> =>
  depth === 0
    ? z.discriminatedUnion('type', [single, count, operatorOnly, timeoutOnly])
    : z.discriminatedUnion('type', [
        single,
        count,
        operatorOnly,
        timeoutOnly,
        z.strictObject({
          type: z.literal('all_of'),
          members: z.array(z.lazy(() => allOfAt(depth - 1))).max(LIMITS.maxConditionNodes),
        }),
      ]);

export const resumeConditionSchema = allOfAt(MAX_PARSED_DEPTH);

/** One node of a compiled condition. */
interface Node {
  readonly type: 's' | 'o' | 't' | 'a' | 'w' | 'g' | 'r';
  /** Position of the parent node, from 1; 0 for the root. */
  readonly parent: number;
  /** Number of satisfiers, or of satisfied members, required. */
  readonly n: number;
  /** Name of the accepted signals; empty: any. */
  readonly name: string;
  readonly keys: readonly string[];
}

const nameOf = (it: Matcher | undefined): string => (it?.type === 'by_name' ? it.name : '');

function nodesOf(condition: ResumeCondition, parent: number, nodes: Node[]): Node[] {
  const place = nodes.length + 1;
  switch (condition.type) {
    case 'single':
      nodes.push({ type: 's', parent, n: 1, name: nameOf(condition.matcher), keys: [condition.waitpointKey] });
      return nodes;
    case 'count':
      nodes.push({
        type: COUNT_KINDS[condition.countKind],
        parent,
        n: condition.n,
        name: nameOf(condition.matcher),
        keys: condition.waitpoints,
      });
      return nodes;
    case 'all_of':
      nodes.push({ type: 'a', parent, n: condition.members.length, name: '', keys: [] });
      for (const member of condition.members) nodesOf(member, place, nodes);
      return nodes;
    default:
      nodes.push({ type: condition.type === 'operator_only' ? 'o' : 't', parent, n: 1, name: '', keys: [] });
      return nodes;
  }
}

/** The stored form of a condition: a line for each node. */
export function compileCondition(condition: ResumeCondition): string {
  return nodesOf(condition, 0, [])
    .map(({ type, parent, n, name, keys }) => [type, parent, n, name, ...keys].join('\t'))
    .join('\n');
}

/** Number of nodes of a condition. */
export const nodeCountOf = (condition: ResumeCondition): number => nodesOf(condition, 0, []).length;

function parse(condition: string): Node[] {
  return condition.split('\n').map((line) => {
    const [type, parent, n, name = '', ...keys] = line.split('\t');
    return { type: present(type) as Node['type'], parent: Number(parent), n: Number(n), name, keys };
  });
}

/** The facts of a signal that a condition evaluates. */
export interface Evidence {
  readonly signalId: string;
  readonly signalName: string;
  readonly sourceType: string;
  readonly sourceIdentity: string;
  readonly waitpointId: string;
  readonly waitpointKey: string;
}

function satisfierOf({ type }: Node, evidence: Evidence): string {
  if (type === 'w') return evidence.waitpointId;
  if (type === 'g') return evidence.signalId;
  return type === 'r' ? `${evidence.sourceType}\t${evidence.sourceIdentity}` : '';
}

/** Whether the root is satisfied. Nodes are evaluated last to first, so members come before their parents. */
function isSatisfied(nodes: readonly Node[], satisfiers: readonly number[]): boolean {
  const counts = [...satisfiers];
  for (let i = nodes.length - 1; i > 0; i--) {
    const { n, parent, type } = present(nodes[i]);
    if (present(counts[i]) >= n && type !== 'o' && type !== 't') counts[parent - 1] = (counts[parent - 1] ?? 0) + 1;
  }
  const whole = present(nodes[0]);
  return whole.type !== 'o' && whole.type !== 't' && present(counts[0]) >= whole.n;
}

export interface Evaluation {
  readonly effect:
    | 'no_op'
    | 'signal_ignored_matcher_failed'
    | 'appended_to_waitpoint_duplicate'
    | 'appended_to_waitpoint'
    | 'resume_condition_satisfied';
  /** Entries that the signal adds to the progress. */
  readonly added: readonly string[];
}

/** Whether senders can send signals of this name. */
const isOfSenders = (name: string): boolean => name !== '' && !name.startsWith('__');

/** The evaluation of a condition: it accepts one signal after another until the condition is satisfied. */
class Progress {
  private readonly nodes: readonly Node[];
  private readonly known: Set<string>;
  /** Number of satisfiers of each node. */
  private readonly counts: number[];

  constructor(condition: string, progress: readonly string[]) {
    this.nodes = parse(condition);
    this.known = new Set(progress);
    this.counts = this.nodes.map(() => 0);
    for (const entry of progress) this.note(entry);
  }

  private note(entry: string): void {
    const place = Number(entry.slice(0, entry.indexOf('\t')));
    this.counts[place - 1] = (this.counts[place - 1] ?? 0) + 1;
  }

  parts(): AwaitedSignals[] {
    return this.nodes.flatMap(({ name, keys, n }, index) => {
      const names = name === '' ? [...new Set(keys.map(channelOf))].filter(isOfSenders) : [name];
      return names.length === 0 ? [] : [{ names, received: Math.min(present(this.counts[index]), n), needed: n }];
    });
  }

  take(evidence: Evidence): Evaluation {
    const { nodes, known } = this;
    const added: string[] = [];
    let isTaken = false;
    nodes.forEach((node, index) => {
      if (!node.keys.includes(evidence.waitpointKey)) return;
      if (node.name !== '' && node.name !== evidence.signalName) return;
      isTaken = true;
      const entry = `${index + 1}\t${satisfierOf(node, evidence)}`;
      if (!known.has(entry)) added.push(entry);
    });
    if (!isTaken) {
      const isComposite = nodes.length > 1 || !['s', 'o', 't'].includes(present(nodes[0]).type);
      return { effect: isComposite ? 'signal_ignored_matcher_failed' : 'no_op', added };
    }
    if (added.length === 0) return { effect: 'appended_to_waitpoint_duplicate', added };
    for (const entry of added) {
      known.add(entry);
      this.note(entry);
    }
    return { effect: isSatisfied(nodes, this.counts) ? 'resume_condition_satisfied' : 'appended_to_waitpoint', added };
  }
}

/** Evaluates one more signal for a condition that is not satisfied yet. */
export const evaluate = (condition: string, progress: readonly string[], evidence: Evidence): Evaluation =>
  new Progress(condition, progress).take(evidence);

export interface Fold {
  /** The effect of each evaluated signal, in order. Evaluation stops at the signal that satisfies the condition. */
  readonly effects: readonly (readonly [signalId: string, effect: Evaluation['effect']])[];
  readonly progress: readonly string[];
  readonly isSatisfied: boolean;
}

/** Evaluates buffered signals for a condition, in the order of their acceptance. */
export function foldSignals(condition: string, signals: readonly Evidence[]): Fold {
  const state = new Progress(condition, []);
  const effects: [string, Evaluation['effect']][] = [];
  const progress: string[] = [];
  for (const evidence of signals) {
    const { effect, added } = state.take(evidence);
    effects.push([evidence.signalId, effect]);
    progress.push(...added);
    if (effect === 'resume_condition_satisfied') return { effects, progress, isSatisfied: true };
  }
  return { effects, progress, isSatisfied: false };
}

/** How many signals of one part of a wait have come. */
export interface AwaitedSignals {
  /** Names of the signals that count. */
  readonly names: readonly string[];
  /** Number of signals that have come, or of different waitpoints or senders, as the part counts. At most `needed`. */
  readonly received: number;
  readonly needed: number;
}

/** How far the parts of a condition are satisfied that signals satisfy, in the order of the tree. */
export function awaitedSignalsOf(condition: string, progress: readonly string[]): AwaitedSignals[] {
  return new Progress(condition, progress).parts();
}

/** Keys in a compiled condition, in the order of the tree. */
export const keysOfCompiled = (condition: string): readonly string[] => parse(condition).flatMap(({ keys }) => keys);

/** Placeholders for the signal name of conditions that no signal satisfies. */
const NO_SIGNAL: Readonly<Record<string, string>> = { o: '__operator_only__', t: '__timeout_only__' };

/**
 * Names of signals that a compiled condition accepts at a waitpoint, in the order of the tree, without duplicates. An
 * empty list means any name.
 */
export function signalNamesOf(condition: string, waitpointKey: string): readonly string[] {
  const nodes = parse(condition);
  const none = NO_SIGNAL[nodes[0]?.type ?? ''];
  if (none !== undefined) return [none];
  const names = nodes.filter(({ keys }) => keys.includes(waitpointKey)).map(({ name }) => name);
  return [...new Set(names.filter((name) => name !== ''))];
}

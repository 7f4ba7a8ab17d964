/**
 * How random runs create and process flows with many members. A graph is drawn as a shape and a salt, and running
 * members are ended in one batch, so a flow of sixty members takes only a handful of choices. Used by `flowRun` only.
 */
import fc from 'fast-check';
import type { Command } from '../../model/machine.js';
import { seededRandom } from '../chaos/random.js';
import { seldom } from './choices.js';
import { flowOfRows, POLICIES, type Row } from './flow-choices.js';
import { generator } from './generator.js';
import type { World } from './world.js';

/** Members of a flow that is created whole, at most. */
export const MAX_MEMBERS = 60;

const SHAPES = ['chain', 'fan_out', 'fan_in', 'race', 'layers', 'any'] as const;

interface Graph {
  readonly shape: (typeof SHAPES)[number];
  readonly members: number;
  /** Random choices within the shape. */
  readonly salt: number;
  readonly building: true | null;
  readonly closed: true | null;
}

/** Which earlier members lead to the member at an index: distances, 0 for the previous one. */
function sourcesOf({ shape, members }: Graph, at: number, random: () => number): number[] {
  const some = (most: number, within: number): number[] => [
    ...new Set(Array.from({ length: Math.floor(random() * (most + 1)) }, () => Math.floor(random() * within))),
  ];
  if (at === 0) return [];
  switch (shape) {
    case 'chain':
      return [0, ...some(1, at)];
    case 'fan_out':
      return [at - 1, ...some(1, at - 1)];
    case 'fan_in':
      return at < members - 2 ? [] : Array.from({ length: members - 2 }, (_, i) => at - 1 - i);
    case 'race':
      return at < members - 1 ? [] : Array.from({ length: at }, (_, i) => i);
    case 'layers':
      return at < 8 ? [] : [(at % 8) + Math.floor(random() * 8), ...some(3, at)];
    case 'any':
      return some(4, at);
  }
}

const CANCELLING = POLICIES.flatMap((policy, i) =>
  'onSatisfied' in policy && policy.onSatisfied === 'cancel_remaining' ? [i] : [],
);

/**
 * The policy of a member. Members with many upstreams usually need few of them, so most are cancelled, more than one
 * call can do.
 */
function policyAt({ shape }: Graph, random: () => number): number | null {
  const among = shape === 'fan_in' || shape === 'race' ? CANCELLING : [...POLICIES.keys()];
  return random() < 0.8 ? (among[Math.floor(random() * among.length)] as number) : null;
}

function rowsOf(graph: Graph): Row[] {
  const random = seededRandom(graph.salt);
  return Array.from({ length: graph.members }, (_, at) => ({
    lane: at % 7 === 6 ? 1 : 0,
    kind: at % 5 === 4 ? 1 : 0,
    from: [...new Set(sourcesOf(graph, at, random))],
    policy: policyAt(graph, random),
    bytes: at % 11 === 5 ? 70 : 0,
    delayMs: random() < 0.08 ? 500 : null,
    deadlineMs: random() < 0.08 ? 4_000 : null,
    retentionMs: graph.salt % 3 === 0 ? 60_000 * (1 + (at % 3)) : null,
  }));
}

const ENDS = ['complete', 'fail', 'cancel', 'release', 'retry', 'delay', 'leave'] as const;
type End = (typeof ENDS)[number];

interface Ends {
  /** The endings of running members, repeated in order. */
  readonly pattern: readonly End[];
}

function endsOf({ executions, fences, now }: World, { pattern }: Ends): Command[] {
  return executions
    .filter(({ situation }) => situation === 'running')
    .flatMap(({ executionId }, at): Command[] => {
      const fence = fences.get(executionId)?.at(-1);
      switch (pattern[at % pattern.length]) {
        case 'complete':
          return [{ name: 'completeExecution', args: { executionId, fence } }];
        case 'fail':
          return [
            {
              name: 'failExecution',
              args: { executionId, fence, failureReason: 'it broke', failureClass: 'permanent' },
            },
          ];
        case 'cancel':
          return [{ name: 'cancelExecution', args: { executionId, reason: '', source: 'lease_holder', ...fence } }];
        case 'release':
          return [{ name: 'releaseLease', args: { executionId, fence } }];
        case 'retry':
          return [
            {
              name: 'failExecution',
              args: {
                ...{ executionId, fence, failureReason: 'not yet', failureClass: 'transient' },
                retryPolicy: { maxRetries: 3, backoff: { type: 'fixed', delayMs: 500 } },
              },
            },
          ];
        case 'delay':
          return [{ name: 'delayExecution', args: { executionId, fence, delayUntil: now + 500 } }];
        default:
          return [];
      }
    });
}

/** Usually success: after many failures little is left to check. */
const end: fc.Arbitrary<End> = fc.oneof(
  { weight: 12, arbitrary: fc.constant('complete' as const) },
  { weight: 4, arbitrary: fc.constantFrom(...ENDS) },
);

export const flowGraphActions = {
  create_graph: generator<Graph>({
    weight: 0,
    choices: {
      shape: fc.constantFrom(...SHAPES),
      members: fc.integer({ min: 4, max: MAX_MEMBERS }),
      salt: fc.nat(1_000_000),
      building: seldom(fc.constant(true), 5),
      closed: seldom(fc.constant(true), 4),
    },
    resolve: (world, graph) => [flowOfRows(world, rowsOf(graph), graph)],
  }),
  end_all: generator<Ends>({
    weight: 0,
    choices: { pattern: fc.array(end, { minLength: 1, maxLength: 6 }) },
    resolve: endsOf,
  }),
};

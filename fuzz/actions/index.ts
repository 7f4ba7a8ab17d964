/**
 * Actions, the parts of a run. An action is a name and choices; its generator turns them into commands. Actions that
 * are not commands are here: time, reads, repeated calls, batches.
 */
import fc from 'fast-check';
import type { Command, OperationName, QueryName } from '../../model/machine.js';
import { pick, step, type Moment, type Pick } from './choices.js';
import { budgetActions, budgetExamples, budgetReads } from './budget.js';
import { executionActions, executionExamples, executionReads } from './execution.js';
import { childActions } from './children.js';
import { flowEdgeActions } from './flow-edges.js';
import { flowGraphActions } from './flow-graphs.js';
import { flowActions, flowExamples, flowReads } from './flows.js';
import type { Generator, ReadChoices, Reads } from './generator.js';
import { grantActions, grantExamples, grantReads } from './grant.js';
import { laneActions, laneExamples, laneReads } from './lanes.js';
import { leaseActions, leaseExamples } from './lease.js';
import { quotaActions, quotaExamples, quotaReads } from './quota.js';
import { meteringActions, meteringExamples, meteringReads } from './metering.js';
import { operatingActions, operatingExamples } from './operating.js';
import { partitionActions, partitionExamples, partitionReads } from './partition.js';
import { scheduleActions, scheduleExamples, scheduleReads } from './schedule.js';
import { signingActions, signingExamples, signingReads } from './signing.js';
import { signalActions } from './signals.js';
import { suspensionActions, suspensionExamples, suspensionReads } from './suspension.js';
import { waitpointActions } from './waitpoints.js';
import { stepActions, stepExamples, stepReads } from './step.js';
import { streamActions, streamExamples, streamReads } from './stream.js';
import { workerActions, workerExamples, workerReads } from './workers.js';
import type { World } from './world.js';
import { keysOf } from '../../model/core/tables.js';

/** Every generator, by the name of its action. */
const GENERATORS = {
  ...executionActions,
  ...leaseActions,
  ...scheduleActions,
  ...streamActions,
  ...stepActions,
  ...operatingActions,
  ...grantActions,
  ...partitionActions,
  ...suspensionActions,
  ...signalActions,
  ...waitpointActions,
  ...signingActions,
  ...laneActions,
  ...meteringActions,
  ...workerActions,
  ...quotaActions,
  ...flowActions,
  ...flowEdgeActions,
  ...childActions,
  ...flowGraphActions,
  ...budgetActions,
} as const;

/** Valid arguments of every operation and read, for the world of `example.ts`. */
export const EXAMPLES: { readonly [Name in OperationName | QueryName]: object } = {
  ...budgetExamples,
  ...executionExamples,
  ...flowExamples,
  ...grantExamples,
  ...laneExamples,
  ...leaseExamples,
  ...meteringExamples,
  ...operatingExamples,
  ...partitionExamples,
  ...quotaExamples,
  ...scheduleExamples,
  ...signingExamples,
  ...stepExamples,
  ...streamExamples,
  ...suspensionExamples,
  ...workerExamples,
};

const READS: readonly Reads[] = [
  executionReads,
  scheduleReads,
  grantReads,
  partitionReads,
  laneReads,
  streamReads,
  stepReads,
  suspensionReads,
  signingReads,
  meteringReads,
  workerReads,
  quotaReads,
  flowReads,
  budgetReads,
];

type Drawn = {
  [Name in keyof typeof GENERATORS]: (typeof GENERATORS)[Name] extends Generator<infer Choices>
    ? { readonly do: Name } & Readonly<Choices>
    : never;
}[keyof typeof GENERATORS];

export type Action =
  | Drawn
  | { readonly do: 'time'; readonly to: Moment }
  | { readonly do: 'read'; readonly pick: Pick; readonly limit: number }
  /** The process with the embedded store dies and starts again. */
  | { readonly do: 'restart' }
  /** From here on, other names are in place of the drawn ones, see `names.ts`. */
  | { readonly do: 'names'; readonly seed: number }
  /** From here on, ids come from this seed: they are in another order. */
  | { readonly do: 'ids'; readonly seed: number }
  /** The same call as `back` calls ago, as after a lost reply. */
  | { readonly do: 'repeat'; readonly back: number }
  | { readonly do: 'batch'; readonly actions: readonly Action[] };

/** The commands of an action; none for actions that are not commands. */
export function resolve(world: World, action: Action): Command[] {
  switch (action.do) {
    case 'time':
    case 'read':
    case 'restart':
    case 'names':
    case 'ids':
      return [];
    case 'repeat': {
      const again = world.recent.at(-1 - action.back);
      // The number of due entities is read when a pass is drawn, see `due`: a stored one can be of another world.
      return again === undefined || again.name === 'applyDue' ? [] : [again];
    }
    case 'batch':
      return action.actions.flatMap((member) => resolve(world, member));
    default:
      return (GENERATORS[action.do] as Generator<never>).resolve(world, action as never);
  }
}

/** The reads of every domain. */
export const readsOf: Reads = (world: World, choices: ReadChoices) => READS.flatMap((reads) => reads(world, choices));

/** Actions of a generator. */
export const drawn = <Name extends keyof typeof GENERATORS>(name: Name): fc.Arbitrary<Extract<Drawn, { do: Name }>> =>
  (GENERATORS[name].arbitrary as fc.Arbitrary<object>).map(
    (choices) => ({ do: name, ...choices }) as Extract<Drawn, { do: Name }>,
  );

const NAMES = keysOf(GENERATORS);

/** Any action that is no batch. */
export const simple: fc.Arbitrary<Action> = fc.oneof(
  ...NAMES.map((name) => ({ weight: GENERATORS[name].weight, arbitrary: drawn(name) as fc.Arbitrary<Action> })),
  { weight: 9, arbitrary: fc.record({ do: fc.constant('time' as const), to: step }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('read' as const),
      pick: pick('any', 'any'),
      limit: fc.constantFrom(0, 1, 2, 100),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('repeat' as const), back: fc.constantFrom(0, 0, 0, 1, 2) }) },
);

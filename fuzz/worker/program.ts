/**
 * The content of a run of the worker machine: a deployment, and moves. Everything is small plain data that refers to
 * things by choice ("the third of the existing ones"), so that a shrunk program still has a meaning.
 */
import fc from 'fast-check';
import type { CallGroup, Fault, WakeFault } from '../../src/testing/simulation/index.js';
import { flowSetup, type FlowSetup } from './flow-program.js';
import { grantSetup, type GrantSetup } from './grants.js';
import { COMPOSITE_KINDS, SIGNAL_NAMES, type SignalName, type WaitFacts } from './waits.js';

/** Steps that a handler runs first, under the same names in every call. */
export interface StepsSetup {
  readonly count: number;
  readonly takesMs: number;
  /** Whether they start together. */
  readonly together: boolean;
  /** Whether the first one fails, and the handler continues nevertheless. */
  readonly fails: boolean;
}

/** What a handler does in one call. */
export interface Step {
  /** Duration, ms of virtual time. */
  readonly takesMs: number;
  readonly end: 'return' | 'throw' | 'throw_for_good' | 'retry_after' | 'delay' | 'hang' | WaitFacts['kind'];
  /** Whether it stops when its signal aborts. */
  readonly heeds: boolean;
  /**
   * Whether it returns a value of its own when the abort refuses it a step, a wait or children; absent in programs from
   * before.
   */
  readonly swallows?: boolean | undefined;
  /** Number of stretches of computation at its start, with one turn of the event loop between them. */
  readonly stretches: number;
  /** Length of a stretch as a share of the lease. */
  readonly stretchShare: number;
  /** Number of progress reports that it does not await. */
  readonly progress: 'none' | 'awaited' | 'in_passing';
  /** Number of frames; half of them are written at the start. */
  readonly frames?: number;
  /** Absent in programs from before steps existed. */
  readonly steps?: StepsSetup | undefined;
  /** Absent in programs from before children existed. */
  readonly children?: ChildrenSetup | undefined;
}

/** Children of a handler, the same in every call. */
export interface ChildrenSetup {
  readonly count: number;
  readonly needs: 'all' | 'any';
  readonly takesMs: number;
  /** Whether the first one fails. */
  readonly fails: boolean;
  /** What the handler waits for beside them; absent in programs from before it could. */
  readonly beside?: 'time' | 'group' | undefined;
}

export interface TaskSetup {
  /** Whether it shares a lane with other such tasks. */
  readonly sharesLane: boolean;
  readonly needsGpu: boolean;
  readonly failures: number;
  readonly crashes: number;
  readonly attemptTimeoutMs: number | undefined;
  readonly totalMs: number | undefined;
  readonly backoffMs: number;
  /** Concurrency limit, if any. */
  readonly quota?: number | undefined;
}

export interface WorkerSetup {
  readonly slots: number;
  readonly claimAhead: number;
  readonly leaseTtlMs: number;
  readonly sweepMs: number;
  readonly drainMs: number;
  readonly gpu: boolean;
  /** The task without a handler here, if any. */
  readonly without: number | undefined;
  readonly loop: boolean;
}

export interface Setup {
  readonly seed: number;
  readonly partitions: number;
  /** Latency of one way, ms. */
  readonly latencyMs: number;
  readonly tasks: readonly TaskSetup[];
  /** One worker each, in a process of its own. */
  readonly workers: readonly WorkerSetup[];
}

export interface RunSetup {
  readonly script: readonly Step[];
  readonly delayMs: number | undefined;
  readonly deadlineMs: number | undefined;
  readonly priority: number;
  /** Whether its input is too long for a claim; absent in programs from before. */
  readonly long?: boolean;
}

export type Move =
  | {
      readonly do: 'run';
      readonly process: number;
      readonly task: number;
      readonly count: number;
      readonly run: RunSetup;
    }
  | { readonly do: 'flow'; readonly process: number; readonly count: number; readonly flow: FlowSetup }
  | { readonly do: 'cancel_flow'; readonly process: number; readonly which: number }
  | { readonly do: 'wait'; readonly ms: number }
  /** Advances to the nth timer, or 1 ms before or after it. */
  | { readonly do: 'jump'; readonly to: number; readonly offsetMs: number }
  | { readonly do: 'cancel'; readonly process: number; readonly run: number }
  | { readonly do: 'revoke'; readonly run: number }
  /** A signal to a run that waits for one, now or later. */
  | { readonly do: 'signal'; readonly process: number; readonly run: number; readonly name?: SignalName }
  /** A sender with nothing but an envelope delivers a signal; `again`: the signal that it delivered before. */
  | { readonly do: 'deliver'; readonly process: number; readonly envelope: number; readonly again: boolean }
  | {
      readonly do: 'fault';
      readonly process: number;
      readonly on: CallGroup;
      readonly fault: Fault;
      readonly count: number;
    }
  | { readonly do: 'wakes'; readonly process: number; readonly fault: WakeFault; readonly count: number }
  | { readonly do: 'foreign_wake'; readonly process: number; readonly what: number }
  | { readonly do: 'disconnect' | 'reconnect' | 'heal'; readonly process: number }
  /** The event loop of the process is blocked for this share of its lease. */
  | { readonly do: 'block'; readonly process: number; readonly share: number }
  | { readonly do: 'kill' | 'restart' | 'second_worker'; readonly process: number }
  | { readonly do: 'drain'; readonly process: number; readonly ms: number }
  /** A scheduler outside of the deployment grants waiting work to a worker of its own. */
  | { readonly do: 'grant'; readonly which: number; readonly grant: GrantSetup }
  /** Hanging handlers end. */
  | { readonly do: 'release' };

export interface Program {
  readonly setup: Setup;
  readonly moves: readonly Move[];
}

const signalName = fc.constantFrom(...SIGNAL_NAMES);
const TIMES_MS = [0, 1, 5, 50, 400, 1_000, 3_000, 10_000, 40_000];
const choice = fc.nat({ max: 7 });
const maybe = <T>(arbitrary: fc.Arbitrary<T>, weight = 3): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });

const step: fc.Arbitrary<Step> = fc.record({
  takesMs: fc.constantFrom(...TIMES_MS),
  end: fc.oneof(
    { weight: 8, arbitrary: fc.constant('return' as const) },
    {
      weight: 5,
      arbitrary: fc.constantFrom(
        ...(['throw', 'throw_for_good', 'retry_after', 'delay', 'hang', 'sleep', 'wait', 'callback'] as const),
        ...COMPOSITE_KINDS,
      ),
    },
  ),
  heeds: fc.boolean(),
  swallows: fc.boolean(),
  stretches: fc.oneof(
    { weight: 8, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 4 }) },
  ),
  stretchShare: fc.constantFrom(0.1, 0.3, 0.5, 0.64, 1.2),
  progress: fc.oneof(
    { weight: 6, arbitrary: fc.constant('none' as const) },
    { weight: 1, arbitrary: fc.constant('awaited' as const) },
    { weight: 1, arbitrary: fc.constant('in_passing' as const) },
  ),
  frames: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 9 }) }),
  steps: maybe(
    fc.record({
      count: fc.integer({ min: 1, max: 3 }),
      takesMs: fc.constantFrom(0, 0, 5, 1_000),
      together: fc.boolean(),
      fails: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
    }),
    2,
  ),
  children: maybe(
    fc.record({
      count: fc.integer({ min: 1, max: 3 }),
      needs: fc.constantFrom('all' as const, 'any' as const),
      takesMs: fc.constantFrom(0, 5, 1_000, 10_000),
      fails: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
      beside: fc.constantFrom(undefined, 'time' as const, 'group' as const),
    }),
    5,
  ),
});

const task: fc.Arbitrary<TaskSetup> = fc.record({
  sharesLane: fc.boolean(),
  needsGpu: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  failures: fc.constantFrom(0, 1, 3),
  crashes: fc.constantFrom(1_000, 1_000, 1),
  attemptTimeoutMs: maybe(fc.constantFrom(50, 1_000, 8_000)),
  totalMs: maybe(fc.constantFrom(1_000, 20_000), 6),
  backoffMs: fc.constantFrom(1, 500, 4_000),
  quota: maybe(fc.constantFrom(1, 2)),
});

const worker: fc.Arbitrary<WorkerSetup> = fc.record({
  slots: fc.constantFrom(1, 1, 2, 3),
  claimAhead: fc.constantFrom(0, 0, 1, 4),
  leaseTtlMs: fc.constantFrom(3_000, 3_000, 10_000, 30_000),
  sweepMs: fc.constantFrom(5_000, 5_000, 1_000),
  drainMs: fc.constantFrom(0, 2_000, 25_000),
  gpu: fc.boolean(),
  without: maybe(fc.nat({ max: 2 }), 5),
  loop: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
});

const setup: fc.Arbitrary<Setup> = fc.record({
  seed: fc.nat({ max: 1_000 }),
  partitions: fc.constantFrom(1, 1, 2, 4),
  latencyMs: fc.constantFrom(0, 1, 1, 20),
  tasks: fc.array(task, { minLength: 1, maxLength: 3 }),
  workers: fc.array(worker, { minLength: 1, maxLength: 3 }),
});

const fault: fc.Arbitrary<Fault> = fc.oneof(
  fc.constantFrom<Fault>(
    { kind: 'not_sent' },
    { kind: 'answer_lost' },
    { kind: 'never_arrives' },
    { kind: 'never_answered' },
  ),
  fc.record({ kind: fc.constant('arrives_late' as const), byMs: fc.constantFrom(1, 1_000, 20_000) }),
  fc.record({ kind: fc.constant('slow' as const), byMs: fc.constantFrom(10, 500, 2_400, 4_000) }),
  fc.record({ kind: fc.constant('one_faulty' as const), position: choice, ran: fc.boolean() }),
);

/** Operations whose faults matter most to a worker are drawn more often. */
const GROUPS: readonly CallGroup[] = [
  ...(['renew', 'renew', 'ending', 'ending', 'claim', 'claim', 'begin', 'any', 'any'] as const),
  ...(['create', 'progress', 'cancel', 'due', 'read', 'subscribe', 'step', 'step', 'admission', 'admission'] as const),
  ...(['wait', 'signal', 'frame', 'children', 'flow', 'input'] as const),
];

const runSetup: fc.Arbitrary<RunSetup> = fc.record({
  script: fc.array(step, { minLength: 1, maxLength: 3 }),
  delayMs: maybe(fc.constantFrom(1, 1_000, 15_000), 5),
  deadlineMs: maybe(fc.constantFrom(10, 5_000, 60_000), 7),
  priority: fc.constantFrom(0, 0, 5),
  long: fc.oneof({ weight: 6, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
});

const moveOf = <Name extends Move['do'], Rest extends object>(
  name: Name,
  rest: { [Key in keyof Rest]: fc.Arbitrary<Rest[Key]> },
) => fc.record({ do: fc.constant(name), ...rest }) as unknown as fc.Arbitrary<Move>;

const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 10,
    arbitrary: moveOf('run', { process: choice, task: choice, count: fc.constantFrom(1, 1, 2, 5, 12), run: runSetup }),
  },
  { weight: 6, arbitrary: moveOf('wait', { ms: fc.constantFrom(1, 20, 700, 2_500, 6_000, 35_000) }) },
  { weight: 6, arbitrary: moveOf('jump', { to: choice, offsetMs: fc.constantFrom(-1, 0, 0, 1) }) },
  { weight: 2, arbitrary: moveOf('flow', { process: choice, count: fc.constantFrom(1, 1, 2), flow: flowSetup }) },
  { weight: 1, arbitrary: moveOf('cancel_flow', { process: choice, which: choice }) },
  { weight: 1, arbitrary: moveOf('cancel', { process: choice, run: choice }) },
  { weight: 1, arbitrary: moveOf('revoke', { run: choice }) },
  { weight: 2, arbitrary: moveOf('grant', { which: choice, grant: grantSetup }) },
  { weight: 3, arbitrary: moveOf('signal', { process: choice, run: choice, name: signalName }) },
  { weight: 2, arbitrary: moveOf('deliver', { process: choice, envelope: choice, again: fc.boolean() }) },
  {
    weight: 4,
    arbitrary: moveOf('fault', {
      process: choice,
      on: fc.constantFrom(...GROUPS),
      fault,
      count: fc.constantFrom(1, 1, 2, 4),
    }),
  },
  {
    weight: 1,
    arbitrary: moveOf('wakes', {
      process: choice,
      fault: fc.oneof(
        fc.constantFrom<WakeFault>({ kind: 'lost' }, { kind: 'twice' }),
        fc.record({ kind: fc.constant('late' as const), byMs: fc.constantFrom(30, 3_000) }),
      ),
      count: fc.constantFrom(1, 5),
    }),
  },
  { weight: 1, arbitrary: moveOf('foreign_wake', { process: choice, what: choice }) },
  { weight: 1, arbitrary: moveOf('disconnect', { process: choice }) },
  { weight: 1, arbitrary: moveOf('reconnect', { process: choice }) },
  { weight: 1, arbitrary: moveOf('heal', { process: choice }) },
  { weight: 1, arbitrary: moveOf('block', { process: choice, share: fc.constantFrom(0.2, 0.5, 0.64, 0.95, 1.5) }) },
  { weight: 1, arbitrary: moveOf('kill', { process: choice }) },
  { weight: 1, arbitrary: moveOf('restart', { process: choice }) },
  { weight: 1, arbitrary: moveOf('second_worker', { process: choice }) },
  { weight: 1, arbitrary: moveOf('drain', { process: choice, ms: fc.constantFrom(0, 500, 25_000) }) },
  { weight: 1, arbitrary: moveOf('release', {}) },
);

const runMove = (steps: fc.Arbitrary<Step>, long = false): fc.Arbitrary<Move> =>
  moveOf('run', {
    process: choice,
    task: choice,
    count: fc.constantFrom(1, 2, 5),
    run: fc.record({
      script: fc.array(steps, { minLength: 1, maxLength: 2 }),
      delayMs: fc.constant(undefined),
      deadlineMs: fc.constant(undefined),
      priority: fc.constant(0),
      long: fc.constant(long),
    }),
  });
const faultOn = (on: CallGroup): fc.Arbitrary<Move> =>
  moveOf('fault', { process: choice, on: fc.constant(on), fault, count: fc.constantFrom(1, 1, 2, 4) });
const waitMove = (...ms: number[]): fc.Arbitrary<Move> => moveOf('wait', { ms: fc.constantFrom(...ms) });
const jumpMove: fc.Arbitrary<Move> = moveOf('jump', { to: choice, offsetMs: fc.constantFrom(-1, 0, 0, 1) });
const steppingStep = fc
  .tuple(step, fc.integer({ min: 1, max: 3 }), fc.boolean())
  .map(([each, count, together]): Step => ({ ...each, steps: { count, takesMs: 5, together, fails: each.heeds } }));
const inStep = step.map(
  (each): Step => ({ ...each, steps: { count: 2, takesMs: 3_000, together: false, fails: each.heeds } }),
);
const signalMove: fc.Arbitrary<Move> = moveOf('signal', { process: choice, run: choice, name: signalName });
/** The same run while there are no more of them. */
const decisionMove = (name: SignalName): fc.Arbitrary<Move> =>
  moveOf('signal', { process: choice, run: fc.constant(0), name: fc.constant(name) });
const deciding = step.map((each): Step => ({ ...each, takesMs: 5, stretches: 0, end: 'approval' }));
const composed = fc
  .tuple(step, fc.constantFrom(...COMPOSITE_KINDS))
  .map(([each, end]): Step => ({ ...each, takesMs: Math.min(each.takesMs, 1_000), stretches: 0, end }));
const waiting = fc
  .tuple(step, fc.constantFrom('sleep' as const, 'wait' as const, 'wait' as const))
  .map(([each, end]): Step => ({ ...each, stretches: 0, end }));
const deliverMove: fc.Arbitrary<Move> = moveOf('deliver', { process: choice, envelope: choice, again: fc.boolean() });
const calledBack = fc
  .tuple(step, fc.constantFrom(0, 50, 1_000))
  .map(([each, takesMs]): Step => ({ ...each, stretches: 0, takesMs, end: 'callback' }));
const speaking = fc
  .tuple(step, fc.integer({ min: 2, max: 9 }))
  .map(([each, frames]): Step => ({ ...each, frames, takesMs: each.takesMs + 5 }));
const spawning = fc
  .tuple(
    step,
    fc.integer({ min: 1, max: 3 }),
    fc.constantFrom('all' as const, 'any' as const),
    fc.constantFrom(undefined, 'time' as const, 'group' as const),
  )
  .map(([each, count, needs, beside]): Step => {
    return { ...each, children: { count, needs, takesMs: 1_000, fails: each.heeds, beside } };
  });
const longStep = step.map((each): Step => ({ ...each, takesMs: 10_000 + each.takesMs }));

const flowMove: fc.Arbitrary<Move> = moveOf('flow', {
  process: choice,
  count: fc.constantFrom(1, 2),
  flow: flowSetup,
});

const grantMove: fc.Arbitrary<Move> = moveOf('grant', { which: choice, grant: grantSetup });

/** Scenes: moves that belong together, in a fixed order, to reach states that single moves rarely reach. */
const storyline: fc.Arbitrary<Move[]> = fc.oneof(
  // A lease due for renewal, and failing renewals.
  fc.tuple(faultOn('renew'), runMove(longStep), waitMove(2_500, 6_000, 35_000)),
  fc.tuple(runMove(longStep), jumpMove, faultOn('renew'), waitMove(6_000, 35_000)),
  // Admissions that fail, come late, or are not released.
  fc.tuple(faultOn('admission'), runMove(step), jumpMove, faultOn('admission'), waitMove(700, 6_000)),
  fc.tuple(runMove(step), faultOn('admission'), moveOf('kill', { process: choice }), waitMove(6_000, 35_000)),
  // Failing reports of endings.
  fc.tuple(faultOn('ending'), runMove(step), waitMove(700, 6_000)),
  fc.tuple(runMove(step), jumpMove, faultOn('ending'), jumpMove, waitMove(700, 6_000)),
  // Steps whose records fail, and handlers that run again afterwards.
  fc.tuple(faultOn('step'), runMove(steppingStep), waitMove(700, 6_000)),
  fc.tuple(
    runMove(steppingStep),
    jumpMove,
    faultOn('step'),
    jumpMove,
    moveOf('revoke', { run: choice }),
    waitMove(6_000),
  ),
  fc.tuple(runMove(steppingStep), jumpMove, moveOf('kill', { process: choice }), waitMove(6_000, 35_000)),
  // Long inputs that come late or never, and owners that disappear meanwhile.
  fc.tuple(faultOn('input'), runMove(step, true), waitMove(700, 6_000), jumpMove),
  fc.tuple(faultOn('input'), runMove(step, true), jumpMove, moveOf('revoke', { run: choice }), waitMove(2_500, 6_000)),
  fc.tuple(
    faultOn('input'),
    runMove(step, true),
    jumpMove,
    fc.oneof(
      moveOf('kill', { process: choice }),
      moveOf('cancel', { process: choice, run: choice }),
      moveOf('drain', { process: choice, ms: fc.constantFrom(0, 500, 25_000) }),
    ),
    waitMove(6_000, 35_000),
  ),
  // Failing claims, and lost wakes.
  fc.tuple(faultOn('claim'), runMove(step), waitMove(20, 700)),
  fc.tuple(moveOf('disconnect', { process: choice }), runMove(step), waitMove(700, 6_000)),
  // Work that its owners lose.
  fc.tuple(runMove(longStep), jumpMove, moveOf('revoke', { run: choice }), waitMove(20, 2_500)),
  fc.tuple(runMove(longStep), jumpMove, moveOf('cancel', { process: choice, run: choice }), waitMove(20, 2_500)),
  fc.tuple(runMove(longStep), jumpMove, moveOf('kill', { process: choice }), waitMove(6_000, 35_000)),
  // Handlers that wait, signals before, during and after the wait, and failing suspensions.
  fc.tuple(runMove(waiting), signalMove, waitMove(20, 2_500), signalMove, jumpMove, waitMove(2_500, 6_000)),
  fc.tuple(faultOn('ending'), runMove(waiting), signalMove, waitMove(700, 6_000), signalMove),
  fc.tuple(runMove(waiting), waitMove(700), moveOf('kill', { process: choice }), signalMove, waitMove(6_000)),
  // Conditions of several signals, some of which arrive early, and faults between them.
  fc.tuple(runMove(composed), signalMove, waitMove(20, 2_500), signalMove, waitMove(700, 6_000), signalMove),
  fc.tuple(runMove(composed), waitMove(700), signalMove, faultOn('wait'), signalMove, jumpMove, waitMove(6_000)),
  fc.tuple(faultOn('ending'), runMove(composed), signalMove, signalMove, moveOf('kill', { process: choice }), jumpMove),
  fc.tuple(runMove(deciding), waitMove(20, 700), decisionMove('yes'), decisionMove('yes'), waitMove(700, 6_000)),
  fc.tuple(
    runMove(deciding),
    decisionMove('yes'),
    decisionMove('no'),
    faultOn('wait'),
    decisionMove('yes'),
    waitMove(6_000),
  ),
  // Reads of signals that fail, and senders that do not know whether their signals arrived.
  fc.tuple(runMove(waiting), signalMove, faultOn('wait'), waitMove(2_500, 6_000), jumpMove, waitMove(6_000)),
  fc.tuple(runMove(waiting), faultOn('signal'), signalMove, signalMove, waitMove(2_500, 6_000)),
  fc.tuple(runMove(waiting), waitMove(20), moveOf('revoke', { run: choice }), signalMove, waitMove(2_500, 6_000)),
  // Envelopes: deliveries before the handler waits, late, twice, and to ended runs.
  fc.tuple(runMove(calledBack), waitMove(20, 700), deliverMove, deliverMove, waitMove(700, 2_500), deliverMove),
  fc.tuple(
    runMove(calledBack),
    waitMove(700),
    faultOn('signal'),
    deliverMove,
    deliverMove,
    waitMove(6_000),
    deliverMove,
  ),
  fc.tuple(
    faultOn('wait'),
    runMove(calledBack),
    waitMove(700),
    deliverMove,
    faultOn('ending'),
    waitMove(6_000),
    deliverMove,
  ),
  fc.tuple(
    runMove(calledBack),
    waitMove(20, 700),
    fc.oneof(moveOf('kill', { process: choice }), moveOf('cancel', { process: choice, run: choice })),
    deliverMove,
    waitMove(6_000, 35_000),
    deliverMove,
  ),
  // Children that cannot be created or waited for, and parents that disappear meanwhile.
  fc.tuple(faultOn('children'), runMove(spawning), waitMove(700, 6_000)),
  fc.tuple(faultOn('ending'), runMove(spawning), waitMove(700, 6_000)),
  fc.tuple(runMove(spawning), waitMove(20, 700), moveOf('kill', { process: choice }), waitMove(6_000, 35_000)),
  fc.tuple(runMove(spawning), waitMove(20, 700), moveOf('cancel', { process: choice, run: choice }), waitMove(6_000)),
  fc.tuple(runMove(spawning), jumpMove, moveOf('revoke', { run: choice }), waitMove(2_500, 6_000)),
  // Races whose members fail, are lost, or are no longer needed, and cancelled flows.
  fc.tuple(flowMove, waitMove(20, 700), moveOf('kill', { process: choice }), waitMove(6_000, 35_000)),
  fc.tuple(faultOn('flow'), flowMove, faultOn('ending'), waitMove(700, 6_000), jumpMove),
  fc.tuple(flowMove, jumpMove, moveOf('revoke', { run: choice }), waitMove(2_500, 6_000), jumpMove),
  fc.tuple(flowMove, waitMove(20, 700, 2_500), moveOf('cancel_flow', { process: choice, which: choice }), jumpMove),
  // Failing appends of frames, and handlers that run again.
  fc.tuple(faultOn('frame'), runMove(speaking), waitMove(700, 6_000)),
  fc.tuple(runMove(speaking), faultOn('frame'), moveOf('revoke', { run: choice }), waitMove(2_500, 6_000)),
  // Grants of work that waits for a slot, is delayed or was lost, which are used, too late, or lapse.
  fc.tuple(runMove(longStep), waitMove(20, 700), grantMove, grantMove, jumpMove, waitMove(700, 6_000)),
  fc.tuple(runMove(longStep), moveOf('kill', { process: choice }), jumpMove, grantMove, jumpMove, waitMove(6_000)),
  fc.tuple(runMove(step), waitMove(20), grantMove, moveOf('cancel', { process: choice, run: choice }), jumpMove),
  // Shuts down with work in hand.
  fc.tuple(
    runMove(longStep),
    jumpMove,
    moveOf('drain', { process: choice, ms: fc.constantFrom(0, 500, 25_000) }),
    waitMove(2_500),
  ),
  // The same in the middle of a step, or beside children, with handlers that have a value for what is refused.
  fc.tuple(
    runMove(fc.oneof(inStep, spawning).map((each): Step => ({ ...each, swallows: true }))),
    waitMove(20, 700),
    moveOf('drain', { process: choice, ms: fc.constantFrom(0, 500) }),
    waitMove(2_500, 6_000),
  ),
);

/** Many short runs, for breadth and quick shrinking; some long ones, because deep states take many moves. */
export const program: fc.Arbitrary<Program> = fc.record({
  setup,
  moves: fc.oneof(
    { weight: 5, arbitrary: fc.array(move, { minLength: 1, maxLength: 10 }) },
    {
      weight: 5,
      arbitrary: fc
        .array(fc.oneof(storyline, fc.tuple(move)), { minLength: 1, maxLength: 5 })
        .map((parts) => parts.flat()),
    },
    {
      weight: 2,
      arbitrary: fc
        .array(fc.oneof(storyline, fc.tuple(move)), { minLength: 4, maxLength: 14 })
        .map((parts) => parts.flat()),
    },
    { weight: 1, arbitrary: fc.array(move, { minLength: 20, maxLength: 60 }) },
  ),
});

/** Given these events, when this command comes, then it answers so, these events follow, and this is left. */
import { expect } from 'vitest';
import { SpecMachine } from '../../model/specification/machine.js';
import type { RejectionCode } from '../../model/errors.js';
import type { Event, EventNamed } from '../../model/events.js';
import type { Execution } from '../../model/execution/facts.js';
import { stateVector, type StateVector } from '../../model/execution/situation.js';
import type { AnyDecision, ArgsOf, OperationName, QueryName } from '../../model/machine.js';
import { QUERIES } from '../../model/machine.js';
import { parseCommand } from '../../src/backend/boundary.js';
import { STATE_CLASSES, type StateClass } from '../../fuzz/state-class.js';

/** When stories begin, ms since the epoch. */
export const START = 1_700_000_000_000;
/** Retention of the deployment, ms. */
export const RETENTION_MS = 600_000;

export const PARTITION = '{fp:0}';
export const uuid = (n: number): string => `00000000-0000-4000-a000-${String(n).padStart(12, '0')}`;
export const idOf = (n: number): string => `${PARTITION}:${uuid(n)}`;
/** The execution that most stories are about. */
export const X = idOf(1);
/** Who owns it after `claimed()`. */
export const FENCE = { leaseId: uuid(101), leaseEpoch: 1, attemptId: uuid(201) };

type Facts<Type extends Event['type']> = Partial<EventNamed<Type>>;

// Events with everything in them that a story does not care about. `at` and other times are offsets from START
// where a helper takes one; facts given override everything, with absolute times.

export const created = (facts: Facts<'execution_created'> = {}): Event =>
  ({
    type: 'execution_created',
    executionId: X,
    at: START,
    namespace: 'n',
    laneId: 'lane',
    executionKind: 'kind',
    creatorIdentity: 'c',
    priority: 0,
    requiredCapabilities: [],
    meters: [],
    tags: {},
    policy: undefined,
    payloadBytes: 0,
    payloadEncoding: undefined,
    flow: undefined,
    rank: 0,
    awaitsSeal: false,
    holdsKey: false,
    delayUntil: undefined,
    executionDeadlineAt: undefined,
    idempotencyKey: undefined,
    idempotencyExpiresAt: undefined,
    ...facts,
  }) as Event;

export const claimed = (facts: Facts<'execution_claimed'> = {}): Event =>
  ({
    type: 'execution_claimed',
    executionId: X,
    at: START,
    attemptType: 'initial',
    attemptIndex: 0,
    meters: [],
    ...FENCE,
    leaseExpiresAt: START + 30_000,
    workerId: 'w',
    workerInstanceId: 'w-1',
    attemptTimeoutAt: undefined,
    ...facts,
  }) as Event;

export const event = <Type extends Event['type']>(type: Type, facts: Facts<Type> = {} as Facts<Type>): Event =>
  ({ type, executionId: X, at: START, ...facts }) as Event;

/** A flow in which X waits for another member, which is ready: its upstream, or a child that X spawned. */
function flowOfTwo(isChild: boolean): readonly Event[] {
  const flow = uuid(600);
  return [
    {
      ...event('flow_created', { flow, flowKind: 'k', namespace: 'n', isBuilding: false, isClosed: false }),
      tags: {},
    } as Event,
    created({ executionId: idOf(2), flow, rank: 2 }),
    created({ flow, rank: 1 }),
    ...(isChild ? [claimed()] : []),
    event('dependencies_staged', {
      flow,
      isBackward: isChild,
      isChild,
      edgeRound: isChild ? 1 : 0,
      edges: [{ edgeId: uuid(601), upstream: uuid(2), dataPassingRef: '' }],
    }),
  ];
}

const PURGE_AT = START + 1_000_000_000;

/** Time at which commands of `inClass` worlds come. */
export const NOW = START + 5_000;
export const DELAYED_UNTIL = START + 10_000;
export const SUSPENDED_UNTIL = START + 20_000;

/** Events that bring X into each state class, as of NOW; the last owner's fence is FENCE. */
export const IN_CLASS = {
  none: [],
  RW: [created()],
  RI: [created(), claimed(), event('lease_released')],
  DW: [created({ delayUntil: DELAYED_UNTIL })],
  DI: [created(), claimed(), event('execution_delayed', { delayUntil: DELAYED_UNTIL })],
  BW: [created(), event('execution_blocked', { blockingReason: 'waiting_for_budget', blockingDetail: 'why' })],
  BI: [
    created(),
    claimed(),
    event('lease_released'),
    event('execution_blocked', { blockingReason: 'waiting_for_capable_worker', blockingDetail: 'why' }),
  ],
  BO: [created(), event('execution_held', { heldBy: 'ann', holdReason: 'why' })],
  WD: flowOfTwo(false),
  WC: [...flowOfTwo(true), event('children_awaited')],
  SW: [
    created(),
    claimed(),
    event('execution_suspended', {
      suspensionId: uuid(500),
      attemptIndex: 0,
      reasonCode: 'waiting_for_signal',
      suspendedBy: 'worker',
      timeoutAt: SUSPENDED_UNTIL,
      timeoutBehavior: 'fail',
      resumeDelayMs: 0,
      keepsSignals: false,
      retainsBuffer: false,
      continuationPointer: '',
      waitpoints: `${uuid(501)}\twpk:a`,
      condition: 's\t0\t1\tgo\twpk:a',
      progress: '',
      folded: '',
      suspendKey: '',
    }),
  ],
  AL: [created(), claimed()],
  AX: [created(), claimed({ leaseExpiresAt: NOW })],
  AE: [created(), claimed({ leaseExpiresAt: START + 1_000 }), event('lease_expired', { at: START + 2_000 })],
  AR: [created(), claimed(), event('lease_revoked', { reason: 'operator' })],
  Tcompleted: [created(), claimed(), event('execution_completed', { purgeAt: PURGE_AT })],
  Tfailed: [
    created(),
    claimed(),
    event('execution_failed', { failureReason: 'r', failureCategory: 'transient', purgeAt: PURGE_AT }),
  ],
  Tcancelled: [
    created(),
    claimed(),
    event('execution_cancelled', { cancellationReason: 'r', cancelledBy: 'operator_override', purgeAt: PURGE_AT }),
  ],
  Texpired: [
    created(),
    claimed(),
    event('execution_expired', { expireReason: 'execution_deadline', purgeAt: PURGE_AT }),
  ],
  Tskipped: [...flowOfTwo(false), event('execution_skipped', { purgeAt: PURGE_AT })],
} as const satisfies Record<StateClass, readonly Event[]>;
export const CLASSES = STATE_CLASSES;
/** Those in which nothing but X is in its world, and X is in no flow. */
export const CLASSES_ALONE = CLASSES.filter((name) => name !== 'WD' && name !== 'WC' && name !== 'Tskipped');
export type { StateClass };

/** What came of a command. */
export class Then {
  constructor(
    readonly decision: AnyDecision,
    private readonly machine: SpecMachine,
    private readonly eventsBefore: number,
  ) {}

  /** It was carried out and answers so. */
  answers(outcome: object): this {
    expect(this.decision).toMatchObject({ ok: true, outcome });
    return this;
  }

  /** It was refused: nothing happened. */
  refuses(code: RejectionCode, detail?: object): this {
    expect(this.decision).toMatchObject({ ok: false, code, ...(detail === undefined ? {} : { detail }) });
    return this.nothingHappens();
  }

  /** Exactly these events followed; facts that are not named do not matter. */
  then(...events: readonly (Partial<Event> & { type: Event['type'] })[]): this {
    const followed = this.machine.partition.log.slice(this.eventsBefore).map(({ event: happened }) => happened);
    expect(followed.map(({ type }) => type)).toEqual(events.map(({ type }) => type));
    expect(followed).toMatchObject(events);
    return this;
  }

  nothingHappens(): this {
    return this.then();
  }

  /** What is known of the execution afterwards. */
  leaves(facts: Partial<Execution>, executionId = X): this {
    expect(this.machine.partition.state.tables.execution.get(executionId)).toMatchObject(facts);
    return this;
  }

  /** The execution afterwards. */
  get execution(): Execution | undefined {
    return this.machine.partition.state.tables.execution.get(X);
  }

  /** The vector of the contract afterwards. */
  leavesState(vector: Partial<StateVector>, executionId = X): this {
    expect(stateVector(this.machine.partition.state.tables.execution.get(executionId) as Execution)).toMatchObject(
      vector,
    );
    return this;
  }

  leavesNothing(executionId = X): this {
    expect(this.machine.partition.state.tables.execution.has(executionId)).toBe(false);
    return this;
  }

  /** The next command of the story. */
  when<Name extends OperationName>(name: Name, args: ArgsOf<Name>, at: number): Then {
    return commanded(this.machine, name, args, at);
  }

  /** What a read answers afterwards. */
  reads<Name extends QueryName>(name: Name, args: ArgsOf<Name>, at: number): unknown {
    const parsed = QUERIES[name].args.parse(args);
    return QUERIES[name].read(this.machine.view, parsed as never, { now: at, settings: { retentionMs: RETENTION_MS } });
  }
}

function commanded<Name extends OperationName>(machine: SpecMachine, name: Name, args: ArgsOf<Name>, at: number): Then {
  const before = machine.partition.log.length;
  return new Then(machine.run(parseCommand(name, args, 'memory'), at), machine, before);
}

interface Given {
  when<Name extends OperationName>(name: Name, args: ArgsOf<Name>, at?: number): Then;
}

/** A world in which these events happened. */
export const givenMachine = (...events: readonly Event[]): SpecMachine => {
  const machine = new SpecMachine({ retentionMs: RETENTION_MS }, PARTITION);
  for (const happened of events) machine.record(happened);
  return machine;
};

/** A world in which these events happened. */
export const given = (...events: readonly Event[]): Given => givenIn(PARTITION, ...events);

/** The same for a partition of any family. */
export function givenIn(partition: string, ...events: readonly Event[]): Given {
  const machine = new SpecMachine({ retentionMs: RETENTION_MS }, partition);
  for (const happened of events) machine.record(happened);
  return { when: (name, args, at = NOW) => commanded(machine, name, args, at) };
}

/** Ids for so many claims. */
export const minted = (n: number): { leaseId: string; attemptId: string }[] =>
  Array.from({ length: n }, (_, i) => ({ leaseId: uuid(300 + i), attemptId: uuid(400 + i) }));

/** A claim on the lane by a new owner. */
export const claimArgs = (facts: Partial<ArgsOf<'claimForWorker'>> = {}): ArgsOf<'claimForWorker'> => ({
  partition: PARTITION,
  laneId: 'lane',
  workerId: 'w2',
  workerInstanceId: 'w2-1',
  leaseTtlMs: 5_000,
  claims: [{ leaseId: uuid(102), attemptId: uuid(202) }],
  ...facts,
});

/** The end of the retention slot that a time falls into. */
export const slotEnd = (at: number): number => Math.ceil(at / 60_000) * 60_000;

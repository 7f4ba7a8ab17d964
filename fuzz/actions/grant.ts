/**
 * How random runs call the operations of `model/grant`: schedulers that issue grants, and workers that claim with them.
 */
import fc from 'fast-check';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { isReclaimable } from '../../model/execution/situation.js';
import type { Command } from '../../model/machine.js';
import { CAPABILITY_SETS, KINDS, LANES, pick, seldom, ttlMs, type Pick } from './choices.js';
import { generator, type Reads } from './generator.js';
import { choose, chosenId, type World } from './world.js';
import * as example from './example.js';

/** Workers, each with several instances. One name is too long for the core of a record. */
const POOLS = ['pool', `pool-${'x'.repeat(70)}`] as const;

const laneOf = (execution: ReadonlyExecution | undefined, lane: 'none' | 'own' | 'other'): string | undefined => {
  if (lane === 'none' || execution === undefined) return undefined;
  return lane === 'own' ? execution.laneId : (LANES.find((other) => other !== execution.laneId) as string);
};

interface Issue {
  readonly pick: Pick;
  readonly again: boolean;
  readonly lane: 'none' | 'own' | 'other';
  readonly worker: number;
  readonly instance: number;
  readonly strict: boolean;
  /** The capabilities that the execution needs; otherwise the following ones. */
  readonly capable: boolean;
  readonly capabilities: number;
  readonly kinds: readonly number[] | null;
  readonly ttlMs: number;
  readonly notes: number;
}

const NOTES = [
  {},
  { admissionSummary: 'slot 3 of 5' },
  { capabilityHash: 'abc', routeSnapshotJson: '{"to":"eu"}' },
] as const;

const issueChoices = {
  again: fc.boolean(),
  lane: fc.constantFrom('none' as const, 'none' as const, 'own' as const, 'own' as const, 'other' as const),
  worker: fc.constantFrom(0, 0, 0, 1),
  instance: fc.nat(1),
  strict: fc.boolean(),
  capable: fc.constantFrom(true, true, true, true, false),
  capabilities: fc.nat(CAPABILITY_SETS.length - 1),
  kinds: seldom(fc.subarray([0, 1, 2], { minLength: 1 }), 5),
  ttlMs: fc.constantFrom(1, 300, 2_000, 60_000, 60_000),
  notes: fc.nat(NOTES.length - 1),
};

const issue = (name: 'issueClaimGrant' | 'issueReclaimGrant') =>
  function resolve(world: World, choices: Issue): Command[] {
    const execution = choose(world, choices.pick);
    const capabilities = choices.capable
      ? execution?.requiredCapabilities
      : (CAPABILITY_SETS[choices.capabilities] as readonly string[]);
    return [
      {
        name,
        args: {
          executionId: chosenId(world, choices.pick),
          grantId: (choices.again ? execution?.grantId : undefined) ?? world.uuid(),
          laneId: laneOf(execution, choices.lane),
          workerId: POOLS[choices.worker] as string,
          workerInstanceId: `worker-${choices.instance}`,
          strict: choices.strict,
          workerCapabilities: [...(capabilities ?? [])],
          kinds: choices.kinds?.map((index) => KINDS[index] as string),
          grantTtlMs: choices.ttlMs,
          ...NOTES[choices.notes],
        },
      },
    ];
  };

interface Claim {
  readonly pick: Pick;
  readonly grant: 'none' | 'own' | 'wrong';
  readonly lane: 'none' | 'own' | 'other';
  /** The worker that has the grant; otherwise the following one. */
  readonly granted: boolean;
  readonly worker: number;
  readonly instance: number;
  /** The operation that fits its situation; otherwise the following one. */
  readonly fitting: boolean;
  readonly way: 'claimExecution' | 'claimResumedExecution' | 'reclaimExecution';
  readonly ttlMs: number;
  readonly cap: number | null;
  /** The lease in force, as after a lost reply. */
  readonly again: boolean;
}

/** The operation that takes an execution in this state. */
function wayOf(execution: ReadonlyExecution | undefined): Claim['way'] {
  if (execution === undefined) return 'claimExecution';
  if (isReclaimable(execution.situation)) return 'reclaimExecution';
  return execution.nextAttempt === 'resume' ? 'claimResumedExecution' : 'claimExecution';
}

function claimOf(world: World, choices: Claim): Command[] {
  const execution = choose(world, choices.pick);
  const grantee = choices.granted && execution?.grantWorkerId !== undefined ? execution : undefined;
  const current = choices.again ? execution : undefined;
  const leaseId = current?.currentLeaseId ?? world.uuid();
  const attemptId = (current?.currentLeaseId === undefined ? undefined : current.currentAttemptId) ?? world.uuid();
  const args = {
    executionId: chosenId(world, choices.pick),
    grantId: choices.grant === 'none' ? undefined : choices.grant === 'own' ? execution?.grantId : world.uuid(),
    laneId: laneOf(execution, choices.lane),
    workerId: grantee?.grantWorkerId ?? (POOLS[choices.worker] as string),
    workerInstanceId:
      choices.instance === 0 ? (grantee?.grantWorkerInstanceId ?? 'worker-0') : `worker-${choices.instance}`,
    leaseId,
    leaseTtlMs: choices.ttlMs,
  };
  const name = choices.fitting ? wayOf(execution) : choices.way;
  if (name === 'claimResumedExecution') return [{ name, args }];
  if (name === 'claimExecution') return [{ name, args: { ...args, attemptId } }];
  return [{ name, args: { ...args, attemptId, maxReclaimCount: choices.cap ?? undefined } }];
}

export const grantActions = {
  issue_grant: generator<Issue>({
    weight: 6,
    choices: {
      ...issueChoices,
      pick: pick('claimable', 'claimable', 'claimable', 'granted', 'runnable', 'held', 'running'),
    },
    resolve: issue('issueClaimGrant'),
  }),
  issue_reclaim: generator<Issue>({
    weight: 5,
    choices: { ...issueChoices, pick: pick('lapsed', 'lapsed', 'running', 'running', 'granted', 'terminal') },
    resolve: issue('issueReclaimGrant'),
  }),
  claim_granted: generator<Claim>({
    weight: 8,
    choices: {
      pick: pick('granted', 'granted', 'granted', 'granted', 'claimable', 'lapsed', 'running', 'delayed', 'terminal'),
      grant: fc.constantFrom('none', 'none', 'own', 'own', 'own', 'wrong'),
      lane: fc.constantFrom('none', 'none', 'own', 'own', 'other'),
      granted: fc.constantFrom(true, true, true, true, true, false),
      worker: fc.nat(POOLS.length - 1),
      instance: fc.constantFrom(0, 0, 1, 2),
      fitting: fc.constantFrom(true, true, true, true, false),
      way: fc.constantFrom('claimExecution', 'claimResumedExecution', 'reclaimExecution'),
      ttlMs,
      cap: seldom(fc.constantFrom(0, 1, 1_000), 4),
      again: fc.constantFrom(false, false, true),
    },
    resolve: claimOf,
  }),
  operator_claim: generator({
    weight: 4,
    choices: {
      pick: pick('claimable', 'claimable', 'claimable', 'delayed', 'delayed', 'granted', 'held', 'running', 'terminal'),
      lane: fc.constantFrom('none' as const, 'own' as const, 'own' as const, 'other' as const),
      ttlMs,
      again: fc.boolean(),
    },
    resolve(world, { pick, lane, ttlMs, again }) {
      const execution = choose(world, pick);
      const current = again ? execution : undefined;
      const args = {
        executionId: chosenId(world, pick),
        laneId: laneOf(execution, lane),
        leaseDurationMs: ttlMs,
        leaseId: current?.currentLeaseId ?? world.uuid(),
        attemptId: world.uuid(),
      };
      return [{ name: 'issueGrantAndClaim', args }];
    },
  }),
};

export const grantReads: Reads = ({ partition }, { index, limit }) => {
  const laneId = LANES[index % LANES.length] as string;
  const kinds = index % 2 === 0 ? undefined : [KINDS[index % KINDS.length] as string];
  const workerCapabilities =
    index % 3 === 0 ? undefined : [...(CAPABILITY_SETS[index % CAPABILITY_SETS.length] as readonly string[])];
  return (['waiting', 'lost'] as const).map((among) => [
    'scanEligibleExecutions',
    { partition, laneId, among, workerCapabilities, kinds, limit },
  ]);
};

const GRANT = {
  grantId: example.uuid(80),
  laneId: 'lane',
  workerId: 'w',
  workerInstanceId: 'w-1',
  strict: true,
  workerCapabilities: [example.SECRET],
  kinds: ['k'],
  grantTtlMs: 1_000,
  capabilityHash: 'hash',
  routeSnapshotJson: '{}',
  admissionSummary: 'admitted',
};
const CLAIM = {
  grantId: example.uuid(80),
  laneId: 'lane',
  workerId: 'w',
  workerInstanceId: 'w-1',
  leaseId: example.uuid(81),
  leaseTtlMs: 5_000,
};

/** Valid arguments of each command and read. */
export const grantExamples = {
  issueClaimGrant: { executionId: example.RUNNING, ...GRANT },
  issueReclaimGrant: { executionId: example.RUNNING, ...GRANT },
  claimExecution: { executionId: example.idOf(3), ...CLAIM, attemptId: example.uuid(82) },
  claimResumedExecution: { executionId: example.idOf(3), ...CLAIM },
  reclaimExecution: { executionId: example.RUNNING, ...CLAIM, attemptId: example.uuid(82), maxReclaimCount: 3 },
  issueGrantAndClaim: {
    executionId: example.idOf(4),
    laneId: 'lane',
    leaseDurationMs: 5_000,
    leaseId: example.uuid(81),
    attemptId: example.uuid(82),
  },
  scanEligibleExecutions: {
    partition: example.PARTITION,
    laneId: 'lane',
    among: 'lost',
    workerCapabilities: [example.SECRET],
    kinds: ['k'],
    limit: 5,
  },
} satisfies example.Examples;

/** What the indexes of the memory backend answer is what the specification's view derives from the executions. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { execute, type Store } from '../../model/execute.js';
import type { ParsedCommand } from '../../model/machine.js';
import { SpecMachine } from '../../model/specification/machine.js';
import { parseCommand } from '../../src/backend/boundary.js';
import { IndexedStore } from '../../src/memory/indexed-store.js';

const LANES = ['alpha', 'beta'] as const;
const CAPABILITY_SETS = [[], ['gpu'], ['gpu', 'big']] as const;
const KINDS = ['k', 'm'] as const;
const IDS = Array.from({ length: 8 }, (_, index) => `{fp:0}:00000000-0000-7000-8000-00000000000${index}`);
const START = 1_700_000_000_000;
const RETENTION_MS = 90_000;
const EVERYTHING = 1_000;

const uuidOf = (index: number): string => `11111111-1111-4111-8111-${index.toString(16).padStart(12, '0')}`;

const which = fc.nat(IDS.length - 1);
const lane = fc.constantFrom(...LANES);
const capabilities = fc.constantFrom(...CAPABILITY_SETS);
const owned = fc.constantFrom(
  'beginAttempt',
  'renewLease',
  'releaseLease',
  'completeExecution',
  'failExecution',
  'delayExecution',
  'updateProgress',
);

/** Steps towards what can happen; what they come to depends on the state they meet. */
const step = fc.oneof(
  fc.record({
    do: fc.constant('create' as const),
    which,
    lane,
    capabilities,
    kind: fc.constantFrom(...KINDS),
    priority: fc.nat(2),
    delayMs: fc.option(fc.nat(5_000)),
    deadlineMs: fc.option(fc.nat(20_000)),
    retries: fc.boolean(),
  }),
  fc.record({
    do: fc.constant('claim' as const),
    lane,
    capabilities,
    count: fc.integer({ min: 1, max: 3 }),
    kinds: fc.option(fc.subarray([...KINDS], { minLength: 1 }), { nil: undefined }),
    ahead: fc.boolean(),
    ttlMs: fc.integer({ min: 1_000, max: 5_000 }),
  }),
  fc.record({ do: fc.constant('as owner' as const), which, operation: owned, delayMs: fc.nat(3_000) }),
  fc.record({ do: fc.constantFrom('revoke' as const, 'cancel' as const, 'purge' as const), which }),
  fc.record({ do: fc.constant('apply due' as const), limit: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.oneof(fc.nat(3_000), fc.nat(200_000)) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** The command that a step comes to in this state. */
function commandOf(action: Step, store: Store, now: number, serial: () => string): ParsedCommand | undefined {
  if (action.do === 'wait') return undefined;
  if (action.do === 'create') {
    const policy = {
      timeoutPolicy:
        action.deadlineMs === null
          ? undefined
          : { executionDeadlineMs: action.deadlineMs + 1, attemptTimeoutMs: 2_000 },
      retryPolicy: action.retries ? { maxRetries: 1, backoff: { type: 'fixed', delayMs: 500 } } : undefined,
      routingRequirements: { requiredCapabilities: action.capabilities },
    };
    const executionId = IDS[action.which];
    const delayUntil = action.delayMs === null ? undefined : now + action.delayMs;
    const args = {
      executionId,
      namespace: 'n',
      laneId: action.lane,
      executionKind: action.kind,
      creatorIdentity: 'c',
      priority: action.priority,
      policy,
      delayUntil,
    };
    return parseCommand('createExecution', args, 'memory');
  }
  if (action.do === 'claim') {
    const claims = Array.from({ length: action.count }, () => ({ leaseId: serial(), attemptId: serial() }));
    const worker = { workerId: 'w', workerInstanceId: 'w1', workerCapabilities: action.capabilities };
    return parseCommand(
      'claimForWorker',
      {
        partition: '{fp:0}',
        laneId: action.lane,
        ...worker,
        kinds: action.kinds,
        ahead: action.ahead,
        leaseTtlMs: action.ttlMs,
        claims,
      },
      'memory',
    );
  }
  if (action.do === 'apply due') {
    // Which of a slot are purged first is free; the step `purge` purges.
    if (store.view.schedule.due(now, 1).length === 0) return undefined;
    return parseCommand('applyDue', { partition: '{fp:0}', limit: action.limit, jitter: 0.5 }, 'memory');
  }
  const executionId = IDS[action.which] as string;
  const execution = store.view.executions.get(executionId);
  switch (action.do) {
    case 'revoke':
      return parseCommand('revokeLease', { executionId }, 'memory');
    case 'cancel':
      return parseCommand('cancelExecution', { executionId, reason: 'r', source: 'operator_override' }, 'memory');
    case 'purge':
      return parseCommand('purgeExecution', { executionId }, 'memory');
    case 'as owner': {
      const leaseId = execution?.currentLeaseId ?? uuidOf(0);
      const fence = {
        leaseId,
        leaseEpoch: execution?.currentLeaseEpoch ?? 1,
        attemptId: execution?.currentAttemptId ?? uuidOf(0),
      };
      const more = {
        failExecution: { failureReason: 'r' },
        delayExecution: { delayUntil: now + action.delayMs },
        updateProgress: { progressPct: 1 },
      };
      const extra = action.operation in more ? more[action.operation as keyof typeof more] : {};
      return parseCommand(
        action.operation,
        { executionId, ...(action.operation === 'updateProgress' ? fence : { fence }), ...extra },
        'memory',
      );
    }
  }
}

function answersOf({ view: { executions, schedule, log } }: Store, now: number): unknown {
  const offers = CAPABILITY_SETS.flatMap((offered) =>
    [undefined, ...KINDS].map((kind) => ({
      meters: '',
      capabilities: new Set<string>(offered),
      kinds: kind === undefined ? undefined : new Set([kind]),
    })),
  );
  const claimable = LANES.flatMap((laneId) =>
    offers.flatMap((offer) =>
      [1, 2, EVERYTHING].map((limit) => schedule.claimable(laneId, offer, limit).map(({ executionId }) => executionId)),
    ),
  );
  return {
    claimable,
    due: [1, 2, EVERYTHING].map((limit) => schedule.due(now, limit)),
    // Order inside a slot is free, so only whole slots can be compared.
    purgeable: [now, now + RETENTION_MS, Infinity].map((at) => [...schedule.purgeable(at, EVERYTHING)].sort()),
    purgeablePageSize: schedule.purgeable(Infinity, 2).length,
    nextDueAt: schedule.nextDueAt(),
    executionIds: [undefined, ...IDS].map((after) => executions.ids(after, 3)),
    lanes: [undefined, ...LANES].flatMap((after) => [1, EVERYTHING].map((limit) => schedule.lanes(after, limit))),
    executions: IDS.map((id) => executions.get(id)),
    log: log.read(0, EVERYTHING),
    header: log.header,
  };
}

describe('the indexes of a partition in memory', () => {
  it('agree with the views of the specification after any sequence of operations', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        const settings = { retentionMs: RETENTION_MS };
        const indexed = new IndexedStore('{fp:0}', EVERYTHING, {
          onHead() {},
          onTimer() {},
          onAppended() {},
          onRoom() {},
          onBudgetRoom() {},
          onEnded() {},
          onFrames() {},
        });
        const spec = new SpecMachine(settings);
        let now = START;
        let minted = 0;
        for (const action of steps) {
          if (action.do === 'wait') now += action.ms;
          const command = commandOf(action, spec, now, () => uuidOf(minted++));
          if (command !== undefined) {
            const expected = spec.run(command, now);
            expect(execute(indexed, command, { now, settings })).toEqual(expected);
          }
          expect(answersOf(indexed, now)).toEqual(answersOf(spec, now));
        }
      }),
      { numRuns: 150 },
    );
  });
});

/** What the indexes of the memory backend answer is what the specification's view derives from the executions. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evolveInPlace } from '../../model/evolve.js';
import { execute, type Store } from '../../model/execute.js';
import type { ParsedCommand } from '../../model/machine.js';
import { dueCommand, nextTimer } from '../../model/schedule/timers.js';
import { SpecView } from '../../model/spec-view.js';
import { emptyPartition } from '../../model/state.js';
import { parseCommand } from '../../src/boundary.js';
import { IndexedStore } from '../../src/memory/indexed-store.js';

const LANES = ['alpha', 'beta'] as const;
const CAPABILITY_SETS = [[], ['gpu'], ['gpu', 'big']] as const;
const IDS = Array.from({ length: 8 }, (_, index) => `{fp:0}:00000000-0000-7000-8000-00000000000${index}`);
const START = 1_700_000_000_000;
const RETENTION_MS = 90_000;
const EVERYTHING = 1_000;

const uuidOf = (index: number): string => `11111111-1111-4111-8111-${index.toString(16).padStart(12, '0')}`;

/** The specification's tables with the specification's view. */
function specStore(): Store {
  const partition = emptyPartition();
  return {
    view: new SpecView(partition),
    record(event) {
      partition.log.push({ sequence: partition.log.length + 1, event });
      evolveInPlace(partition.state, event);
    },
    keepPayload: (id, bytes) => void partition.payloads.set(id, bytes),
    keepResult: (id, bytes) => void partition.results.set(id, bytes),
  };
}

const which = fc.nat(IDS.length - 1);
const lane = fc.constantFrom(...LANES);
const capabilities = fc.constantFrom(...CAPABILITY_SETS);
const owned = fc.constantFrom(
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
    ttlMs: fc.integer({ min: 1_000, max: 5_000 }),
  }),
  fc.record({ do: fc.constant('as owner' as const), which, operation: owned, delayMs: fc.nat(3_000) }),
  fc.record({ do: fc.constantFrom('revoke' as const, 'cancel' as const, 'due' as const, 'purge' as const), which }),
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
      executionKind: 'k',
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
      { partition: '{fp:0}', laneId: action.lane, ...worker, leaseTtlMs: action.ttlMs, claims },
      'memory',
    );
  }
  const executionId = IDS[action.which] as string;
  const execution = store.view.execution(executionId);
  switch (action.do) {
    case 'revoke':
      return parseCommand('revokeLease', { executionId }, 'memory');
    case 'cancel':
      return parseCommand('cancelExecution', { executionId, reason: 'r', source: 'operator_override' }, 'memory');
    case 'purge':
      return parseCommand('purgeExecution', { executionId }, 'memory');
    case 'due': {
      const timer = execution && nextTimer(execution);
      const due = timer && dueCommand(executionId, timer.kind);
      return due && parseCommand(due.name, due.args, 'memory');
    }
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
        { executionId, fence, ...(action.operation === 'updateProgress' ? fence : {}), ...extra },
        'memory',
      );
    }
  }
}

function answersOf(store: Store, now: number): unknown {
  const { view } = store;
  const claimable = LANES.flatMap((laneId) =>
    CAPABILITY_SETS.flatMap((offered) =>
      [1, 2, EVERYTHING].map((limit) =>
        view.claimable(laneId, new Set(offered), limit).map(({ executionId }) => executionId),
      ),
    ),
  );
  return {
    claimable,
    due: [1, 2, EVERYTHING].map((limit) => view.due(now, limit).map(({ executionId }) => executionId)),
    // Order inside a slot is free, so only whole slots can be compared.
    purgeable: [now, now + RETENTION_MS, Infinity].map((at) => [...view.purgeable(at, EVERYTHING)].sort()),
    purgeablePageSize: view.purgeable(Infinity, 2).length,
    nextDueAt: view.nextDueAt(),
    executionIds: [undefined, ...IDS].map((after) => view.executionIds(after, 3)),
    lanes: view.lanes(),
    executions: IDS.map((id) => view.execution(id)),
    log: view.log(0, EVERYTHING),
    logEnd: view.logEnd(),
  };
}

describe('the indexes of a partition in memory', () => {
  it('answer like the view by definition after any sequence of operations', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        const indexed = new IndexedStore(
          EVERYTHING,
          () => {},
          () => {},
        );
        const spec = specStore();
        let now = START;
        let minted = 0;
        for (const action of steps) {
          if (action.do === 'wait') now += action.ms;
          const command = commandOf(action, spec, now, () => uuidOf(minted++));
          if (command !== undefined) {
            const context = { now, settings: { retentionMs: RETENTION_MS } };
            const expected = execute(spec, command, context);
            expect(execute(indexed, command, context)).toEqual(expected);
          }
          expect(answersOf(indexed, now)).toEqual(answersOf(spec, now));
        }
      }),
      { numRuns: 150 },
    );
  });
});

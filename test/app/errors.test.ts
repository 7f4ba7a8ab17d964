/** What every error has in common that a user of the package can meet: a name, a code, a hint, whether to try again. */
import { inspect } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import { isRetryable } from '../../src/engine/retry.js';
import * as flowfabric from '../../src/index.js';

type ErrorClass = new (...args: never[]) => Error;

/** The error classes of all entry points, by name. */
async function everyClass(): Promise<ReadonlyMap<string, ErrorClass>> {
  const modules = await Promise.all([
    import('../../src/index.js'),
    import('../../src/memory/index.js'),
    import('../../src/embedded/index.js'),
    import('../../src/valkey/index.js'),
    import('../../src/testing/index.js'),
    import('../../src/engine/index.js'),
  ]);
  const exported = modules.flatMap((each) => Object.entries<unknown>({ ...each }));
  return new Map(
    exported.filter((entry): entry is [string, ErrorClass] => {
      const [, value] = entry;
      return typeof value === 'function' && value.prototype instanceof Error;
    }),
  );
}

type Made = Error & { readonly code: unknown; readonly hint: unknown; readonly retryable: unknown };
const {
  AppClosedError,
  BudgetExceededError,
  ChildrenFailedError,
  EngineError,
  FlowCancelledError,
  FlowFailedError,
  InvalidDefinitionError,
  InvalidInputError,
  InvalidSignalError,
  NonRetryableError,
  ReplayIncompleteError,
  ResultTimeoutError,
  ResultUnavailableError,
  RetryableError,
  RunCancelledError,
  RunDroppedError,
  RunExpiredError,
  RunFailedError,
  RunIdConflictError,
  RunNotFoundError,
  RunOfAnotherTaskError,
  RunSkippedError,
  RunStateError,
  StepError,
  TaskAbort,
  WaitTimeoutError,
} = flowfabric;
const ID = '{fp:0}:00000000-0000-4000-8000-000000000000';
const FAILURE = { name: 'CardError', message: 'declined', category: 'card' };

/** One of each, with its code, and whether the same call can succeed later. */
const ERRORS: readonly (readonly [Made, code: string, retryable: boolean])[] = [
  [new EngineError('transport_failed', 'The connection broke.'), 'transport_failed', true],
  [new RunFailedError(ID, 'declined', 'card'), 'run_failed', false],
  [new RunCancelledError(ID, 'changed mind'), 'run_cancelled', false],
  [new RunExpiredError(ID, 'execution_deadline'), 'run_expired', false],
  [new RunSkippedError(ID), 'run_skipped', false],
  [
    new FlowFailedError(ID, [{ id: ID, task: 'charge', state: 'failed', message: 'no funds', category: 'declined' }]),
    'flow_failed',
    false,
  ],
  [new FlowCancelledError(ID, ''), 'flow_cancelled', false],
  [new RunNotFoundError(ID), 'run_not_found', false],
  [new RunStateError(ID, 'ended'), 'run_state', false],
  [new ReplayIncompleteError(ID, [ID], 'gone', true), 'replay_incomplete', true],
  [new RunOfAnotherTaskError(ID, 'mail', 'charge'), 'run_of_another_task', false],
  [new RunIdConflictError(ID, 'charge', { id: 'o1' }), 'run_id_conflict', false],
  [new RunDroppedError('charge', [undefined]), 'run_dropped', true],
  [new ResultUnavailableError(ID, 'it was lost'), 'result_unavailable', false],
  [new ResultTimeoutError(ID, 5), 'result_timeout', true],
  [new InvalidInputError('charge', 'cents must be a number'), 'invalid_task_input', false],
  [new InvalidDefinitionError('Task "charge": lane must be a text'), 'invalid_definition', false],
  [new AppClosedError(), 'app_closed', false],
  [new RetryableError('try again'), 'handler_error', true],
  [new RetryableError('try again', { category: 'bank_down' }), 'bank_down', true],
  [new NonRetryableError('no such card'), 'handler_error', false],
  [
    new BudgetExceededError({
      budgetId: 'b',
      budget: 'tokens',
      dimension: 'tokens',
      asked: 4,
      usage: 1,
      reserved: 2,
      limit: 3,
    }),
    'budget_exceeded',
    true,
  ],
  [new WaitTimeoutError('approval', 0), 'wait_timeout', false],
  [new InvalidSignalError('approval', 'ann', 'must be a text'), 'invalid_signal', false],
  [new ChildrenFailedError('parts', 2, []), 'children_failed', false],
  [new StepError('charge', FAILURE, { isStored: true }), 'step_failed', false],
  [new StepError('charge', FAILURE, { isStored: false }), 'step_failed', true],
  [new TaskAbort('shutdown'), 'shutdown', true],
  [new TaskAbort('cancelled', 'changed mind'), 'cancelled', false],
];

/** Classes that are only the base of others. */
const BASES: readonly unknown[] = [flowfabric.AppError, flowfabric.RunError];

describe('every exported error', () => {
  it('is in this table', () => {
    const classes = Object.values(flowfabric).filter(
      (exported) => typeof exported === 'function' && exported.prototype instanceof Error && !BASES.includes(exported),
    );
    const inTable = new Set<unknown>(ERRORS.map(([error]) => error.constructor));
    expect(classes.filter((each) => !inTable.has(each))).toEqual([]);
    expect(inTable.size).toBe(classes.length);
  });

  it.each(ERRORS.map((row) => [`${row[0].constructor.name} ${row[1]}`, ...row] as const))(
    '%s has name, code, hint and retryable, and says nothing twice',
    (_, error, code, retryable) => {
      expect(error).toMatchObject({ code, retryable });
      // That of what a step threw is the step's.
      expect(error.name).toBe(error instanceof StepError ? 'CardError' : error.constructor.name);
      expect(error.hint).toMatch(/^[A-Z].*\.$/);
      expect(error.message).not.toContain(error.hint);
      expect(error.message).not.toBe('');
      const printed = inspect(error);
      expect(printed.split(String(error.hint)).length - 1, printed).toBeLessThanOrEqual(1);
    },
  );
});

describe('the errors of another copy of the package', async () => {
  const own = await everyClass();
  vi.resetModules();
  const other = await everyClass();
  const isKnown = (from: string, to: string): boolean =>
    Object.create((other.get(from) as ErrorClass).prototype as object) instanceof (own.get(to) as ErrorClass);

  it('are there', () => {
    expect(own.size).toBeGreaterThan(25);
    expect(other.get('AppError')).not.toBe(own.get('AppError'));
  });

  it.each([...own.keys()].filter((name) => name !== 'EngineError'))(
    '%s is an instance of its own class, and of no other',
    (name) => {
      // An EngineError is known by its members, which these objects do not have.
      const bases = [...own]
        .filter(
          ([each, base]) =>
            each !== 'EngineError' && Object.prototype.isPrototypeOf.call(base, own.get(name) as ErrorClass),
        )
        .map(([each]) => each);
      expect([...own.keys()].filter((each) => isKnown(name, each)).sort()).toEqual([name, ...bases].sort());
      class Mine extends (own.get(name) as ErrorClass) {}
      expect(Object.create((other.get(name) as ErrorClass).prototype as object)).not.toBeInstanceOf(Mine);
    },
  );

  it('know whether their calls can succeed later', () => {
    const { ResultTimeoutError: Timeout, InvalidInputError: Invalid } = Object.fromEntries(
      other,
    ) as unknown as typeof flowfabric;
    expect([new Timeout(ID, 5), new Invalid('t', 'p')].map(isRetryable)).toEqual([true, false]);
  });
});

it('has a hint for its own problem only', () => {
  const problems: Record<flowfabric.RunStateProblem, true> = {
    running: true,
    suspended: true,
    ended: true,
    not_ended: true,
    replayed_too_often: true,
    dependencies_failed: true,
    flow_unsettled: true,
    flow_cancelled: true,
  };
  const hints = Object.keys(problems).map(
    (problem) => new RunStateError(ID, problem as flowfabric.RunStateProblem).hint,
  );
  expect(new Set(hints).size).toBe(hints.length);
  // Those that pass without another action.
  const passing = Object.keys(problems).filter(
    (problem) => new RunStateError(ID, problem as flowfabric.RunStateProblem).retryable,
  );
  expect(passing).toEqual(['running', 'suspended', 'not_ended', 'flow_unsettled']);
  expect(new RunStateError(ID, 'ended').hint).not.toMatch(/priority/);
  // A member of a cancelled flow has ended, and its replay is refused.
  expect(new RunStateError(ID, 'ended').hint).toMatch(/`run\.replay\(\)`.*if .*flow/);
  // A signal does not end a sleep.
  expect(new RunStateError(ID, 'suspended').hint).toContain('ends only a wait for signals');
  // The same own id gives the failed run again.
  expect(new RunFailedError(ID, 'declined', 'card').hint).toContain('`run.replay()`');
  expect(new RunCancelledError(ID, '').hint).toMatch(/`run\.replay\(\)`.*the same id is the same run\.$/);
});

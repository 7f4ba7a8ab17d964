/**
 * The small worlds, explored exhaustively to a depth: no invariant is broken, everything that must be reachable is
 * reached, and from every state an honest worker reaches an end. Planted defects show that each kind of check can fail.
 */
import { describe, expect, it } from 'vitest';
import { accept, reject, type Operation } from '../../model/operation.js';
import { operationNamed, type OperationName } from '../../model/machine.js';
import { ALWAYS, explore, summaryOf, type Counterexample } from './explore.js';
import type { Registry } from './node.js';
import { SOMETIMES } from './reached.js';
import { SCENARIOS, type Scenario } from './scenarios.js';

const TIME_LIMIT_MS = 120_000;

describe('small worlds', () => {
  const reached = new Set<string>();

  it.each(SCENARIOS)('$name', { timeout: TIME_LIMIT_MS }, (scenario) => {
    const result = explore(scenario, { depth: scenario.depth });
    console.log(summaryOf(result));
    expect(result.counterexample).toBeUndefined();
    expect(result.depth).toBe(scenario.depth);
    for (const property of result.reached.keys()) reached.add(property);
  });

  it(`hold ${ALWAYS} properties always and show ${SOMETIMES.length} sometimes`, () => {
    expect(SOMETIMES.filter((property) => !reached.has(property))).toEqual([]);
  });
});

/** The registry with one operation broken. */
const broken = (name: OperationName, decide: (intact: Operation) => Operation['decide']): Registry => {
  const intact = operationNamed(name);
  const planted: Operation = { ...intact, decide: decide(intact) };
  return (wanted) => (wanted === name ? planted : operationNamed(wanted));
};

const [first] = SCENARIOS as [Scenario];
const findIn = (scenario: Scenario, registry: Registry): Counterexample | undefined =>
  explore(scenario, { depth: 7, states: 5_000 }, registry).counterexample;

const pathOf = ({ path }: Counterexample): string[] =>
  path.split('\n').map((line) => line.replace(/^ *\+(\d+) ms {2}/, '+$1 '));

describe('a planted defect is found by a shortest path', () => {
  it('a completion that ignores the fence', () => {
    const found = findIn(
      first,
      broken(
        'completeExecution',
        ({ decide }) =>
          (view, args, context) =>
            decide(view, { ...args, fence: undefined, attemptIndex: undefined, source: 'operator_override' }, context),
      ),
    );
    expect(found?.property).toBe('nobody but the newest owner changes anything');
    expect(pathOf(found as Counterexample)).toEqual([
      '+0 create 1 -> created',
      '+0 A claims -> claimed',
      '+0 nobody completes -> completed',
    ]);
  });

  it('a lease that is valid for one millisecond too long', () => {
    const found = findIn(
      first,
      broken('completeExecution', ({ decide }) => (view, args, { now, settings }) => {
        const decision = decide(view, args, { now: now - 1, settings });
        if (!decision.ok) return decision;
        return accept(decision.outcome, ...decision.events.map((event) => ({ ...event, at: now })));
      }),
    );
    expect(found?.property).toBe('an owner changes nothing at or after the end of its lease');
    expect(pathOf(found as Counterexample)).toEqual([
      '+0 create 1 -> created',
      '+0 A claims -> claimed',
      '+1000 time passes, it is +1000 ms',
      '+1000 A completes -> completed',
    ]);
  });

  it('a claim that does not increment the epoch', () => {
    const found = findIn(
      first,
      broken('claimForWorker', ({ decide }) => (view, args, context) => {
        const decision = decide(view, args, context);
        if (!decision.ok) return decision;
        return accept(
          decision.outcome,
          ...decision.events.map((event) => ('leaseEpoch' in event ? { ...event, leaseEpoch: 1 } : event)),
        );
      }),
    );
    expect(found?.property).toContain('epoch');
    expect(pathOf(found as Counterexample)).toHaveLength(4);
  });

  it('a refusal with an undeclared code', () => {
    const found = findIn(
      first,
      broken('renewLease', () => () => reject('max_releases_exceeded')),
    );
    expect(found?.property).toBe('an operation refuses only with codes that it declares');
  });

  it('a delay that never ends', () => {
    const found = findIn(
      first,
      broken('applyDue', ({ decide }) => (view, args, context) => {
        const decision = decide(view, args, context);
        if (!decision.ok) return decision;
        return accept(decision.outcome, ...decision.events.filter(({ type }) => type !== 'execution_promoted'));
      }),
    );
    expect(found?.property).toBe('everything ends once an honest worker works');
    expect(found?.because).toContain('changes nothing');
  });
});

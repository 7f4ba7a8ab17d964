/** Engines with subscriptions under a clock that stands still: what arrives was announced, not polled for. */
import { onTestFinished } from 'vitest';
import type { Backend } from '../../src/backend/backend.js';
import { Subscriptions, type Delivery, type Subscription } from '../../src/engine/index.js';
import { testEngine, type TestEngine, type TestEngineOptions } from '../../src/testing/index.js';
import { VirtualClock } from '../../src/testing/virtual-clock.js';
import { sharedValkey } from '../support/valkey/index.js';

export type Label = 'memory' | 'valkey';

export interface Feeds {
  readonly engine: TestEngine;
  /** As a process of its own has it: with no hub of others. */
  readonly backend: Backend;
  readonly feeds: Subscriptions;
  readonly clock: VirtualClock;
  /** Calls of the backend by name. */
  readonly calls: Map<string, number>;
  create(partition?: number, more?: object): Promise<string>;
}

/** A view of a backend that counts its calls and in which some are replaced. */
function viewOf(inner: Backend, changed: Partial<Backend> = {}) {
  const calls = new Map<string, number>();
  const backend = new Proxy({ ...inner, ...changed } as Backend, {
    get(target, name: keyof Backend) {
      const member = target[name] as unknown;
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        calls.set(name as string, (calls.get(name as string) ?? 0) + 1);
        return (member as (...args: unknown[]) => unknown)(...args);
      };
    },
  });
  return { backend, calls };
}

export async function feedsOn(
  label: Label,
  options: Omit<TestEngineOptions, 'backend'> = {},
  changed: (inner: Backend) => Partial<Backend> = () => ({}),
): Promise<Feeds> {
  const backend = label === 'memory' ? 'memory' : { url: (await sharedValkey()).url };
  const engine = await testEngine({ partitions: { count: 3 }, ...options, backend });
  onTestFinished(() => engine.close());
  const { backend: view, calls } = viewOf(engine.backend, changed(engine.backend));
  const clock = new VirtualClock(0);
  return {
    engine,
    backend: view,
    clock,
    calls,
    feeds: new Subscriptions(view, clock),
    async create(partition = 0, more = {}) {
      const executionId = engine.executionId(partition);
      await engine.backend.createExecution({
        ...{ executionId, namespace: 'n', laneId: 'lane', executionKind: 'kind', creatorIdentity: 'test' },
        ...more,
      });
      return executionId;
    },
  };
}

/** Resolves when what was called so far is answered, and what follows from it: calls share a connection, in order. */
export async function answered({ backend }: TestEngine): Promise<void> {
  for (let i = 0; i < 4; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    await backend.ping();
  }
  await new Promise((resolve) => setImmediate(resolve));
}

/** Lets time pass until the promise settles. A server needs real time to answer in between. */
export async function passing<Value>({ engine, clock }: Feeds, promise: Promise<Value>): Promise<Value> {
  let isSettled = false;
  const settled = (): boolean => (isSettled = true);
  promise.then(settled, settled);
  while (!isSettled) {
    await clock.advance(5_000);
    await answered(engine);
  }
  return promise;
}

/** The next deliveries of a subscription. */
export async function take<Said>(subscription: Subscription<Said>, count: number): Promise<Delivery<Said>[]> {
  const taken: Delivery<Said>[] = [];
  while (taken.length < count) {
    const { done, value } = await subscription.next();
    if (done) break;
    taken.push(value);
  }
  return taken;
}

export const cancel = (engine: TestEngine, executionId: string): Promise<unknown> =>
  engine.backend.cancelExecution({ executionId, reason: 'r', source: 'operator_override' });

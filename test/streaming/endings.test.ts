/** Every ending of an attempt closes its stream, and whatever only interrupts the attempt leaves it open. Spec 07 section 6. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ArgsOf } from '../../model/machine.js';
import type { Backend } from '../../src/index.js';
import { claim, fenceOf, LANE, take, TTL_MS } from '../../src/testing/conformance/steps.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

type Policy = ArgsOf<'createExecution'>['policy'];
type Fence = ReturnType<typeof fenceOf>;

/** The owner of an attempt with a frame, in a flow with another member. */
class Owner {
  private constructor(
    readonly engine: TestEngine,
    readonly flowId: string,
    readonly executionId: string,
    readonly other: string,
    readonly fence: Fence,
  ) {}

  static async begin(engine: TestEngine, policy: Policy): Promise<Owner> {
    const [flowId, executionId, other] = [engine.executionId(), engine.executionId(), engine.executionId()];
    const members = [
      { executionId, laneId: LANE, executionKind: 'k', ...(policy && { policy }) },
      { executionId: other, laneId: 'other', executionKind: 'k' },
    ];
    await engine.backend.createFlow({ flowId, flowKind: 'f', namespace: 'n', graph: { members } });
    const owner = new Owner(engine, flowId, executionId, other, fenceOf(await take(engine)));
    await engine.backend.appendFrame({ ...owner.owned, attemptIndex: 0, payload: Uint8Array.of(1) });
    return owner;
  }

  get backend(): Backend {
    return this.engine.backend;
  }

  get owned() {
    return { executionId: this.executionId, fence: this.fence };
  }

  passes(ms: number): void {
    this.engine.setTime(this.engine.now() + ms);
  }

  suspend(facts: Partial<ArgsOf<'suspendExecution'>> = {}) {
    const waitpoints = [{ waitpointId: this.engine.uuid(), waitpointKey: 'k' }];
    const resumeCondition = { type: 'operator_only' } as const;
    const suspensionId = this.engine.uuid();
    return this.backend.suspendExecution({ ...this.owned, suspensionId, waitpoints, resumeCondition, ...facts });
  }

  async resume(): Promise<void> {
    await this.suspend();
    await this.backend.resumeExecution({ executionId: this.executionId });
  }

  delay() {
    return this.backend.delayExecution({ ...this.owned, delayUntil: this.engine.now() + 60_000 });
  }

  async awaitChild(): Promise<void> {
    const child = { executionId: this.engine.executionId(), laneId: 'other', executionKind: 'k' };
    const children = [{ ...child, edgeId: this.engine.uuid() }];
    await this.backend.spawnChildren({ ...this.owned, flowId: this.flowId, children });
    await this.backend.moveToWaitingChildren(this.owned);
  }

  cancel(executionId = this.executionId) {
    return this.backend.cancelExecution({ executionId, reason: 'r', source: 'operator_override' });
  }

  async timeOut(ms: number, expireReason: 'attempt_timeout' | 'execution_deadline'): Promise<void> {
    this.passes(ms);
    await this.backend.expireExecution({ executionId: this.executionId, expireReason });
  }

  /** The execution gets a dependency that then fails. */
  async becomeImpossible(): Promise<void> {
    const ends = { upstreamExecutionId: this.other, downstreamExecutionId: this.executionId };
    await this.backend.addDependency({ flowId: this.flowId, edgeId: this.engine.uuid(), ...ends });
    await this.cancel(this.other);
  }

  async stream() {
    return this.backend.readStream({ executionId: this.executionId, attemptIndex: 0 });
  }
}

type Story = (owner: Owner) => Promise<unknown>;
const RETRY: Policy = { retryPolicy: { maxRetries: 1, backoff: { type: 'fixed', delayMs: 5 } } };
const SHORT: Policy = { timeoutPolicy: { attemptTimeoutMs: 100 } };
const DEADLINE: Policy = { timeoutPolicy: { executionDeadlineMs: 100 } };

const timesOutAs =
  (timeoutBehavior: ArgsOf<'suspendExecution'>['timeoutBehavior']): Story =>
  async (owner) => {
    await owner.suspend({ timeoutAt: owner.engine.now() + 100, timeoutBehavior });
    owner.passes(100);
    await owner.backend.expireSuspension({ executionId: owner.executionId });
  };

const endsAfter =
  (interruption: Story, ending: Story): Story =>
  async (owner) => {
    await interruption(owner);
    await ending(owner);
  };
const cancelled: Story = (owner) => owner.cancel();
const overdue: Story = (owner) => owner.timeOut(100, 'execution_deadline');

const ENDINGS: [closedReason: string, how: string, story: Story, policy?: Policy][] = [
  ['attempt_success', 'completed', (o) => o.backend.completeExecution(o.owned)],
  ['attempt_failure', 'failed', (o) => o.backend.failExecution({ ...o.owned, failureReason: 'r' })],
  ['attempt_failure', 'to be retried', (o) => o.backend.failExecution({ ...o.owned, failureReason: 'r' }), RETRY],
  ['attempt_cancelled', 'cancelled while running', cancelled],
  ['attempt_cancelled', 'cancelled while suspended', endsAfter((o) => o.suspend(), cancelled)],
  ['attempt_cancelled', 'cancelled while resumed and unclaimed', endsAfter((o) => o.resume(), cancelled)],
  ['attempt_cancelled', 'cancelled while delayed', endsAfter((o) => o.delay(), cancelled)],
  ['attempt_cancelled', 'cancelled while its children run', endsAfter((o) => o.awaitChild(), cancelled)],
  ['expired', 'out of the time of the attempt', (o) => o.timeOut(100, 'attempt_timeout'), SHORT],
  // The attempt ends as failed: the execution goes on.
  ['attempt_failure', 'out of time, to be retried', (o) => o.timeOut(100, 'attempt_timeout'), { ...RETRY, ...SHORT }],
  ['expired', 'past the deadline while running', overdue, DEADLINE],
  ['expired', 'past the deadline while suspended', endsAfter((o) => o.suspend(), overdue), DEADLINE],
  ['expired', 'past the deadline while resumed and unclaimed', endsAfter((o) => o.resume(), overdue), DEADLINE],
  ['expired', 'past the deadline while delayed', endsAfter((o) => o.delay(), overdue), DEADLINE],
  ['expired', 'past the deadline while its children run', endsAfter((o) => o.awaitChild(), overdue), DEADLINE],
  ['suspension_timeout', 'failed by the timeout of its wait', timesOutAs('fail')],
  ['suspension_timeout', 'cancelled by the timeout of its wait', timesOutAs('cancel')],
  ['suspension_timeout', 'expired by the timeout of its wait', timesOutAs('expire')],
  [
    'lease_expired',
    'without a renewal',
    async (owner) => {
      owner.passes(TTL_MS);
      await owner.backend.markLeaseExpiredIfDue({ executionId: owner.executionId });
      // The first reason stays, also when another worker takes over.
      expect((await claim(owner.engine)).kind).toBe('claimed');
    },
  ],
  [
    'reclaimed',
    'revoked, and then taken over',
    async ({ backend, engine, executionId }) => {
      await backend.revokeLease({ executionId, reason: 'r' });
      expect((await claim(engine)).kind).toBe('claimed');
    },
  ],
  [
    'dependency_impossible',
    'released, and then skipped',
    endsAfter(
      (o) => o.backend.releaseLease(o.owned),
      (o) => o.becomeImpossible(),
    ),
  ],
];

const INTERRUPTIONS: [how: string, story: Story][] = [
  ['released', (o) => o.backend.releaseLease(o.owned)],
  ['delayed', (o) => o.delay()],
  ['revoked', (o) => o.backend.revokeLease({ executionId: o.executionId, reason: 'r' })],
  ['suspended', (o) => o.suspend()],
  ['resumed by an operator', (o) => o.resume()],
  ['waiting for its children', (o) => o.awaitChild()],
  ...(['auto_resume_with_timeout_signal', 'escalate'] as const).map((behavior): [string, Story] => [
    `timed out as ${behavior}`,
    timesOutAs(behavior),
  ]),
];

describe.each(['memory', 'valkey'] as const)('on %s', (name) => {
  let engine: TestEngine;
  beforeAll(async () => {
    engine = await testEngine({ backend: name === 'memory' ? 'memory' : { url: (await sharedValkey()).url } });
  });
  beforeEach(() => engine.clear());
  afterAll(() => engine?.close());

  test.each<(typeof ENDINGS)[number]>(ENDINGS)(
    'a stream closes with %s: %s',
    async (closedReason, _, story, policy) => {
      const owner = await Owner.begin(engine, policy);
      await story(owner);
      const closedAt = engine.now();
      expect(await owner.stream()).toMatchObject({ isClosed: true, closedReason, closedAt });
      // An end of the execution changes nothing, if it has not ended already.
      owner.passes(1_000);
      await owner.cancel().catch((error: unknown) => expect(error).toMatchObject({ code: 'execution_not_active' }));
      expect(await owner.stream()).toMatchObject({ isClosed: true, closedReason, closedAt, frames: [{}] });
    },
  );

  test.each(INTERRUPTIONS)('a stream stays open: %s', async (_, story) => {
    const owner = await Owner.begin(engine, undefined);
    await story(owner);
    expect(await owner.stream()).toMatchObject({ isClosed: false, closedReason: undefined, closedAt: undefined });
  });
});

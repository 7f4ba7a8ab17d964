/** Conformance of executions that wait for signals. */
import assert from 'node:assert/strict';
import { present } from '../../../model/core/present.js';
import { handleOf } from '../../../model/handle.js';
import type { ArgsOf } from '../../../model/machine.js';
import type { ClaimedExecution } from '../../../model/schedule/claimed.js';
import { claim, create, fenceOf, PARTITION, refused, stateOf, take, type ConformanceScenario } from './steps.js';
import type { TestEngine } from '../engine.js';

const KEY = 'release';
type Waiting = Partial<Omit<ArgsOf<'suspendExecution'>, 'waitpoints'>>;

/** An execution whose owner waits for two people; returns the owner, the waitpoint and the suspension. */
async function suspended(engine: TestEngine, facts: Waiting = {}) {
  const executionId = await create(engine);
  const owner = await take(engine);
  const [waitpointId, suspensionId] = [engine.uuid(), engine.uuid()];
  const args: ArgsOf<'suspendExecution'> = {
    executionId,
    fence: fenceOf(owner),
    suspensionId,
    waitpoints: [{ waitpointId, waitpointKey: KEY }],
    resumeCondition: {
      type: 'count',
      n: 2,
      countKind: 'distinct_sources',
      matcher: { type: 'by_name', name: 'approved' },
      waitpoints: [KEY],
    },
    reasonCode: 'waiting_for_approval',
    ...facts,
  };
  assert.equal((await engine.backend.suspendExecution(args)).kind, 'suspended');
  return { executionId, owner, waitpointId, suspensionId, args };
}

type Target = Pick<Awaited<ReturnType<typeof suspended>>, 'executionId' | 'waitpointId'>;

async function approve(
  engine: TestEngine,
  { executionId, waitpointId }: Target,
  decidedBy: string,
  signalName = 'approved',
) {
  const signalId = engine.uuid();
  const answer = await engine.backend.deliverApprovalSignal({
    executionId,
    waitpointId,
    signalId,
    signalName,
    idempotencySuffix: decidedBy,
    decidedBy,
  });
  return { signalId, effect: answer.kind === 'accepted' ? answer.effect : answer.kind };
}

const resumed = async (engine: TestEngine): Promise<ClaimedExecution> => {
  const owner = await take(engine);
  assert.equal(owner.claimKind, 'resumed');
  return owner;
};

/** 64 hex characters are 32 random bytes. */
const SECRETS = [new Uint8Array(32).fill(7), new Uint8Array(80).fill(9)] as const;

export const waitingScenarios: readonly ConformanceScenario[] = [
  {
    name: 'a suspension is known under every idempotency key, also under the name of a member that objects inherit',
    async run(engine) {
      for (const idempotencyKey of ['__proto__', 'constructor']) {
        const { args, suspensionId } = await suspended(engine, { idempotencyKey });
        const again = await engine.backend.suspendExecution({ ...args, suspensionId: engine.uuid() });
        assert.deepEqual([again.kind, again.suspensionId], ['suspended', suspensionId]);
      }
    },
  },
  {
    name: 'payloads of signals are read by the worker that continues, page by page, and purged with the execution',
    options: { retentionMs: 1_000 },
    async run(engine) {
      const { backend } = engine;
      const target = await suspended(engine, {
        resumeCondition: { type: 'count', n: 3, countKind: 'distinct_signals', waitpoints: [KEY] },
      });
      const { executionId, waitpointId } = target;
      await backend.rotateWaitpointHmacSecret({ partition: PARTITION, newKid: 'k1', newSecret: SECRETS[0] });
      const token = await backend.readWaitpointToken({ executionId, waitpointId });
      const payloads = [Uint8Array.from([0, 255, 10]), new Uint8Array(65_536).fill(7), new Uint8Array(0)];
      for (const [i, payload] of payloads.entries()) {
        const waitpointToken = token?.reveal() ?? '';
        const facts = { correlationId: `case-${i}`, createdAt: 5 + i, payloadEncoding: 'raw', resumeDelayMs: 300 };
        const signalId = engine.uuid();
        await backend.deliverSignal({
          ...{ executionId, waitpointId, waitpointToken, signalId },
          ...facts,
          signalName: 'done',
          payload,
        });
      }
      const tooLong = backend.deliverSignal({
        ...{ executionId, waitpointId, waitpointToken: 'k1:x', signalId: engine.uuid(), signalName: 'done' },
        payload: new Uint8Array(65_537),
      });
      await refused(tooLong, 'payload_too_large');
      assert.equal(await stateOf(engine, executionId), 'delayed');
      await engine.advance(300);
      const owner = await resumed(engine);
      const handle = handleOf(owner, {
        backend: backend.label,
        laneId: 'lane',
        workerInstanceId: 'w',
        leaseTtlMs: 1_000,
      });
      const first = await backend.observeSignals({ handle, limit: 2 });
      assert.deepEqual(
        first.signals.map(({ payload, payloadEncoding, correlationId, createdAt, waitpointKey }) => [
          payload && Buffer.from(payload),
          ...[payloadEncoding, correlationId, createdAt, waitpointKey],
        ]),
        [
          [Buffer.from(present(payloads[0])), 'raw', 'case-0', 5, KEY],
          [Buffer.from(present(payloads[1])), 'raw', 'case-1', 6, KEY],
        ],
      );
      const cursor = present(first.nextCursor);
      const rest = await backend.observeSignals({ handle, cursor });
      assert.deepEqual(
        rest.signals.map(({ payload, payloadEncoding, correlationId }) => [payload, payloadEncoding, correlationId]),
        [[undefined, undefined, 'case-2']],
      );
      assert.equal(rest.nextCursor, undefined);
      const listed = await backend.listSignals({ executionId, limit: 2 });
      const others = await backend.listSignals({ executionId, cursor: present(listed.nextCursor) });
      assert.deepEqual(
        [...listed.signals, ...others.signals].map(({ payload }) => payload?.length ?? 0).sort((a, b) => a - b),
        [0, 3, 65_536],
      );
      await backend.completeExecution({ handle });
      await engine.advance(200_000);
      assert.deepEqual((await engine.canonicalState(PARTITION)).payloads, {});
    },
  },
  {
    name: 'a caller with the token of a waitpoint can signal it, until its key was replaced and the grace is over',
    async run(engine) {
      const { backend } = engine;
      const target = await suspended(engine, {
        resumeCondition: { type: 'single', waitpointKey: KEY, matcher: { type: 'by_name', name: 'done' } },
      });
      const { executionId, waitpointId } = target;
      await refused(backend.readWaitpointToken({ executionId, waitpointId }), 'hmac_secret_not_initialized');
      const rotate = (newKid: string, newSecret: Uint8Array) =>
        backend.rotateWaitpointHmacSecret({ partition: PARTITION, newKid, newSecret, graceMs: 1_000 });
      assert.equal((await rotate('k1', SECRETS[0])).kind, 'rotated');
      const token = await backend.readWaitpointToken({ executionId, waitpointId });
      const send = (signalName: string, waitpointToken = token?.reveal() ?? '') =>
        backend.deliverSignal({ executionId, waitpointId, waitpointToken, signalId: engine.uuid(), signalName });
      const other = await suspended(engine);
      const foreign = await backend.readWaitpointToken({
        executionId: other.executionId,
        waitpointId: other.waitpointId,
      });
      await refused(send('done', foreign?.reveal()), 'invalid_token');
      await refused(send('done', ''), 'missing_token');
      await refused(send('done', `k1:${'0'.repeat(40)}`), 'invalid_token');
      const ignored = await send('other');
      assert.equal(ignored.kind === 'accepted' && ignored.effect, 'no_op');
      await rotate('k2', SECRETS[1]);
      await refused(rotate('k1', SECRETS[1]), 'rotation_conflict');
      const kids = await backend.listWaitpointHmacKids({ partition: PARTITION });
      assert.equal(kids.currentKid, 'k2');
      assert.deepEqual(
        kids.verifying.map(({ kid }) => kid),
        ['k1'],
      );
      engine.setTime(engine.now() + 1_001);
      await refused(send('done'), 'token_expired');
      const renewed = await backend.readWaitpointToken({ executionId, waitpointId });
      assert.match(renewed?.reveal() ?? '', /^k2:[0-9a-f]{40}$/);
      assert.equal(JSON.stringify({ renewed }), '{"renewed":"k2:<REDACTED:len=40>"}');
      const done = await send('done', renewed?.reveal());
      assert.equal(done.kind === 'accepted' && done.effect, 'resume_condition_satisfied');
      await refused(send('done', renewed?.reveal()), 'waitpoint_closed');
      assert.equal((await resumed(engine)).executionId, executionId);
      // Neither a secret nor a token is in the log.
      const { events } = await backend.readLog({ partition: PARTITION });
      const log = JSON.stringify(events);
      for (const text of [token?.reveal(), renewed?.reveal(), Buffer.from(SECRETS[0]).toString('hex')])
        assert.equal(log.includes((text ?? '').slice(3)), false);
    },
  },
  {
    name: 'tokens are those of the contract, byte for byte',
    async run(engine) {
      const { backend } = engine;
      engine.setTime(1_700_000_000_000);
      const id = '11111111-1111-4111-8111-111111111111';
      const vectors = [
        ['ab'.repeat(32), id, 'wpk:a', 'bfbdb08cba167f486aba20c6a6f129485b050532'],
        // The secret is longer than a block of the hash.
        ['ab'.repeat(70), id, 'wpk:a|b', '3b641a7143d56080953ab28a9215008ba291470d'],
        [`${'00'.repeat(31)}01`, id.replaceAll(/[48]/g, '1'), 'wpk:abc', '7066f3b871fe6e99955568cd37fb5fadfcee3eb3'],
      ] as const;
      for (const [n, [secret, waitpointId, waitpointKey, digest]] of vectors.entries()) {
        const newSecret = Uint8Array.from(Buffer.from(secret, 'hex'));
        await backend.rotateWaitpointHmacSecret({ partition: PARTITION, newKid: `k${n}`, newSecret });
        const executionId = await create(engine);
        const owner = { executionId, fence: fenceOf(await take(engine)) };
        const waitpoint = { waitpointId, waitpointKey, expiresInMs: 60_000 };
        const { waitpointToken } = await backend.createPendingWaitpoint({ ...owner, ...waitpoint });
        const read = await backend.readWaitpointToken({ executionId, waitpointId });
        assert.deepEqual([waitpointToken.reveal(), read?.reveal()], [`k${n}:${digest}`, `k${n}:${digest}`]);
      }
    },
  },
  {
    name: 'an execution that waits for two approvals has no owner, and continues its attempt after both',
    async run(engine) {
      const { backend } = engine;
      const target = await suspended(engine);
      const { executionId, owner, args } = target;
      assert.equal((await claim(engine)).kind, 'no_work');
      const snapshot = await backend.describeExecution({ executionId });
      assert.deepEqual([snapshot?.publicState, snapshot?.blockingReason], ['suspended', 'waiting_for_approval']);
      // After a lost reply, the same call gives the same answer.
      assert.equal((await backend.suspendExecution(args)).kind, 'suspended');
      const effects = [await approve(engine, target, 'ann'), await approve(engine, target, 'ann')];
      const described = await backend.describeSuspension({ executionId });
      assert.deepEqual(described?.awaitedSignals, [{ names: ['approved'], received: 1, needed: 2 }]);
      effects.push(await approve(engine, target, 'bob', 'rejected'), await approve(engine, target, 'bob'));
      assert.deepEqual(
        effects.map(({ effect }) => effect),
        ['appended_to_waitpoint', 'duplicate', 'signal_ignored_matcher_failed', 'resume_condition_satisfied'],
      );
      const next = await resumed(engine);
      assert.deepEqual([next.attemptId, next.leaseEpoch, next.attemptIndex], [owner.attemptId, 2, 0]);
      const observed = await backend.observeSignals({ executionId, attemptIndex: 0 });
      assert.equal(observed.resumeTrigger, 'signal');
      assert.deepEqual(
        observed.signals.map(({ sourceIdentity }) => sourceIdentity),
        ['ann', 'bob'],
      );
      assert.equal((await backend.listSignals({ executionId })).signals.length, 3);
      await refused(backend.completeExecution({ executionId, fence: fenceOf(owner) }), 'stale_lease');
      await backend.completeExecution({ executionId, fence: fenceOf(next) });
      const late = approve(engine, target, 'cleo');
      await refused(late, 'target_not_signalable');
    },
  },
  {
    name: 'the timeout of a suspension ends the execution, resumes it, or escalates to an operator',
    async run(engine) {
      const { backend } = engine;
      const timeoutAt = engine.now() + 604_800_000;
      const behaviors = ['fail', 'cancel', 'expire', 'auto_resume_with_timeout_signal', 'escalate'] as const;
      const targets = [];
      for (const timeoutBehavior of behaviors) targets.push(await suspended(engine, { timeoutAt, timeoutBehavior }));
      await engine.advance(604_800_000);
      const states = await Promise.all(targets.map(({ executionId }) => stateOf(engine, executionId)));
      assert.deepEqual(states, ['failed', 'cancelled', 'expired', 'waiting', 'suspended']);
      const next = await resumed(engine);
      const { signals, resumeTrigger } = await backend.observeSignals({
        executionId: next.executionId,
        attemptIndex: 0,
      });
      assert.equal(resumeTrigger, 'timeout');
      const [signal] = signals;
      assert.deepEqual([signal?.signalName, signal?.sourceType], ['__timeout__', 'engine']);
      const escalated = present(targets.at(-1));
      const { executionId } = escalated;
      const shown = await backend.describeSuspension({ executionId });
      assert.deepEqual([shown?.reasonCode, shown?.timeoutAt], ['waiting_for_operator_review', undefined]);
      const { lastMutationAt } = present(await backend.describeExecution({ executionId }));
      assert.ok(lastMutationAt >= timeoutAt);
      await backend.resumeExecution({ executionId });
      assert.equal((await resumed(engine)).executionId, executionId);
    },
  },
  {
    name: 'a cancellation closes the waitpoints of an execution, and a purge removes them',
    options: { retentionMs: 1_000 },
    async run(engine) {
      const { backend } = engine;
      const target = await suspended(engine, { resumePolicy: { resumeDelayMs: 500 } });
      const { executionId } = target;
      await approve(engine, target, 'ann');
      await backend.cancelExecution({ executionId, reason: 'no need', source: 'operator_override' });
      const closed = await backend.describeSuspension({ executionId });
      assert.deepEqual([closed?.closeReason, closed?.waitpoints[0]?.state], ['cancelled', 'closed']);
      await engine.advance(200_000);
      assert.equal(await backend.describeSuspension({ executionId }), undefined);
      assert.deepEqual((await backend.listSignals({ executionId })).signals, []);
    },
  },
  {
    name: 'a resumed execution waits for its delay, and a second suspension replaces the first',
    async run(engine) {
      const { backend } = engine;
      const target = await suspended(engine, { resumePolicy: { resumeDelayMs: 500 } });
      const { executionId } = target;
      await approve(engine, target, 'ann');
      await approve(engine, target, 'bob');
      assert.equal(await stateOf(engine, executionId), 'delayed');
      await engine.advance(500);
      const owner = await resumed(engine);
      const waitpointId = engine.uuid();
      const again = {
        ...target.args,
        fence: fenceOf(owner),
        suspensionId: engine.uuid(),
        waitpoints: [{ waitpointId, waitpointKey: KEY }],
      };
      await refused(
        backend.suspendExecution({ ...again, waitpoints: target.args.waitpoints }),
        'waitpoint_already_exists',
      );
      await backend.suspendExecution(again);
      await refused(approve(engine, target, 'cleo'), 'waitpoint_closed');
      const shown = await backend.describeSuspension({ executionId });
      assert.deepEqual([shown?.suspensionId, shown?.satisfierSignalIds], [again.suspensionId, []]);
    },
  },
  {
    name: 'a token can be handed out before the suspension: early signals are kept, also if the worker is lost',
    options: { retentionMs: 1_000 },
    async run(engine) {
      const { backend } = engine;
      const executionId = await create(engine);
      const owner = await take(engine);
      await backend.rotateWaitpointHmacSecret({ partition: PARTITION, newKid: 'k1', newSecret: SECRETS[0] });
      const make = (fence: object, expiresInMs: number) => {
        const args = { executionId, fence, waitpointId: engine.uuid(), waitpointKey: KEY, expiresInMs };
        return backend.createPendingWaitpoint(args);
      };
      const [used, unused, given] = [
        await make(fenceOf(owner), 600_000),
        await make(fenceOf(owner), 90_000),
        await make(fenceOf(owner), 600_000),
      ];
      const send = ({ waitpointId, waitpointToken }: typeof used, text: string) =>
        backend.deliverSignal({
          ...{
            executionId,
            waitpointId,
            waitpointToken: waitpointToken.reveal(),
            signalId: engine.uuid(),
            signalName: 'done',
          },
          payload: Buffer.from(text),
        });
      const kept = await send(used, '"yes"');
      assert.equal(kept.kind === 'accepted' && kept.effect, 'buffered_for_pending_waitpoint');
      await send(given, '"no use"');
      // The worker is lost, and with it its lease.
      await engine.advance(60_000);
      const next = await take(engine);
      assert.equal(next.claimKind, 'reclaimed');
      await backend.closeWaitpoint({ executionId, fence: fenceOf(next), waitpointId: given.waitpointId });
      await refused(send(given, '1'), 'waitpoint_closed');
      const answer = await backend.suspendExecution({
        ...{ executionId, fence: fenceOf(next), suspensionId: engine.uuid(), idempotencyKey: 'gate', tokens: true },
        waitpoints: [{ waitpointId: used.waitpointId, usePending: true }],
        resumeCondition: { type: 'single', waitpointKey: KEY, matcher: { type: 'by_name', name: 'done' } },
      });
      assert.deepEqual(
        [answer.kind, answer.waitpoints[0]?.waitpointToken?.reveal()],
        ['already_satisfied', used.waitpointToken.reveal()],
      );
      const { signals } = await backend.observeSignals({ executionId, attemptIndex: next.attemptIndex });
      assert.deepEqual(
        signals.map(({ payload }) => Buffer.from(payload ?? []).toString()),
        ['"yes"'],
      );
      assert.equal(await stateOf(engine, executionId), 'active');
      // The other one was not used in time.
      await backend.renewLease({ executionId, fence: fenceOf(next), leaseTtlMs: 86_400_000 });
      await engine.advance(31_000);
      await refused(send(unused, '1'), 'waitpoint_closed');
      await make(fenceOf(next), 600_000);
      await backend.completeExecution({ executionId, fence: fenceOf(next) });
      const { timers, tables } = await engine.canonicalState(PARTITION);
      assert.deepEqual(timers, []);
      const [ended] = tables.execution as readonly { waiting: { pendingIds: readonly string[] } }[];
      assert.deepEqual(ended?.waiting.pendingIds, []);
      await engine.advance(200_000);
      const left = await engine.canonicalState(PARTITION);
      assert.deepEqual([left.payloads, left.tables.execution, left.strays], [{}, [], []]);
    },
  },
  {
    name: 'operators can list suspensions and open waitpoints, and a suspended handle only allows reads',
    async run(engine) {
      const { backend } = engine;
      await backend.rotateWaitpointHmacSecret({ partition: PARTITION, newKid: 'k1', newSecret: SECRETS[0] });
      const executionId = await create(engine);
      const owner = await take(engine);
      const issuer = { backend: backend.label, laneId: 'lane', workerInstanceId: 'w', leaseTtlMs: 1_000 };
      const handle = handleOf(owner, issuer);
      const pending = { handle, waitpointId: engine.uuid(), waitpointKey: 'later', expiresInMs: 600_000 };
      await backend.createPendingWaitpoint(pending);
      const ask: Omit<ArgsOf<'suspendExecution'>, 'executionId'> = {
        suspensionId: engine.uuid(),
        waitpoints: [{ waitpointId: engine.uuid(), waitpointKey: KEY }],
        resumeCondition: { type: 'single', waitpointKey: KEY, matcher: { type: 'by_name', name: 'done' } },
        reasonCode: 'waiting_for_approval',
        timeoutAt: engine.now() + 5_000,
      };
      const answer = await backend.suspendExecution({ handle, ...ask, tokens: true });
      const suspendedHandle = answer.kind === 'suspended' ? (answer.handle ?? '') : '';
      await refused(backend.suspendExecution({ handle: suspendedHandle, ...ask }), 'already_suspended');
      const other = await suspended(engine);
      const soon = await suspended(engine, { timeoutAt: engine.now() + 1_000 });
      const expected = [
        [soon.executionId, 'waiting_for_approval', soon.args.timeoutAt],
        [executionId, 'waiting_for_approval', ask.timeoutAt],
        [other.executionId, 'waiting_for_approval', undefined],
      ];
      const rows = [];
      for (let cursor: string | undefined; ; ) {
        const page = await backend.listSuspended({ partition: PARTITION, limit: 1, cursor });
        rows.push(...page.entries.map(({ executionId: id, reason, timeoutAt }) => [id, reason, timeoutAt]));
        cursor = page.nextCursor;
        if (cursor === undefined) break;
      }
      assert.deepEqual(rows, expected);
      assert.equal((await backend.listSuspended({ partition: PARTITION })).entries.length, expected.length);
      assert.equal((await backend.listSuspended({ partition: PARTITION, reason: 'manual_pause' })).entries.length, 0);
      const { entries: waitpoints } = await backend.listPendingWaitpoints({ executionId });
      const shown = waitpoints.map(({ waitpointKey, state, requiredSignalNames, tokenKid }) => [
        ...[waitpointKey, state, tokenKid],
        requiredSignalNames.join(),
      ]);
      assert.deepEqual(shown.sort(), [
        ['later', 'pending', 'k1', ''],
        [KEY, 'active', 'k1', 'done'],
      ]);
      const active = waitpoints.find(({ state }) => state === 'active');
      const token = answer.waitpoints[0]?.waitpointToken?.reveal() ?? '';
      assert.equal(token.slice(3, 19), active?.tokenFingerprint);
      assert.equal(JSON.stringify(waitpoints).includes(token.slice(3)), false);
      await backend.resumeExecution({ executionId });
      assert.equal((await backend.observeSignals({ handle: suspendedHandle })).resumeTrigger, 'operator');
    },
  },
];

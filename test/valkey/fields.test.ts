/** Ruling 38: no field of a core hash exceeds 64 bytes, so that the server keeps each as one compact text. */
import { Valkey } from 'iovalkey';
import { expect, it } from 'vitest';
import { MAX_FIELD_BYTES } from '../../lua/layout.js';
import { LIMITS } from '../../model/limits.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import { isShortId } from '../../model/short-id.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

const PARTITION = '{fp:0}';
const PREFIX = `fields-${process.pid}:`;
/** Of as many digits as a time can have, and with room for what is added to it. */
/** Times of one digit more than today's. With 16 digits `life` can reach 65 bytes: that record takes more memory. */
const FAR = 99_999_999_999_999 - 2 * LIMITS.maxDurationMs;
const text = (bytes: number, letter = 'x'): string => letter.repeat(bytes);

const creation = (engine: TestEngine) => ({
  executionId: engine.executionId(),
  namespace: text(LIMITS.maxNamespaceBytes),
  laneId: text(LIMITS.maxLaneIdBytes),
  executionKind: text(LIMITS.maxExecutionKindBytes),
  creatorIdentity: text(LIMITS.maxCreatorIdentityBytes, '\u00e9').slice(0, LIMITS.maxCreatorIdentityBytes / 2),
  priority: LIMITS.maxPriority,
  payloadEncoding: text(LIMITS.maxEncodingBytes),
  inputPayload: Buffer.alloc(MAX_FIELD_BYTES + 1, 7),
  idempotencyKey: text(LIMITS.maxIdempotencyKeyBytes),
  holdsKey: true,
  executionDeadlineAt: LIMITS.maxInteger,
  tags: Object.fromEntries(
    Array.from({ length: LIMITS.maxTags }, (_, i) => [`tag.${text(100)}${i}`, text(LIMITS.maxTagValueBytes)]),
  ),
  policy: {
    priority: LIMITS.maxPriority,
    dedupWindowMs: LIMITS.maxDurationMs,
    streamPolicy: { retentionTtlMs: LIMITS.maxDurationMs },
    maxReclaimCount: LIMITS.maxReclaimCount,
    routingRequirements: { requiredCapabilities: Array.from({ length: 60 }, (_, i) => `${text(60)}${i}`) },
    timeoutPolicy: { attemptTimeoutMs: LIMITS.maxDurationMs },
    retryPolicy: {
      maxRetries: LIMITS.maxRetries,
      backoff: {
        type: 'exponential' as const,
        initialDelayMs: LIMITS.maxBackoffMs,
        maxDelayMs: LIMITS.maxBackoffMs,
        multiplier: LIMITS.maxBackoffMultiplier,
        jitter: true,
      },
      retryableCategories: Array.from({ length: LIMITS.maxRetryableCategories }, (_, i) =>
        `${i}${text(LIMITS.maxCategoryBytes)}`.slice(0, LIMITS.maxCategoryBytes),
      ),
    },
  },
});

/** Drives one execution through claims, renewals, retries and its end; after every step `look` is called. */
async function live(engine: TestEngine, look: () => Promise<void>): Promise<void> {
  const { backend } = engine;
  const args = creation(engine);
  const { executionId } = args;
  const workerCapabilities = args.policy.routingRequirements.requiredCapabilities;
  const claim = async (): Promise<ClaimedExecution> => {
    const outcome = await backend.claimForWorker({
      partition: PARTITION,
      laneId: args.laneId,
      workerId: text(LIMITS.maxWorkerIdBytes),
      workerInstanceId: text(LIMITS.maxWorkerIdBytes, 'y'),
      workerCapabilities,
      kinds: [args.executionKind],
      leaseTtlMs: LIMITS.maxLeaseTtlMs,
      claims: [{ leaseId: engine.uuid(), attemptId: engine.uuid() }],
    });
    if (outcome.kind !== 'claimed') throw new Error(outcome.kind);
    await look();
    return outcome.executions[0] as ClaimedExecution;
  };
  const fenceOf = ({ leaseId, leaseEpoch, attemptId }: ClaimedExecution) => ({ leaseId, leaseEpoch, attemptId });
  const failureCategory = args.policy.retryPolicy.retryableCategories[0] as string;
  await backend.createExecution(args);
  await look();
  for (let round = 0; round < 3; round++) {
    const fence = fenceOf(await claim());
    await backend.updateProgress({
      executionId,
      ...fence,
      progressPct: 100,
      progressMessage: text(LIMITS.maxProgressMessageBytes),
    });
    await backend.renewLease({ executionId, fence, leaseTtlMs: LIMITS.maxLeaseTtlMs });
    await look();
    await backend.failExecution({
      executionId,
      fence,
      failureReason: text(LIMITS.maxReasonBytes),
      failureCategory,
      jitter: 1,
    });
    await look();
    await engine.advance(LIMITS.maxBackoffMs);
    await look();
  }
  await claim();
  await backend.revokeLease({ executionId, reason: text(LIMITS.maxReasonBytes) });
  await look();
  const released = fenceOf(await claim());
  await backend.releaseLease({ executionId, fence: released });
  await look();
  const fence = fenceOf(await claim());
  await backend.completeExecution({
    executionId,
    fence,
    resultPayload: Buffer.alloc(MAX_FIELD_BYTES + 1, 9),
    resultEncoding: text(LIMITS.maxEncodingBytes),
  });
  await look();
  const other = { ...creation(engine), idempotencyKey: 'other' };
  await backend.createExecution(other);
  const asked = {
    executionId: other.executionId,
    reason: text(LIMITS.maxReasonBytes),
    requestedBy: text(LIMITS.maxCreatorIdentityBytes),
  };
  await backend.changePriority({ executionId: other.executionId, newPriority: 1, requestedBy: asked.requestedBy });
  await backend.holdExecution(asked);
  await look();
  await backend.releaseHold(asked);
  await backend.setExecutionTags({
    executionId: other.executionId,
    tags: { [`tag.${text(100)}0`]: text(LIMITS.maxTagValueBytes, 'y') },
  });
  await look();
  await backend.cancelExecution({
    executionId: other.executionId,
    reason: text(LIMITS.maxReasonBytes),
    source: 'operator_override',
  });
  await look();
  await backend.replayExecution(asked);
  await look();
}

it('holds for the longest values that there can be, and all of them read back', async () => {
  const { url } = await sharedValkey();
  const admin = new Valkey(url);
  const memory = await testEngine({ startAt: FAR, seed: 'fields' });
  const engine = await testEngine({ startAt: FAR, seed: 'fields', backend: { url }, prefix: PREFIX });
  try {
    const states: unknown[] = [];
    await live(memory, async () => void states.push(structuredClone(await memory.canonicalState(PARTITION))));
    let widest = 0;
    await live(engine, async () => {
      expect(await engine.canonicalState(PARTITION)).toEqual(states.shift());
      const start = `${PREFIX}${PARTITION}:`;
      for (const key of (await admin.keys(`${start}*`)).filter((name) => isShortId(name.slice(start.length)))) {
        for (const [field, value] of Object.entries(await admin.hgetallBuffer(key))) {
          expect(value.byteLength, `${field}: ${value.toString()}`).toBeLessThanOrEqual(MAX_FIELD_BYTES);
          widest = Math.max(widest, value.byteLength);
        }
        expect(await admin.object('ENCODING', key)).toBe('listpack');
      }
    });
    expect(states).toEqual([]);
    expect(widest).toBeGreaterThan(50);
  } finally {
    await engine.close();
    await memory.close();
    admin.disconnect();
  }
});

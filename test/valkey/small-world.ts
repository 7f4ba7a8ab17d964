/** A small partition with an execution in every situation, on a server, as bytes that can be put back again and again. */
import { Valkey } from 'iovalkey';
import { afterAll, beforeAll } from 'vitest';
import { HEADER_FIELDS, KEYS } from '../../lua/layout.js';
import { EngineError } from '../../model/errors.js';
import { memberOf } from '../../model/ids.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { startValkey, type ValkeyServer } from '../support/valkey/index.js';

export const PARTITION = '{fp:0}';
const PREFIX = 'small:';
export const LANE = 'lane';
const START = 1_700_000_000_000;
export const RETENTION_MS = 600_000;

/** Longer than a field of a core hash may be. */
export const LONG = Buffer.from('long '.repeat(40));

const SITUATIONS = [
  'ready',
  'delayed',
  'running',
  'lease_expired',
  'lease_revoked',
  'backing_off',
  'parked',
  'released',
  'completed',
  'failed',
  'cancelled',
  'expired',
] as const;
export type Situation = (typeof SITUATIONS)[number];

/** Those that were claimed before they came to where they are. */
const CLAIMED: ReadonlySet<Situation> = new Set(
  SITUATIONS.filter((situation) => !['ready', 'delayed', 'cancelled', 'expired'].includes(situation)),
);

export interface Inhabitant<Name extends string = Situation> {
  readonly executionId: string;
  readonly situation: Name;
  /** What its last owner proves itself by. */
  readonly fence: { readonly leaseId: string; readonly leaseEpoch: number; readonly attemptId: string } | undefined;
}

export interface SmallWorld<Name extends string = Situation> {
  readonly engine: TestEngine;
  readonly admin: Valkey;
  readonly inhabitants: readonly Inhabitant<Name>[];
  /** Puts keys and clock back to what they were when the world was made. */
  reset(): Promise<void>;
  /** Every key of the partition with its bytes. */
  dump(): Promise<Map<string, string>>;
  close(): Promise<void>;
}

/** Full name of a key of the partition. */
export const keyOf = (name: string): string => `${PREFIX}${PARTITION}:${name}`;
/** Full name of the core hash of an execution. */
export const coreOf = ({ executionId }: { executionId: string }): string => keyOf(memberOf(executionId));

export const claimAll = (engine: TestEngine, count = 40, kinds?: readonly string[]) => ({
  partition: PARTITION,
  laneId: LANE,
  workerId: 'w',
  workerInstanceId: 'w1',
  leaseTtlMs: 60_000,
  ...(kinds === undefined ? {} : { kinds: [...kinds] }),
  claims: Array.from({ length: count }, () => ({ leaseId: engine.uuid(), attemptId: engine.uuid() })),
});

const POLICY = {
  retryPolicy: { maxRetries: 3, backoff: { type: 'fixed' as const, delayMs: 30_000 } },
  timeoutPolicy: { attemptTimeoutMs: 300_000 },
};

export const creation = (engine: TestEngine, more: object = {}) => ({
  executionId: engine.executionId(),
  namespace: 'n',
  laneId: LANE,
  executionKind: 'k',
  creatorIdentity: 'c',
  policy: POLICY,
  ...more,
});

/** Brings an execution that is new, or running, into its situation. */
async function settle({ backend, now }: TestEngine, { executionId, situation, fence }: Inhabitant): Promise<void> {
  const reason = LONG.toString();
  switch (situation) {
    case 'lease_revoked':
      await backend.revokeLease({ executionId, reason });
      return;
    case 'backing_off':
      await backend.failExecution({ executionId, fence, failureReason: reason, failureClass: 'transient' });
      return;
    case 'parked':
      await backend.delayExecution({ executionId, fence, delayUntil: now() + 30_000 });
      return;
    case 'released':
      await backend.releaseLease({ executionId, fence });
      return;
    case 'completed':
      await backend.completeExecution({ executionId, fence, resultPayload: LONG });
      return;
    case 'failed':
      await backend.failExecution({ executionId, fence, failureReason: reason, failureClass: 'permanent' });
      return;
    case 'cancelled':
      await backend.cancelExecution({ executionId, reason, source: 'operator_override' });
      return;
    default:
  }
}

async function populate(engine: TestEngine): Promise<Inhabitant[]> {
  const { backend } = engine;
  const claimed = new Map<string, ClaimedExecution>();
  const created: { executionId: string; situation: Situation }[] = [];
  for (const situation of SITUATIONS) {
    const more = {
      inputPayload: situation === 'ready' || situation === 'running' ? LONG : Buffer.from('short'),
      ...(situation === 'delayed' ? { delayUntil: engine.now() + 45_000 } : {}),
      ...(situation === 'expired' ? { executionDeadlineAt: engine.now() + 500 } : {}),
    };
    const args = creation(engine, { ...more, laneId: LANE, executionKind: situation });
    await backend.createExecution(args);
    created.push({ executionId: args.executionId, situation });
    if (!CLAIMED.has(situation)) continue;
    const outcome = await backend.claimForWorker({
      ...claimAll(engine, 1, [situation]),
      leaseTtlMs: situation === 'lease_expired' ? 1_000 : 60_000,
    });
    if (outcome.kind === 'claimed') for (const one of outcome.executions) claimed.set(one.executionId, one);
  }
  await engine.advance(2_000);
  const inhabitants = created.map((one): Inhabitant => {
    const owner = claimed.get(one.executionId);
    const fence = owner && { leaseId: owner.leaseId, leaseEpoch: owner.leaseEpoch, attemptId: owner.attemptId };
    return { ...one, fence };
  });
  for (const inhabitant of inhabitants) await settle(engine, inhabitant);
  return inhabitants;
}

type Populate<Name extends string> = (engine: TestEngine) => Promise<Inhabitant<Name>[]>;

async function smallWorld<Name extends string>(
  server: ValkeyServer,
  populate: Populate<Name>,
): Promise<SmallWorld<Name>> {
  const engine = await testEngine({
    backend: { url: server.url },
    prefix: PREFIX,
    startAt: START,
    retentionMs: RETENTION_MS,
  });
  const admin = new Valkey(server.url);
  const inhabitants = await populate(engine);
  const at = engine.now();
  const names = async (): Promise<string[]> => (await admin.keys(keyOf('*'))).sort();
  const bytes = async (): Promise<[string, Buffer][]> =>
    Promise.all((await names()).map(async (key) => [key, (await admin.dumpBuffer(key)) as Buffer]));
  const kept = await bytes();
  /** The verification of the partition that is under way, if any, has ended: it would write into the next world. */
  async function mended(): Promise<void> {
    const isMending = async (): Promise<boolean> =>
      !(await admin.hmget(keyOf(KEYS.header), HEADER_FIELDS.broken, HEADER_FIELDS.mender)).includes(null);
    const until = performance.now() + 5_000;
    while ((await isMending().catch(() => false)) && performance.now() < until)
      await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return {
    engine,
    admin,
    inhabitants,
    async reset() {
      await mended();
      const present = await names();
      if (present.length > 0) await admin.del(...present);
      await Promise.all(kept.map(([key, dump]) => admin.restore(key, 0, dump, 'REPLACE')));
      engine.setTime(at);
    },
    async dump() {
      const all = await bytes();
      // Bytes that wait beside a call go by themselves when it does not come for them.
      const lives = await Promise.all(all.map(([key]) => admin.pttl(key)));
      const stays = all.filter((_, i) => (lives[i] as number) < 0);
      return new Map(stays.map(([key, dump]) => [key, dump.toString('base64')]));
    },
    async close() {
      await engine.close();
      admin.disconnect();
    },
  };
}

/** The small world of a test file, on a server of its own: made before its tests, and closed after them. */
export const worldOfFile = (): (() => SmallWorld) => populatedWorld(populate);

/** The same with other inhabitants. */
export function populatedWorld<Name extends string>(populate: Populate<Name>): () => SmallWorld<Name> {
  let server: ValkeyServer | undefined;
  let world: SmallWorld<Name> | undefined;
  beforeAll(async () => {
    server = await startValkey();
    world = await smallWorld(server, populate);
  });
  afterAll(async () => {
    await world?.close();
    await server?.stop();
  });
  return () => world as SmallWorld<Name>;
}

/** The inhabitant of a situation. */
export const inhabitantOf = ({ inhabitants }: SmallWorld, situation: Situation): Inhabitant =>
  inhabitants.find((one) => one.situation === situation) as Inhabitant;

/** The answer of a call, or the code with which it failed. */
export async function answerOf(call: Promise<unknown>): Promise<unknown> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return error.code;
  }
}

/**
 * A right that is missing in the middle of a creation or growth of a flow: the call is refused before it writes, so that
 * its repetition answers as if the first one had not been.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EngineError } from '../../model/errors.js';
import type { Backend } from '../../src/backend/backend.js';
import { aclOf, valkey } from '../../src/valkey/index.js';
import { deployment } from '../support/valkey/deployment.js';

const PARTITION = '{fp:0}';
const shared = deployment();
const { rules } = aclOf({ user: 'worker' });
const RIGHTS = rules.filter((rule) => rule.startsWith('+') && !/^\+(fcall|publish|ping|info|type|scan)$/.test(rule));
let backend: Backend;

const grant = (...more: string[]): Promise<unknown> =>
  shared.admin.call('ACL', 'SETUSER', 'worker', '>secret', ...rules, ...more);

beforeAll(async () => {
  await grant();
  const url = shared.server.url.replace('//', '//worker:secret@');
  backend = await valkey({ url, callTimeoutMs: 2_000 });
  await backend.configureDeployment({ indexedTags: ['t.kind'] });
});
afterAll(() => backend.close());

const newId = (): string => `${PARTITION}:${randomUUID()}`;
const edge = (upstreamExecutionId: string, downstreamExecutionId: string) => ({
  edgeId: randomUUID(),
  upstreamExecutionId,
  downstreamExecutionId,
});
const NEEDS = { routingRequirements: { requiredCapabilities: ['gpu'] } };
const member = (laneId: string, more: object = {}) => ({
  ...{ executionId: newId(), laneId, executionKind: 'k', policy: NEEDS, tags: { 't.kind': 'a' } },
  ...more,
});

/** Members of all sorts, with edges from the given upstreams and among each other. */
function graphFrom(...upstreams: readonly string[]) {
  const laneId = randomUUID();
  const delayUntil = Date.now() + 3_600_000;
  const [first, second, third, fourth] = [
    member(laneId),
    member(laneId, { delayUntil, inputPayload: Buffer.alloc(2_000, 1) }),
    member(laneId, { executionDeadlineAt: delayUntil }),
    member(laneId),
  ];
  const [a, b, c, d] = [first, second, third, fourth].map(({ executionId }) => executionId) as [
    string,
    string,
    string,
    string,
  ];
  return {
    members: [first, second, third, fourth],
    edges: [edge(a, c), edge(a, d), edge(b, d), ...upstreams.map((upstream) => edge(upstream, c))],
    groups: [{ downstreamExecutionId: d, policy: { kind: 'any_of' as const, onSatisfied: 'let_run' as const } }],
  };
}
const flow = () => ({ flowId: newId(), flowKind: 'f', namespace: 'n', creatorIdentity: 'c' });

/** Claims one execution of a lane. */
async function claim(laneId: string) {
  const claimed = await backend.claimForWorker({
    ...{
      partition: PARTITION,
      laneId,
      workerId: 'w',
      workerInstanceId: 'w',
      leaseTtlMs: 60_000,
      workerCapabilities: ['gpu'],
    },
    claims: [{ leaseId: randomUUID(), attemptId: randomUUID() }],
  });
  if (claimed.kind !== 'claimed') throw new Error(claimed.kind);
  const [{ executionId, leaseId, leaseEpoch, attemptId }] = claimed.executions;
  return { executionId, fence: { leaseId, leaseEpoch, attemptId } };
}

/** What a call answers, or the code with which it failed. */
const answerOf = (call: Promise<{ readonly kind: string }>): Promise<string> =>
  call.then(
    ({ kind }) => kind,
    (error: EngineError) => error.code,
  );

/** A flow with one member that has ended and one that has an outgoing edge. */
async function grown() {
  const graph = graphFrom();
  const own = flow();
  await backend.createFlow({ ...own, graph });
  const [ended, leading] = [graph.members[0], graph.members[1]].map((one) => one?.executionId ?? '') as [
    string,
    string,
  ];
  await backend.completeExecution(await claim(graph.members[0]?.laneId ?? ''));
  return { ...own, ended, leading, free: leading };
}

/** Each makes a call that can be repeated. */
const CALLS = {
  createFlow: async () => {
    const args = { ...flow(), tags: { 't.kind': 'f' }, graph: graphFrom() };
    return () => backend.createFlow(args);
  },
  'createFlow of a flow that is building': async () => {
    const args = { ...flow(), building: true, graph: graphFrom() };
    return () => backend.createFlow(args);
  },
  growFlow: async () => {
    const { flowId, ended, leading } = await grown();
    const args = { flowId, creatorIdentity: 'c', graph: graphFrom(ended, leading) };
    return () => backend.growFlow(args);
  },
  addExecutionToFlow: async () => {
    const { flowId } = await grown();
    const executionId = newId();
    const kinds = { laneId: randomUUID(), executionKind: 'k', creatorIdentity: 'c', namespace: 'n' };
    await backend.createExecution({ executionId, ...kinds, tags: { 't.kind': 'a' } });
    return () => backend.addExecutionToFlow({ flowId, executionId });
  },
  addDependency: async () => {
    const { flowId, ended, free } = await grown();
    return () => backend.addDependency({ flowId, ...edge(ended, free) });
  },
  spawnChildren: async () => {
    const laneId = randomUUID();
    const { executionId } = member(laneId);
    await backend.createExecution({ executionId, laneId, executionKind: 'k', creatorIdentity: 'c', namespace: 'n' });
    const parent = await claim(laneId);
    const args = {
      ...parent,
      flowId: newId(),
      children: [member(randomUUID()), member(randomUUID())].map((child) => ({ ...child, edgeId: randomUUID() })),
    };
    return () => backend.spawnChildren(args as never);
  },
};

describe.each(Object.entries(CALLS))('%s', (_name, prepare) => {
  test('is refused whole when a right is missing, and runs when it is back', async () => {
    const expected = (await (await prepare())()).kind;
    const [refused, broken]: [string[], string[]] = [[], []];
    for (const rule of RIGHTS) {
      const call = await prepare();
      await grant(`-${rule.slice(1)}`);
      const first = await call().then(
        ({ kind }) => kind,
        (error: EngineError) => error,
      );
      await grant();
      if (!(first instanceof Error)) {
        expect([rule, first]).toEqual([rule, expected]);
        continue;
      }
      refused.push(rule);
      const again = await answerOf(call());
      if (first.message.includes('halfway') || again !== expected) broken.push(rule);
    }
    expect(broken).toEqual([]);
    expect(refused.length).toBeGreaterThan(10);
    expect(await backend.verifyPartition({ partition: PARTITION })).toMatchObject({ findings: [], setAside: [] });
  });
});

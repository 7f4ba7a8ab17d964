/** One answer to each read whose shape the contracts give, from a world that has something of everything. */
import type { ClaimedExecution } from '../../src/engine/index.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';

const PARTITION = '{fp:0}';
const WORKER = { workerId: 'w', workerInstanceId: 'w-1' };
const KEY = 'answer';
const encoded = (value: object): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

async function claimed({ backend, uuid }: TestEngine): Promise<ClaimedExecution> {
  const claims = [{ leaseId: uuid(), attemptId: uuid() }];
  const outcome = await backend.claimForWorker({ partition: PARTITION, laneId: 'lane', ...WORKER, claims });
  if (outcome.kind !== 'claimed') throw new Error('There is nothing to claim.');
  return outcome.executions[0] as ClaimedExecution;
}

/** A flow of two members, of which the first runs and has written to its stream. */
async function running(engine: TestEngine) {
  const { backend, uuid } = engine;
  const [flowId, upstream, downstream] = [engine.executionId(0), engine.executionId(0), engine.executionId(0)];
  const edgeId = uuid();
  const member = { laneId: 'lane', executionKind: 'kind' };
  const members = [upstream, downstream].map((executionId) => ({ ...member, executionId }));
  const edges = [{ edgeId, upstreamExecutionId: upstream, downstreamExecutionId: downstream }];
  await backend.createFlow({ flowId, flowKind: 'kind', namespace: 'n', graph: { members, edges } });
  const owner = await claimed(engine);
  const { executionId, attemptIndex } = owner;
  await backend.appendFrame({ executionId, attemptIndex, fence: owner, patch: encoded({ a: 1 }) });
  return { flowId, edgeId, executionId };
}

/** An execution that was resumed by a signal and is suspended again, under the second of two keys. */
async function suspended(engine: TestEngine) {
  const { backend, uuid } = engine;
  for (const [newKid, fill] of Object.entries({ k1: 1, k2: 2 }))
    await backend.rotateWaitpointHmacSecret({ partition: PARTITION, newKid, newSecret: new Uint8Array(32).fill(fill) });
  const executionId = engine.executionId(0);
  const created = { namespace: 'n', laneId: 'lane', executionKind: 'kind', creatorIdentity: 'c' };
  await backend.createExecution({ executionId, ...created });
  const suspend = async (): Promise<void> => {
    const waitpoints = [{ waitpointId: uuid(), waitpointKey: KEY }];
    const resumeCondition = { type: 'single', waitpointKey: KEY, matcher: { type: 'wildcard' } } as const;
    const fence = await claimed(engine);
    await backend.suspendExecution({ executionId, fence, suspensionId: uuid(), waitpoints, resumeCondition });
  };
  await suspend();
  await backend.signalExecution({ executionId, signalId: uuid(), signalName: KEY });
  const observed = await backend.observeSignals({ executionId, attemptIndex: 0 });
  await suspend();
  return { executionId, observed };
}

const firstOf = (value: unknown): object => (Array.isArray(value) ? (value[0] as object) : (value as object));

export async function answersToReads(): Promise<Readonly<Record<string, object>>> {
  const engine = await testEngine();
  const { backend } = engine;
  const { flowId, edgeId, executionId } = await running(engine);
  const waiting = await suspended(engine);
  const budgetId = engine.uuid();
  await backend.createBudget({ budgetId });
  const partition = PARTITION;
  const execution = await backend.describeExecution({ executionId });
  const flows = await backend.listFlows({ partition });
  const suspensions = await backend.listSuspended({ partition });
  const open = await backend.listPendingWaitpoints({ executionId: waiting.executionId });
  const kids = await backend.listWaitpointHmacKids({ partition });
  const members = await backend.listFlowMembers({ flowId });
  const stream = await backend.readStream({ executionId, attemptIndex: 0 });
  const answers = {
    describeExecution: execution,
    'describeExecution.currentAttempt': execution?.currentAttempt,
    'describeExecution.currentLease': execution?.currentLease,
    readExecutionInfo: await backend.readExecutionInfo({ executionId }),
    readExecutionContext: await backend.readExecutionContext({ executionId }),
    describeFlow: await backend.describeFlow({ flowId }),
    'listFlowMembers.members.group': members.members[1]?.group,
    describeEdge: await backend.describeEdge({ flowId, edgeId }),
    listFlows: flows,
    'listFlows.flows': flows.flows,
    listExecutions: await backend.listExecutions({ partition }),
    'listExecutionSummaries.executions': (await backend.listExecutionSummaries({ partition })).executions,
    listSuspended: suspensions,
    'listSuspended.entries': suspensions.entries,
    listPendingWaitpoints: open,
    'listPendingWaitpoints.entries': open.entries,
    listWaitpointHmacKids: kids,
    'listWaitpointHmacKids.verifying': kids.verifying,
    'observeSignals.signals': waiting.observed.signals,
    getBudgetStatus: await backend.getBudgetStatus({ budgetId }),
    readStream: stream,
    'readStream.frames': stream.frames,
    readSummary: await backend.readSummary({ executionId, attemptIndex: 0 }),
  };
  await engine.close();
  return Object.fromEntries(Object.entries(answers).map(([name, answer]) => [name, firstOf(answer)]));
}

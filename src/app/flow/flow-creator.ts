/** Creating flows: where each goes, and how much of it goes in one call. */
import { executionIdOf } from '../../../model/ids.js';
import { LIMITS } from '../../../model/limits.js';
import { partitionOfFlow } from '../../../model/vocabulary/partitions.js';
import type { Backend } from '../../backend.js';
import type { Clock } from '../../engine/clock.js';
import { withRetries } from '../../engine/retry.js';
import { ServerClock } from '../../engine/server-clock.js';
import { shown } from '../../shared/checks.js';
import { InvalidDefinitionError, RunIdConflictError } from '../../shared/errors.js';
import { CALL_PATIENCE_MS } from '../patience.js';
import type { RunSurroundings } from '../run.js';
import { budgetsReady } from '../task-budget.js';
import { KnownFlowRun } from './flow-run.js';
import { ownFlowUuid } from './ids.js';
import type { RequestedFlow } from './requested-flow.js';
import { partsOf, type Part } from './members.js';
import { storedIn } from './stored.js';

export interface FlowCreatorOptions {
  readonly surroundings: RunSurroundings;
  readonly namespace: string;
  readonly creatorIdentity: string;
  readonly ids: () => string;
}

export class FlowCreator {
  private readonly backend: Backend;
  private readonly clock: Clock;
  private readonly serverClock: ServerClock;

  constructor(private readonly options: FlowCreatorOptions) {
    const { backend, clock } = options.surroundings;
    this.backend = backend;
    this.clock = clock;
    this.serverClock = new ServerClock(backend, clock);
  }

  /** @throws RunIdConflictError, EngineError */
  async create(requested: RequestedFlow): Promise<KnownFlowRun<unknown>> {
    const { flow, ownId, graph } = requested;
    const { namespace, ids } = this.options;
    const uuid = ownId === undefined ? ids() : ownFlowUuid(namespace, flow, ownId);
    const flowId = this.idOf(uuid);
    const hasDelay = graph.nodes.some(({ options }) => options.delay !== undefined);
    const now = hasDelay ? await this.call(() => this.serverClock.now()) : 0;
    const partition = partitionOfFlow(uuid, this.backend.partitions.count);
    const budgets = requested.members.flatMap(({ meters }) => meters.budgets);
    // Members wait for their budgets: a flow is created whole.
    if (budgets.length > 0) await budgetsReady(this.options.surroundings, budgets, false);
    const parts = partsOf(graph, requested.members, { namespace, uuid, partition, now });
    const [whole] = parts as [Part];
    if (parts.length > 1) throw tooLarge(flow, requested.graph.nodes.length);
    const isNew = await this.begin(flowId, requested, whole);
    if (!isNew) await this.checkSame(flowId, requested);
    return new KnownFlowRun(this.options.surroundings, flowId, !isNew);
  }

  /** The id of the flow with this own id. */
  ownIdOf(flow: string, ownId: string): string {
    return this.idOf(ownFlowUuid(this.options.namespace, flow, ownId));
  }

  private idOf(uuid: string): string {
    return executionIdOf(partitionOfFlow(uuid, this.backend.partitions.count), uuid);
  }

  /** Creates the flow; false when it was there before. */
  private async begin(flowId: string, requested: RequestedFlow, graph: Part): Promise<boolean> {
    const { namespace, creatorIdentity } = this.options;
    const { flow, tags, ownId } = requested;
    const outcome = await this.call(() =>
      this.backend.createFlow({
        flowId,
        flowKind: flow,
        namespace,
        creatorIdentity,
        closed: true,
        tags: { ...tags },
        graph,
      }),
    );
    return outcome.kind === 'created' || ownId === undefined;
  }

  private async checkSame(flowId: string, { flow, digest }: RequestedFlow): Promise<void> {
    const known = await this.call(() => this.backend.describeFlow({ flowId }));
    if (known !== undefined && storedIn(known.tags).input !== digest) throw new RunIdConflictError(flowId, flow, 'id');
  }

  private call<T>(command: () => Promise<T>): Promise<T> {
    return withRetries(this.clock, CALL_PATIENCE_MS, command);
  }
}

function tooLarge(flow: string, nodes: number): InvalidDefinitionError {
  return new InvalidDefinitionError(
    `Run of flow ${shown(flow)}: ${nodes} nodes, or their inputs, are more than one call takes`,
    `A flow has at most ${LIMITS.maxMembersPerCall} nodes, ${LIMITS.maxEdgesPerCall} edges and 4 MiB of inputs: make several flows of it.`,
  );
}

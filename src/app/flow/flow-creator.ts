/** Creates flows: chooses the partition, and divides a large flow into several calls. */
import { executionIdOf, partitionOfExecution } from '../../../model/ids.js';
import { partitionOfFlow } from '../../../model/vocabulary/partitions.js';
import type { Backend } from '../../backend/backend.js';
import { localFlows } from '../../engine/local-flows.js';
import { ServerClock } from '../../engine/server-clock.js';
import { durationMs, type Duration } from '../../shared/duration.js';
import { RunIdConflictError } from '../../shared/errors.js';
import { patiently } from '../patience.js';
import type { RunSurroundings } from '../runs/run.js';
import { namingLane } from '../drained-lane.js';
import { budgetsReady } from '../metering/task-budget.js';
import { KnownFlowRun } from './flow-run.js';
import { FlowIds, ownFlowUuid } from './ids.js';
import type { RequestedFlow } from './requested-flow.js';
import { partsOf, type Part } from './members.js';
import { timeOf } from '../tasks/policy.js';
import { storedIn } from './stored.js';
import { waitingMembersOf } from './waiting-members.js';

export interface FlowCreatorOptions {
  readonly surroundings: RunSurroundings;
  readonly namespace: string;
  readonly creatorIdentity: string;
  readonly ids: () => string;
}

export class FlowCreator {
  private readonly backend: Backend;
  private readonly serverClock: ServerClock;

  constructor(private readonly options: FlowCreatorOptions) {
    const { backend, clock } = options.surroundings;
    this.backend = backend;
    this.serverClock = new ServerClock(backend, clock);
  }

  /** @throws RunIdConflictError, EngineError */
  async create(requested: RequestedFlow): Promise<KnownFlowRun<unknown>> {
    const { flow, ownId, graph, deadline } = requested;
    const { namespace, ids } = this.options;
    const uuid = ownId === undefined ? ids() : ownFlowUuid(namespace, flow, ownId);
    const flowId = this.idOf(uuid);
    const isTimed = deadline !== undefined || graph.nodes.some(({ options }) => options.delay !== undefined);
    const now = isTimed ? await this.call(() => this.serverClock.now()) : 0;
    const endsBy = deadline === undefined ? undefined : (timeOf(deadline) ?? now + durationMs(deadline as Duration));
    const memberIds = new FlowIds(flowId);
    const budgets = requested.members.flatMap(({ meters }) => meters.budgets);
    // An exhausted budget refuses no member: members wait for it, because a flow is created whole.
    if (budgets.length > 0) await budgetsReady(this.options.surroundings, budgets, false);
    const parts = partsOf(graph, requested.members, { namespace, now, endsBy, ids: memberIds });
    if (parts.length === 1)
      localFlows(this.backend).add(waitingMembersOf(graph, partitionOfExecution(flowId), memberIds));
    const isNew = await this.begin(flowId, requested, parts);
    const isBuilding = isNew ? parts.length > 1 : await this.checkSame(flowId, requested);
    if (isBuilding) await this.build(flowId, requested, parts);
    return new KnownFlowRun(this.options.surroundings, flowId, !isNew, isNew ? requested.tags : undefined);
  }

  /** Creates the remaining parts of a flow that needs several calls. No member runs before the flow is complete. */
  private async build(flowId: string, { flow, ownId }: RequestedFlow, parts: readonly Part[]): Promise<void> {
    const { creatorIdentity } = this.options;
    try {
      for (const graph of parts.slice(1))
        await namingLane(`Flow "${flow}"`, () =>
          this.call(() => this.backend.growFlow({ flowId, creatorIdentity, graph })),
        );
      await this.call(() => this.backend.sealFlow({ flowId }));
      await this.call(() => this.backend.closeFlow({ flowId }));
    } catch (error) {
      // A caller with the same own id can complete the flow later. Without an own id, no caller could.
      const reason = 'it could not be created as a whole';
      if (ownId === undefined) await this.backend.cancelFlowHeader({ flowId, reason }).catch(() => undefined);
      throw error;
    }
  }

  /** The id of the flow with this own id. */
  ownIdOf(flow: string, ownId: string): string {
    return this.idOf(ownFlowUuid(this.options.namespace, flow, ownId));
  }

  private idOf(uuid: string): string {
    return executionIdOf(partitionOfFlow(uuid, this.backend.partitions.count), uuid);
  }

  /** Creates the flow; false if it existed. */
  private async begin(flowId: string, requested: RequestedFlow, parts: readonly Part[]): Promise<boolean> {
    const { namespace, creatorIdentity } = this.options;
    const { flow, tags, ownId, dedupWindowMs } = requested;
    const args = {
      ...{ flowId, flowKind: flow, namespace, creatorIdentity, tags: { ...tags }, graph: parts[0], dedupWindowMs },
      ...{ building: parts.length > 1, closed: parts.length === 1 },
    };
    const outcome = await namingLane(`Flow "${flow}"`, () => this.call(() => this.backend.createFlow(args)));
    return outcome.kind === 'created' || ownId === undefined;
  }

  /** Whether the existing flow is incomplete. @throws RunIdConflictError if it was created with another input */
  private async checkSame(flowId: string, { flow, digest, ownId: id }: RequestedFlow): Promise<boolean> {
    const known = await this.call(() => this.backend.describeFlow({ flowId }));
    if (known !== undefined && storedIn(known.tags).input !== digest)
      throw new RunIdConflictError(flowId, flow, { id });
    return known !== undefined && known.publicFlowState !== 'cancelled' && (known.building || !known.closed);
  }

  private call<T>(command: () => Promise<T>): Promise<T> {
    return patiently(this.options.surroundings, command);
  }
}

/** Finds the events of a flow: its own, and those of its members, which carry their flow only when they join it. */
import { isOfExecution, type ReadEvent } from '../../model/events.js';
import { uuidOfExecution } from '../../model/ids.js';
import { LIMITS } from '../../model/limits.js';
import type { Backend } from '../backend/backend.js';

export class FlowMembers {
  private readonly ids = new Set<string>();
  private readonly flow: string;

  constructor(private readonly flowId: string) {
    this.flow = uuidOfExecution(flowId);
  }

  /** Reads the current members; later ones are in the log. Members of a purged flow are unknown. */
  async load(backend: Backend): Promise<void> {
    const { flowId } = this;
    let cursor: number | undefined = 0;
    while (cursor !== undefined) {
      const page = await backend.listFlowMembers({ flowId, cursor, limit: LIMITS.maxListPage });
      for (const { executionId } of page.members) this.ids.add(executionId);
      for (const executionId of page.damaged) this.ids.add(executionId);
      cursor = page.nextCursor;
    }
  }

  /** Whether an event belongs to the flow. Must be called in the order of the log. */
  has(event: ReadEvent): boolean {
    if (!isOfExecution(event)) return 'flow' in event && event.flow === this.flow;
    const joins = event.type === 'execution_created' || event.type === 'flow_member_added';
    if (joins && event.flow === this.flow) this.ids.add(event.executionId);
    return this.ids.has(event.executionId);
  }
}

/** What follows from the end of an execution in its flow, over any distance, read from the stored state. */
import { EngineError } from '../../model/errors.js';
import type { TerminalOutcome } from '../../model/execution/situation.js';
import type { EdgeSnapshot } from '../../model/flow/reads.js';
import { LIMITS } from '../../model/limits.js';
import type { Backend } from '../backend/backend.js';
import { readPatiently } from './bring-forward.js';
import type { Clock } from './clock.js';

/** Executions that are looked at together. */
const AT_ONCE = 50;

/** Ends that can follow from other ends. */
const CASCADED: ReadonlySet<TerminalOutcome | undefined> = new Set(['skipped', 'cancelled']);

const isOpen = ({ edgeState }: EdgeSnapshot): boolean => edgeState === 'unsatisfied';

/** Nothing more is known to follow from what is damaged. @throws other errors */
function isDamaged(error: unknown): true {
  if (error instanceof EngineError && error.code === 'corruption') return true;
  throw error;
}

/**
 * Finds out whether all of it is applied. What was found to be applied is not looked at again, so that repeated looks
 * cost as much as one.
 */
export class Consequences {
  /** Ids of executions that have ended, and of those that depend on them, whose consequences are to be looked at. */
  private readonly ended: Set<string>;
  private readonly dependent = new Set<string>();
  private readonly known: Set<string>;
  private readonly decided = new Set<string>();

  constructor(
    private readonly backend: Backend,
    private readonly clock: Clock,
    private readonly executionId: string,
  ) {
    this.ended = new Set([executionId]);
    this.known = new Set([executionId]);
  }

  /** Whether edges are resolved, and members are skipped or cancelled, as far as it follows from the end. */
  async areApplied(): Promise<boolean> {
    while (this.ended.size + this.dependent.size > 0) {
      const applied =
        (await this.look(this.ended, (id) => this.isEndApplied(id))) &&
        (await this.look(this.dependent, (id) => this.isGroupApplied(id)));
      if (!applied) return false;
    }
    return true;
  }

  /** Takes some ids; those that do not pass are looked at again next time. */
  private async look(ids: Set<string>, passes: (id: string) => Promise<boolean>): Promise<boolean> {
    const some: string[] = [];
    for (const id of ids) if (some.push(id) === AT_ONCE) break;
    for (const id of some) ids.delete(id);
    const passed = await Promise.all(some.map((id) => passes(id).catch(isDamaged)));
    for (const [i, id] of some.entries()) if (passed[i] !== true) ids.add(id);
    return !passed.includes(false);
  }

  /** Whether the edges out of an ended execution are resolved, and its children have ended if it ended badly. */
  private async isEndApplied(executionId: string): Promise<boolean> {
    const info = await this.info(executionId);
    const outcome = info?.stateVector.terminalOutcome;
    // It can be purged, or replayed.
    if (outcome === undefined || outcome === 'none') return true;
    if (executionId !== this.executionId && !CASCADED.has(outcome)) return true;
    const outgoing = await this.edges(executionId, 'outgoing');
    if (outgoing.some(isOpen)) return false;
    for (const { downstreamExecutionId: id } of outgoing) if (!this.decided.has(id)) this.dependent.add(id);
    const isOrphaning = outcome !== 'success' && (info?.group?.round ?? 0) > 0;
    return !isOrphaning || (await this.haveEnded(executionId, (round) => round > 0));
  }

  /** Whether the upstreams that a decided group no longer needs have ended. */
  private async isGroupApplied(executionId: string): Promise<boolean> {
    const info = await this.info(executionId);
    if (CASCADED.has(info?.stateVector.terminalOutcome)) this.follow(executionId);
    const group = info?.group;
    if (group === undefined || group.groupState === 'pending') return true;
    const { policy, round } = group;
    const cancels = policy.kind !== 'all_of' && policy.onSatisfied === 'cancel_remaining';
    if (cancels && !(await this.haveEnded(executionId, (of) => of === round))) return false;
    this.decided.add(executionId);
    return true;
  }

  /** Whether the upstreams of these rounds have ended. */
  private async haveEnded(executionId: string, isOf: (round: number) => boolean): Promise<boolean> {
    const edges = (await this.edges(executionId, 'incoming')).filter(({ round }) => isOf(round));
    if (edges.some(isOpen)) return false;
    for (const { upstreamExecutionId } of edges) this.follow(upstreamExecutionId);
    return true;
  }

  private follow(executionId: string): void {
    if (this.known.has(executionId)) return;
    this.known.add(executionId);
    this.ended.add(executionId);
  }

  private info(executionId: string) {
    return readPatiently(this.clock, () => this.backend.readExecutionInfo({ executionId }));
  }

  private async edges(executionId: string, direction: 'incoming' | 'outgoing'): Promise<EdgeSnapshot[]> {
    const edges: EdgeSnapshot[] = [];
    let cursor: string | undefined;
    do {
      const from = cursor;
      const page = await readPatiently(this.clock, () =>
        this.backend.listEdges({ executionId, direction, cursor: from, limit: LIMITS.maxListPage }),
      );
      edges.push(...page.edges);
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    return edges;
  }
}

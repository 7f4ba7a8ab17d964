/**
 * Flows of a run of the machine: their state by the log, and their invariants. A group is decided by the ends of its
 * upstreams in any order: if enough of them complete, it is satisfied and its downstream runs; otherwise the downstream
 * is skipped, with everything that depends on it.
 */
import { WALKER } from '../../model/flow/cancellation.js';
import { siblingId } from '../../model/flow/view.js';
import type { Event, EventNamed } from '../../model/events.js';
import { uuidOfExecution } from '../../model/ids.js';
import type { Flow } from '../../src/index.js';
import type { ExecutionFacts, HandlerCall } from './facts.js';
import type { FlowSetup, MemberSetup, Stage } from './flow-program.js';
import type { Result } from './handlers.js';
import { NO_RUN, type Input } from './input.js';
import type { Node } from './node.js';
import { short } from './story.js';
import type { World } from './world.js';

/** A flow that a caller requested. */
export interface FlowFacts {
  readonly number: number;
  readonly process: string;
  flowId: string | undefined;
  /** Its last member. */
  result: 'pending' | 'resolved' | 'rejected';
  value: unknown;
  isCancelled: boolean;
}

type EdgeOutcome = EventNamed<'dependency_resolved'>['edgeOutcome'];

/** The dependencies of a member. */
interface Group {
  readonly downstream: string;
  readonly isParent: boolean;
  policy: EventNamed<'edge_group_policy_set'>['groupPolicy'];
  onSatisfied: EventNamed<'edge_group_policy_set'>['onSatisfied'];
  k: number;
  /** UUIDs of its upstreams, by edge id. */
  readonly upstreams: Map<string, string>;
  readonly resolved: Map<string, EdgeOutcome>;
  fired: EventNamed<'edge_group_fired'> | undefined;
}

const neededOf = ({ policy, k, upstreams }: Group): number =>
  policy === 'all_of' ? upstreams.size : policy === 'any_of' ? 1 : k;

export class Flows {
  readonly asked: FlowFacts[] = [];
  private readonly groups = new Map<string, Group>();
  /** Whether the end of a flow has been logged, by its UUID. */
  private readonly finished = new Map<string, boolean>();

  constructor(private readonly world: World) {}

  /** The flow that a process declares. */
  static declare({ app, child }: Pick<Node, 'app' | 'child'>): Flow<FlowSetup, unknown> {
    return app.flow('stages', (f, { stages }: FlowSetup) => {
      const inputOf = ({ takesMs, fails }: Pick<MemberSetup, 'takesMs' | 'fails'>): Input => ({
        run: NO_RUN,
        child: { takesMs, fails },
      });
      const plain = inputOf({ takesMs: 0, fails: false });
      let last = f.run(child, plain);
      for (const stage of stages) {
        const before = last;
        const members = stage.members.map((each) => {
          const node = f.run(child, inputOf(each), { after: [before] });
          if (each.isFollowed) f.run(child, plain, { after: [node] });
          return node;
        });
        last = f.run(child, { ...plain, given: givenOf(stage) } as Input);

        function givenOf({ needs, onSatisfied }: Stage): unknown {
          if (needs === 'all') return members;
          if (needs === 'any') return [f.any(members, { onSatisfied })];
          return f.quorum(Math.min(needs, members.length), members, { onSatisfied });
        }
      }
      return last;
    });
  }

  run(node: Node, setup: FlowSetup): void {
    const facts: FlowFacts = {
      ...{ number: this.asked.length, process: node.name, flowId: undefined },
      ...{ result: 'pending', value: undefined, isCancelled: false },
    };
    this.asked.push(facts);
    this.world.tell(node.name, `runs flow ${facts.number}`);
    const pending = node.flow.run(setup);
    pending.then(
      ({ id }) => (facts.flowId = id),
      () => undefined,
    );
    pending.result().then(
      (value) => Object.assign(facts, { result: 'resolved', value }),
      (error: unknown) => Object.assign(facts, { result: 'rejected', value: error }),
    );
  }

  cancel(node: Node, flow: FlowFacts | undefined): void {
    if (flow?.flowId === undefined) return;
    flow.isCancelled = true;
    this.world.tell(node.name, `cancels flow ${flow.number}`);
    node.flow
      .get(flow.flowId)
      .cancel()
      .catch(() => undefined);
  }

  // The log.

  logged(event: Event): void {
    if (event.type === 'flow_created') this.finished.set(event.flow, false);
    if (event.type === 'flow_finished') this.finished.set(event.flow, true);
    if (event.type === 'flow_reopened') this.finished.set(event.flow, false);
    if (event.type === 'dependencies_staged') this.staged(event);
    if (event.type === 'edge_group_policy_set') {
      const { groupPolicy: policy, onSatisfied, quorumK: k } = event;
      Object.assign(this.groupOf(event.executionId, false), { policy, onSatisfied, k });
    }
    if (event.type === 'dependency_resolved') this.resolved(event.executionId, event.edgeId, event.edgeOutcome);
    if (event.type === 'dependencies_resolved')
      for (const { edgeId } of event.edges) this.resolved(event.executionId, edgeId, 'impossible');
    if (event.type === 'edge_group_fired') this.fired(event);
    if (event.type === 'execution_claimed') this.claimed(event.executionId);
  }

  private groupOf(downstream: string, isParent: boolean): Group {
    const known = this.groups.get(downstream);
    if (known !== undefined) return known;
    const group: Group = {
      ...{ downstream, isParent, policy: 'all_of', onSatisfied: 'none', k: 0 },
      ...{ upstreams: new Map(), resolved: new Map(), fired: undefined },
    };
    this.groups.set(downstream, group);
    return group;
  }

  private staged({ executionId, isChild, edges }: EventNamed<'dependencies_staged'>): void {
    // The results given to a parent's handler show what it waited for.
    if (!isChild)
      for (const { edgeId, upstream } of edges) this.groupOf(executionId, false).upstreams.set(edgeId, upstream);
    else this.groups.set(executionId, { ...this.groupOf(executionId, true), isParent: true });
  }

  private resolved(executionId: string, edgeId: string, edgeOutcome: EdgeOutcome): void {
    const group = this.groups.get(executionId);
    if (group === undefined || group.isParent) return;
    if (group.resolved.has(edgeId))
      this.world.broken('an edge is resolved once', `edge ${edgeId} of ${short(executionId)}`);
    group.resolved.set(edgeId, edgeOutcome);
  }

  private fired(event: EventNamed<'edge_group_fired'>): void {
    const group = this.groups.get(event.executionId);
    if (group === undefined || group.isParent) return;
    if (group.fired !== undefined) this.world.broken('a group is decided once', short(event.executionId));
    group.fired = event;
  }

  private claimed(executionId: string): void {
    const group = this.groups.get(executionId);
    if (group === undefined || group.isParent || group.fired?.groupOutcome === 'satisfied') return;
    this.world.broken('what waits for others begins behind them', short(executionId));
  }

  // Handlers.

  /** The inputs of a member come from enough of its upstreams, all of which have completed. */
  given(call: HandlerCall, given: unknown): void {
    const group = this.groups.get(call.executionId);
    if (group === undefined || group.isParent || !Array.isArray(given)) return;
    const from = new Set(
      (given as readonly Result[]).map(({ call: number }) => this.world.facts.calls[number]?.executionId),
    );
    const known = new Set(group.upstreams.values());
    const areOwn = [...from].every((id) => id !== undefined && known.has(uuidOfExecution(id)));
    if (from.size < neededOf(group) || from.size !== given.length || !areOwn)
      this.world.broken(
        'a member is given what it waited for',
        `${short(call.executionId)} is given ${JSON.stringify(given)}`,
      );
  }

  // The end.

  isSettled({ result, process }: FlowFacts): boolean {
    return result !== 'pending' || !this.world.living.some(({ name }) => name === process);
  }

  /** Once everything has ended. */
  check(): void {
    for (const group of this.groups.values()) if (!group.isParent) this.judge(group);
    for (const [flow, isFinished] of this.finished)
      if (!isFinished) this.world.broken('a flow whose members have ended says so', flow);
    for (const facts of this.asked) this.promised(facts);
  }

  private judge(group: Group): void {
    const { downstream, upstreams, fired } = group;
    const execution = this.world.facts.executions.get(downstream);
    const leading = [...upstreams.values()].map((uuid) => this.world.facts.executions.get(siblingId(downstream, uuid)));
    if (execution === undefined || leading.some((each) => each === undefined))
      return this.world.broken('all that belongs to a flow is there', short(downstream));
    const completed = leading.filter((each) => endOf(each) === 'execution_completed').length;
    const verdict = completed >= neededOf(group) ? 'satisfied' : 'impossible';
    if (fired?.groupOutcome !== verdict)
      this.world.broken(
        'a group is decided by how those end that lead to it',
        `${short(downstream)}: ${completed} of ${upstreams.size} completed, ${neededOf(group)} needed, and it is ${fired?.groupOutcome}`,
      );
    if (group.resolved.size !== upstreams.size)
      this.world.broken('no edge is lost', `${short(downstream)}: ${group.resolved.size} of ${upstreams.size}`);
    this.judgeDownstream(group, execution, verdict);
    if (fired !== undefined && group.onSatisfied === 'cancel_remaining')
      for (const each of leading) this.judgeSibling(fired, each as ExecutionFacts);
  }

  private judgeDownstream({ downstream }: Group, execution: ExecutionFacts, verdict: string): void {
    const began = execution.events.filter(({ type }) => type === 'dependencies_met').length;
    const end = execution.events.findLast(({ type }) => ENDS.has(type));
    const isCancelled = end?.type === 'execution_cancelled' && end.cancelledBy === WALKER;
    const isRight = verdict === 'satisfied' ? began === 1 || isCancelled : began === 0 && (isSkip(end) || isCancelled);
    if (began > 1 || !isRight)
      this.world.broken(
        'what waits for a group runs once if that is satisfied, and is skipped if not',
        `${short(downstream)}: the group is ${verdict}, it became ready ${began} times, and its end is ${end?.type}`,
      );
  }

  /** Members that a decided group no longer needs end with the decision. */
  private judgeSibling(fired: EventNamed<'edge_group_fired'>, sibling: ExecutionFacts): void {
    const end = sibling.events.findLast(({ type }) => ENDS.has(type));
    if (end !== undefined && end.at > fired.at)
      this.world.broken(
        'those that a race has outrun end with it',
        `${short(sibling.executionId)} ends ${end.at - fired.at} ms after ${short(fired.executionId)} was decided`,
      );
  }

  private promised(facts: FlowFacts): void {
    if (!this.isSettled(facts)) this.world.broken("every flow's promise settles", `flow ${facts.number}`);
    if (facts.result !== 'resolved') return;
    const call = this.world.facts.calls[(facts.value as Result).call];
    if (call?.end !== 'returned')
      this.world.broken(
        "a flow's promise says how it ended",
        `flow ${facts.number} gave ${JSON.stringify(facts.value)}`,
      );
  }
}

const ENDS: ReadonlySet<Event['type']> = new Set<Event['type']>([
  ...(['execution_completed', 'execution_failed', 'execution_cancelled'] as const),
  ...(['execution_expired', 'execution_skipped'] as const),
]);
const isSkip = (end: Event | undefined): boolean => end?.type === 'execution_skipped';
const endOf = (execution: ExecutionFacts | undefined): Event['type'] | undefined =>
  execution?.events.findLast(({ type }) => ENDS.has(type))?.type;

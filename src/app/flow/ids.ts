/**
 * Ids of a flow, its members and its edges. All are derived from the id of the flow, so a repeated creation, after a
 * lost reply or by a caller with the same own id, creates the same flow, and any process can compute the members' ids.
 */
import { executionIdOf, partitionIndexOf, uuidOfExecution } from '../../../model/ids.js';
import { uuidFrom } from '../../util/uuid-from.js';

/** The UUID of the flow with this own id. */
export const ownFlowUuid = (namespace: string, flow: string, id: string): string =>
  uuidFrom(`flow\t${namespace}\t${flow.length}\t${flow}\t${id}`);

/** Length of the time at the start of a UUID, with its hyphen. */
const TIME_LENGTH = 13;

/** Hexadecimal digits of a node's index in an id; a flow cannot have so many nodes. */
const DIGITS = 6;
const MASK = 16 ** DIGITS - 1;

/** Odd, so that different indexes stay different. It also changes the leading digits, by which tables of ids hash. */
const SPREAD = 0x9e3779;

const mixed = (digits: string, number: number): string =>
  (Number.parseInt(digits, 16) ^ (Math.imul(number, SPREAD) & MASK)).toString(16).padStart(DIGITS, '0');

/** A UUID for each pair of indexes. All share the random part of the base, so a flow is hashed once. */
const numbered = (base: string, first: number, second: number): string =>
  base.slice(0, -2 * DIGITS) + mixed(base.slice(-2 * DIGITS, -DIGITS), first) + mixed(base.slice(-DIGITS), second);

/** Ids of the members and edges of one flow, by the indexes of its nodes. */
export class FlowIds {
  private readonly partition: number;
  private readonly members: string;
  private readonly edges: string;
  private readonly known: string[] = [];

  constructor(flowId: string) {
    const uuid = uuidOfExecution(flowId);
    this.partition = partitionIndexOf(flowId);
    this.edges = uuidFrom(`nodes\t${uuid}`);
    // Members begin with the time of their flow: in ordered indexes of ids they are adjacent, and near the end.
    this.members = uuid.slice(0, TIME_LENGTH) + this.edges.slice(TIME_LENGTH);
  }

  /** The execution id of a node. */
  member(node: number): string {
    return (this.known[node] ??= executionIdOf(this.partition, numbered(this.members, 0, node)));
  }

  /** The id of the edge between two nodes. */
  edge(upstream: number, downstream: number): string {
    return numbered(this.edges, upstream, downstream);
  }
}

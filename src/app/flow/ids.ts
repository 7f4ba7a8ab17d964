/**
 * Ids of a flow, and of its members and edges. All follow from one text, so that a creation that is repeated, after a
 * lost reply or by a caller with the same own id, makes the same flow, and a process that knows the flow knows its
 * members.
 */
import { executionIdOf, partitionIndexOf, uuidOfExecution } from '../../../model/ids.js';
import { uuidFrom } from '../../util/uuid-from.js';

/** The UUID of the flow that has this own id. */
export const ownFlowUuid = (namespace: string, flow: string, id: string): string =>
  uuidFrom(`flow\t${namespace}\t${flow.length}\t${flow}\t${id}`);

/** The time that a UUID begins with, with the hyphen in it. */
const TIME_LENGTH = 13;

/** Hexadecimal digits of a number in an id: more than there are nodes in a flow. */
const DIGITS = 6;
const MASK = 16 ** DIGITS - 1;

/** Odd, so that different numbers stay different; tables of ids look at the digits before the last one. */
const SPREAD = 0x9e3779;

const mixed = (digits: string, number: number): string =>
  (Number.parseInt(digits, 16) ^ (Math.imul(number, SPREAD) & MASK)).toString(16).padStart(DIGITS, '0');

/** Different pairs of numbers give different UUIDs. They share what is random in them, so that a flow takes one hash. */
const numbered = (base: string, first: number, second: number): string =>
  base.slice(0, -2 * DIGITS) + mixed(base.slice(-2 * DIGITS, -DIGITS), first) + mixed(base.slice(-DIGITS), second);

/** Names the members and edges of one flow by the numbers of its nodes. */
export class FlowIds {
  private readonly partition: number;
  private readonly members: string;
  private readonly edges: string;
  private readonly known: string[] = [];

  constructor(flowId: string) {
    const uuid = uuidOfExecution(flowId);
    this.partition = partitionIndexOf(flowId);
    this.edges = uuidFrom(`nodes\t${uuid}`);
    // Members begin as their flow does: indexes of ids have them in one place, and enter them where they enter what is new.
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

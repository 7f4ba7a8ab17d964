/** Repairs the indexes of flows from the records of their members: members by rank, edges, and outgoing edges. */
import { KEYS, SUFFIXES } from '../../../lua/layout.js';
import { textsOf } from '../wire/reply.js';
import type { VerifyLink } from './verify.js';

/** Names of the keys of flows, and the listener for differences. */
export interface FlowKeys {
  /** Flows with an index of members, and of edges. */
  readonly members: readonly string[];
  readonly edges: readonly string[];
  /** Executions with incoming edges, or that wait for others; and with outgoing edges. */
  readonly dependent: Iterable<string>;
  readonly leading: readonly string[];
  /** Executions with a single outgoing edge. */
  readonly onlyEdges: readonly string[];
  find(index: string, count: number): void;
}

/** Entries per step. */
const AT_ONCE = 100;

/** Adds missing edges of the records, and removes entries without a record. Members are added with their records. */
export async function mendFlows(
  link: VerifyLink,
  { members, edges, dependent, leading, onlyEdges, find }: FlowKeys,
): Promise<void> {
  for (const id of dependent) await enterEdges(link, id, find);
  for (const flow of members) await byRank(link, 'members', flow, KEYS.members + flow, find);
  for (const id of leading) await byRank(link, 'leading', id, id + SUFFIXES.leading, find);
  for (const id of onlyEdges) find(id + SUFFIXES.only, Number(await link.step('only_edge', id)));
  for (const flow of edges) {
    for (let cursor = '0'; ; ) {
      const answer = textsOf(await link.step('flow_edges', flow, cursor, String(AT_ONCE)));
      find(KEYS.edges + flow, Number(answer[1]));
      cursor = answer[0] ?? '0';
      if (cursor === '0') break;
    }
  }
}

async function enterEdges(link: VerifyLink, id: string, find: FlowKeys['find']): Promise<void> {
  let cursor = '0';
  do {
    const answer = textsOf(await link.step('edges', id, cursor, String(AT_ONCE)));
    const [next = '0', ofFlow, ofUpstreams, flow, undone] = answer;
    find(KEYS.edges + flow, Number(ofFlow));
    find(SUFFIXES.leading.slice(1), Number(ofUpstreams));
    find('waiting members', Number(undone));
    cursor = next;
  } while (cursor !== '0');
}

async function byRank(
  link: VerifyLink,
  step: string,
  of: string,
  index: string,
  find: FlowKeys['find'],
): Promise<void> {
  for (let from = 0; ; ) {
    const answer = textsOf(await link.step(step, of, String(from), String(AT_ONCE)));
    const [looked = 0, wrong = 0] = answer.map(Number);
    find(index, wrong);
    if (looked < AT_ONCE) return;
    from += looked - wrong;
  }
}

/** Compares the indexes of flows with the records of their members: members by rank, edges, what leads out of an execution. */
import { KEYS, SUFFIXES } from '../../lua/layout.js';
import { textOf, type WireReply } from './reply.js';
import type { VerifyLink } from './verify.js';

/** Names that were found, and what is told of differences. */
export interface FlowKeys {
  /** Flows that have an index of members, and of edges. */
  readonly members: readonly string[];
  readonly edges: readonly string[];
  /** Executions that edges lead to, and those that edges lead out of. */
  readonly dependent: readonly string[];
  readonly leading: readonly string[];
  /** Those that one edge leads out of. */
  readonly onlyEdges: readonly string[];
  find(index: string, count: number): void;
}

/** Entries of one step. */
const AT_ONCE = 100;

const textsOf = (reply: WireReply): string[] => (reply as WireReply[]).map(textOf);

/** Members and edges that records tell of are entered when the records are gone over; what nothing tells of goes. */
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
    const [looked, wrong] = answer.map(Number) as [number, number];
    find(index, wrong);
    if (looked < AT_ONCE) return;
    from += looked - wrong;
  }
}

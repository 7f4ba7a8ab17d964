/**
 * Ids of a flow and of its members. All follow from one text, so that a creation that is repeated, after a lost reply or
 * by a caller with the same own id, makes the same flow, and a process that knows the flow knows its members.
 */
import { createHash } from 'node:crypto';

/** A UUID (version 8) made of a text; the same for the same text. */
function uuidFrom(text: string): string {
  const bytes = createHash('sha256').update(text).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** The UUID of the flow that has this own id. */
export const ownFlowUuid = (namespace: string, flow: string, id: string): string =>
  uuidFrom(`flow\t${namespace}\t${flow.length}\t${flow}\t${id}`);

/** The UUID of a node, by its number. */
export const memberUuid = (flowUuid: string, node: number): string => uuidFrom(`member\t${flowUuid}\t${node}`);

/** The id of the edge between two nodes. */
export const edgeUuid = (flowUuid: string, upstream: number, downstream: number): string =>
  uuidFrom(`edge\t${flowUuid}\t${upstream}\t${downstream}`);

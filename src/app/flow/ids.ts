/**
 * Ids of a flow and of its members. All follow from one text, so that a creation that is repeated, after a lost reply or
 * by a caller with the same own id, makes the same flow, and a process that knows the flow knows its members.
 */
import { uuidFrom } from '../../util/uuid-from.js';

/** The UUID of the flow that has this own id. */
export const ownFlowUuid = (namespace: string, flow: string, id: string): string =>
  uuidFrom(`flow\t${namespace}\t${flow.length}\t${flow}\t${id}`);

/** The UUID of a node, by its number. */
export const memberUuid = (flowUuid: string, node: number): string => uuidFrom(`member\t${flowUuid}\t${node}`);

/** The id of the edge between two nodes. */
export const edgeUuid = (flowUuid: string, upstream: number, downstream: number): string =>
  uuidFrom(`edge\t${flowUuid}\t${upstream}\t${downstream}`);

/**
 * Ids of a flow and of its members. All follow from one text, so that a creation that is repeated, after a lost reply or
 * by a caller with the same own id, makes the same flow, and a process that knows the flow knows its members.
 */
import { uuidFrom } from '../../util/uuid-from.js';

/** The UUID of the flow that has this own id. */
export const ownFlowUuid = (namespace: string, flow: string, id: string): string =>
  uuidFrom(`flow\t${namespace}\t${flow.length}\t${flow}\t${id}`);

/** The time that a UUID begins with, with the hyphen in it. */
const TIME_LENGTH = 13;

/**
 * The UUID of a node, by its number. It begins as that of its flow does: indexes of ids have the members of a flow in one
 * place, and enter them where they enter what is new.
 */
export const memberUuid = (flowUuid: string, node: number): string =>
  flowUuid.slice(0, TIME_LENGTH) + uuidFrom(`member\t${flowUuid}\t${node}`).slice(TIME_LENGTH);

/** The id of the edge between two nodes. */
export const edgeUuid = (flowUuid: string, upstream: number, downstream: number): string =>
  uuidFrom(`edge\t${flowUuid}\t${upstream}\t${downstream}`);

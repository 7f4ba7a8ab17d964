/** The flows of an app, as `app.flows` lists them. */
import type { PublicFlowState } from '../../../model/flow/state.js';
import { isExecutionId } from '../../../model/ids.js';
import type { Backend } from '../../backend/backend.js';
import { flowsById, type CallRead } from '../../engine/lists.js';
import { refuse } from '../../shared/checks.js';
import { knownOnly } from '../../shared/known-only.js';
import type { Flow, FlowInfo, FlowState } from '../flow/flow.js';
import { infoOf } from '../flow/flow-run.js';
import { isOfApp } from '../flow/stored.js';

/** Selects flows; an absent member matches all. */
export interface FlowQuery {
  /** A flow, or its name. */
  readonly flow?: Pick<Flow<never, unknown>, 'name'> | string | undefined;
  /** Only flows in this state, as `run.state()` gives it. */
  readonly state?: FlowState | undefined;
  /** The id of a flow after which the list continues. */
  readonly after?: string | undefined;
}

const QUERY = { flow: true, state: true, after: true } as const;

/** The state of the engine that all flows in a state have; undefined where several are possible. */
const STATUS: Readonly<Record<FlowState, PublicFlowState | undefined>> = {
  running: 'running',
  waiting: undefined,
  blocked: 'blocked',
  completed: undefined,
  failed: 'failed',
  cancelled: 'cancelled',
};

export interface FlowSource {
  readonly namespace: string;
  backend(): Promise<Backend>;
  readonly call: CallRead;
}

/** The matching flows, by id. @throws InvalidDefinitionError for an invalid query */
export async function* flowRows(source: FlowSource, query: FlowQuery): AsyncGenerator<FlowInfo, void, undefined> {
  const where = 'flows';
  knownOnly<FlowQuery>(where, query, QUERY);
  const { flow, state, after } = query;
  const name = typeof flow === 'string' ? flow : flow?.name;
  if (flow !== undefined && typeof name !== 'string') throw refuse(where, 'flow', 'a flow, or the name of one', flow);
  if (state !== undefined && !Object.hasOwn(STATUS, state))
    throw refuse(where, 'state', `one of ${Object.keys(STATUS).join(', ')}`, state);
  if (after !== undefined && (typeof after !== 'string' || !isExecutionId(after)))
    throw refuse(where, 'after', 'the id of a flow', after);
  const { namespace, call } = source;
  const backend = await source.backend();
  const status = state === undefined ? undefined : STATUS[state];
  for await (const row of flowsById(backend, { status, after, call })) {
    // The children of a handler are a flow too.
    if (row.namespace !== namespace || !isOfApp(row.tags) || (name !== undefined && row.flowKind !== name)) continue;
    const info = await infoOf({ backend, flowId: row.flowId, call }, row);
    if (state === undefined || info.state === state) yield info;
  }
}

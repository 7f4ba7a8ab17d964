/** Cancelling a flow and waiting for it: when that counts as complete. */
import { describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backend/backend.js';
import { cancelFlow, type CancelFlowOptions } from '../../src/engine/cancel-flow.js';

/** A backend whose flow has one member in a state, and another one that has ended. */
function withMember(state: string): Backend {
  const answers = {
    cancelFlowHeader: () => Promise.resolve({ kind: 'cancelled' }),
    describeFlow: () => Promise.resolve({ members: { [state]: 1, completed: 1 } }),
  };
  return answers as unknown as Backend;
}

const isComplete = async (state: string, cancellationPolicy: CancelFlowOptions['cancellationPolicy']) =>
  (await cancelFlow(withMember(state), { flowId: 'f', cancellationPolicy })).kind === 'cancelled';

const WAITING = ['waiting', 'delayed', 'rate_limited', 'waiting_children'];
const BEGUN = ['active', 'suspended', 'resumable'];
const ENDED = ['completed', 'failed', 'cancelled', 'expired', 'skipped'];

describe('cancelFlow', () => {
  it.each([...WAITING, ...BEGUN])('with cancel_all is not complete while a member is %s', async (state) => {
    expect(await isComplete(state, 'cancel_all')).toBe(false);
  });

  it.each(WAITING)('with cancel_pending is not complete while a member is %s', async (state) => {
    expect(await isComplete(state, 'cancel_pending')).toBe(false);
  });

  it.each([...BEGUN, ...ENDED])('with cancel_pending leaves alone a member that is %s', async (state) => {
    expect(await isComplete(state, 'cancel_pending')).toBe(true);
  });

  it.each(ENDED)('with cancel_all is complete when the members are %s', async (state) => {
    expect(await isComplete(state, 'cancel_all')).toBe(true);
  });

  it.each([...WAITING, ...BEGUN])('with flow_only is complete, also while a member is %s', async (state) => {
    expect(await isComplete(state, 'flow_only')).toBe(true);
  });
});

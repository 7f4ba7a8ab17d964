/** Flows in small worlds, explored exhaustively to a depth; planted defects are found with a shortest path. */
import { expect, test } from 'vitest';
import type { Event } from '../../model/events.js';
import { FLOW_WORLDS, type FlowWorld } from './flow-moves.js';
import { exploreFlow, honest, type Carrier } from './flows.js';

const reached = new Set<Event['type']>();

test.each(FLOW_WORLDS)('$name', { timeout: 60_000 }, (world) => {
  const found = exploreFlow(world);
  console.log(`${found.states} states: ${world.name}`);
  expect(found.broken).toBeUndefined();
  for (const type of found.reached) reached.add(type);
});

test('the worlds reach every event of flows', () => {
  const wanted: Event['type'][] = [
    ...(['flow_sealed', 'flow_closed', 'flow_cancelled', 'flow_finished', 'flow_reopened'] as const),
    ...(['edge_group_fired', 'dependencies_met', 'execution_skipped', 'children_awaited'] as const),
    ...(['walk_begun', 'walk_advanced', 'walk_ended'] as const),
  ];
  expect(wanted.filter((type) => !reached.has(type))).toEqual([]);
});

/** An engine that drops some consequences. */
const forgetting =
  (isForgotten: (event: Event) => boolean): Carrier =>
  (machine, command) => {
    const record = machine.record.bind(machine);
    machine.record = (event) => {
      if (!isForgotten(event)) record(event);
    };
    return honest(machine, command);
  };

const [race, , diamond, , parent] = FLOW_WORLDS as [FlowWorld, FlowWorld, FlowWorld, FlowWorld, FlowWorld];

test('a cascade that loses its remaining work is found', { timeout: 60_000 }, () => {
  const { broken } = exploreFlow(
    race,
    5,
    forgetting(({ type }) => type === 'walk_begun'),
  );
  expect(broken?.property).toBe('what a cancelled flow owes its members is being done');
  expect(broken?.path).toEqual(['create', 'cancel_all']);
});

test('a satisfied group whose downstream is not released is found', { timeout: 60_000 }, () => {
  const { broken } = exploreFlow(
    diamond,
    4,
    forgetting(({ type }) => type === 'dependencies_met'),
  );
  // An honest worker reaches it.
  expect(broken?.property).toMatch(/^a satisfied group lets its execution go on/);
  expect(broken?.path).toEqual(['create']);
});

test('a member that returns to a cancelled flow and is not ended is found', { timeout: 60_000 }, () => {
  const isOfWalk = (event: Event): boolean =>
    event.type === 'execution_cancelled' && event.cancelledBy === 'flow_cascade';
  const { broken } = exploreFlow(parent, 4, (machine, command) =>
    command.name === 'releaseLease' ? forgetting(isOfWalk)(machine, command) : honest(machine, command),
  );
  expect(broken?.property).toBe('what a cancelled flow owes its members is being done');
  expect(broken?.path).toEqual(['create', 'claim', 'cancel_pending', '1 is given back']);
});

/** How random runs send signals: to waitpoints, by name, and to running work. */
import fc from 'fast-check';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import type { Command } from '../../model/machine.js';
import { owner, pick, seldom, type Owner, type Pick } from './choices.js';
import { generator } from './generator.js';
import { CHANNELS, DECIDERS, KEYS, NAMES, SHAPES, type Shape, waitpointsOf } from './waiting-choices.js';
import { choose, chosenId, claimantOf, type World } from './world.js';

interface Approve {
  readonly pick: Pick;
  readonly waitpoint: number;
  readonly name: number;
  readonly suffix: number;
  readonly decider: number;
  readonly known: true | null;
  readonly cap: 1 | 2 | null;
  readonly ttlMs: number;
}

/** A signal to a waitpoint of an execution; usually an open one. */
function approval(world: World, choices: Approve): Command {
  const execution = choose(world, choices.pick);
  const { suspension, pendingIds = [] } = execution?.waiting ?? {};
  const open = [...pendingIds, ...(suspension?.closing === undefined ? (suspension?.waitpointIds ?? []) : [])];
  const all = waitpointsOf(execution);
  const ids = choices.waitpoint < 6 && open.length > 0 ? open : all;
  const sent = Object.keys(execution?.waiting?.signals ?? {});
  const known = choices.known === null ? undefined : sent[choices.waitpoint % Math.max(1, sent.length)];
  return {
    name: 'deliverApprovalSignal',
    args: {
      executionId: chosenId(world, choices.pick),
      waitpointId: ids[choices.waitpoint % Math.max(1, ids.length)] ?? world.uuid(),
      signalId: known ?? world.uuid(),
      signalName: NAMES[choices.name] as string,
      idempotencySuffix: `s${choices.suffix}`,
      signalDedupTtlMs: choices.ttlMs,
      maxSignalsPerExecution: choices.cap ?? undefined,
      decidedBy: DECIDERS[choices.decider] as string,
    },
  };
}

interface Send {
  readonly pick: Pick;
  readonly channel: number;
  readonly known: true | null;
  readonly cap: 1 | 2 | null;
  readonly bytes: number;
  readonly decider: number;
  readonly carries: true | null;
}

const sent = {
  channel: fc.constantFrom(0, 0, 0, 1, 2, 3),
  known: seldom(fc.constant(true as const), 8),
  cap: seldom(fc.constantFrom(1 as const, 2 as const), 5),
  bytes: fc.constantFrom(0, 0, 1, 40, 300),
  decider: fc.nat(DECIDERS.length - 1),
  carries: seldom(fc.constant(true as const), 3),
};

/** A signal by name; some names are those of waitpoints. */
function named(
  world: World,
  executionId: string,
  execution: ReadonlyExecution | undefined,
  { channel, known, cap, bytes, decider, carries }: Omit<Send, 'pick'>,
): Command {
  const { signals = {}, suspension } = execution?.waiting ?? {};
  const sent = carries ? suspension?.suspensionId : Object.keys(signals)[0];
  return {
    name: 'signalExecution',
    args: {
      executionId,
      signalId: (known === null ? undefined : sent) ?? world.uuid(),
      signalName: CHANNELS[channel] as string,
      sourceIdentity: DECIDERS[decider] as string,
      maxSignalsPerExecution: cap ?? undefined,
      payload: bytes === 0 ? undefined : new Uint8Array(bytes).fill(bytes),
      ...(carries && { correlationId: 'Fall 7', createdAt: world.now - 7, payloadEncoding: 'raw' }),
    },
  };
}

export const signalActions = {
  approve: generator<Approve>({
    weight: 12,
    choices: {
      pick: pick('suspended', 'suspended', 'suspended', 'suspended', 'waited', 'waited', 'terminal'),
      waitpoint: fc.nat(8),
      name: fc.constantFrom(0, 0, 1, 1, 2),
      suffix: fc.nat(3),
      decider: fc.nat(DECIDERS.length - 1),
      known: seldom(fc.constant(true as const), 10),
      cap: seldom(fc.constantFrom(1 as const, 2 as const), 6),
      ttlMs: fc.constantFrom(1, 500, 86_400_000),
    },
    resolve: (world, choices) => [approval(world, choices)],
  }),
  send: generator<Send>({
    weight: 12,
    choices: {
      pick: pick('suspended', 'suspended', 'suspended', 'suspended', 'waited', 'delayed', 'terminal', 'missing'),
      ...sent,
    },
    resolve: (world, { pick, ...choices }) => [named(world, chosenId(world, pick), choose(world, pick), choices)],
  }),
  /** A signal to running work, whose worker then suspends it, having seen the signal or not. */
  arrive: generator<Omit<Send, 'pick'> & { readonly owner: Owner; readonly unseen: 0 | 1 }>({
    weight: 6,
    choices: { owner, unseen: fc.constantFrom(0 as const, 1 as const), ...sent },
    resolve(world, { owner, unseen, ...choices }) {
      const { execution, args } = claimantOf(world, owner);
      const { condition } = SHAPES[1] as Shape;
      const kept = execution?.keptSignalCount ?? 0;
      if (kept === 0) return [named(world, args.executionId, execution, choices)];
      return [
        {
          name: 'suspendExecution',
          args: {
            executionId: args.executionId,
            fence: args.fence,
            attemptIndex: args.attemptIndex,
            suspensionId: world.uuid(),
            waitpoints: [{ waitpointId: world.uuid(), waitpointKey: KEYS[0] }],
            resumeCondition: condition,
            seenSignals: kept - unseen,
          },
        },
      ];
    },
  }),
};

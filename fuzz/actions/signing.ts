/** How random runs install signing keys, and send signals with all kinds of tokens. */
import fc from 'fast-check';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { digestOf, messageOf } from '../../model/signing/token.js';
import { bytesOf, choose, chosenId, type World } from './world.js';
import { pick, seldom, type Pick } from './choices.js';
import { generator, type Reads } from './generator.js';
import * as example from './example.js';

/** Secrets by id: one is longer than a block of the hash. */
const SECRETS: Readonly<Record<string, Uint8Array>> = {
  k1: bytesOf(32),
  k2: Uint8Array.from({ length: 70 }, (_, i) => 255 - i),
  'k|3': Uint8Array.from({ length: 64 }, (_, i) => i),
};
const KIDS = Object.keys(SECRETS);

type Fault =
  | 'none'
  | 'empty'
  | 'no_colon'
  | 'short'
  | 'unknown_kid'
  | 'other_waitpoint'
  | 'upper_case'
  | 'one_off'
  | 'wide'
  | 'narrow';

interface Signal {
  readonly pick: Pick;
  readonly waitpoint: number;
  readonly kid: number | null;
  readonly fault: Fault;
  readonly name: number;
  readonly source: number;
  readonly key: number;
  readonly cap: 1 | null;
  /** Its payload. */
  readonly bytes: number;
  readonly carries: true | null;
  readonly delayMs: number;
}

const NAMES = ['approved', 'rejected', 'Größe, "x"'] as const;
const SOURCES = ['', 'web', 'web:1'] as const;
const KEYS = ['', 'once', 'a:b'] as const;

/** A waitpoint of a chosen execution; usually an open one. */
function waitpointOf(execution: ReadonlyExecution | undefined, index: number): string | undefined {
  const { suspension, pendingIds = [] } = execution?.waiting ?? {};
  const open = [...pendingIds, ...(suspension?.closing === undefined ? (suspension?.waitpointIds ?? []) : [])];
  const all = Object.keys(execution?.waiting?.waitpoints ?? {});
  const ids = index < 6 && open.length > 0 ? open : all;
  return ids[index % Math.max(1, ids.length)];
}

function tokenOf(
  world: World,
  execution: ReadonlyExecution | undefined,
  id: string | undefined,
  choices: Signal,
): string {
  const current = [...world.tables.signing_key.values()].find(({ expiresAt }) => expiresAt === undefined)?.kid;
  const kid = choices.kid === null ? (current ?? 'k1') : (KIDS[choices.kid] as string);
  const waitpoint = id === undefined ? undefined : execution?.waiting?.waitpoints[id];
  const bound = {
    waitpointId: choices.fault === 'other_waitpoint' ? world.uuid() : (id ?? world.uuid()),
    waitpointKey: waitpoint?.waitpointKey ?? '',
    createdAt: (waitpoint?.createdAt ?? 0) + (choices.fault === 'one_off' ? 1 : 0),
  };
  const digest = digestOf(SECRETS[kid] as Uint8Array, messageOf(bound));
  switch (choices.fault) {
    case 'empty':
      return '';
    case 'no_colon':
      return `:${digest}`;
    case 'wide':
      // As many characters as a digest, and more bytes.
      return `${kid}:${'ü'.repeat(40)}`;
    case 'narrow':
      // As many bytes as a digest, and fewer characters.
      return `${kid}:${'ü'.repeat(20)}`;
    case 'short':
      return `${kid}:${digest.slice(1)}`;
    case 'unknown_kid':
      return `other:${digest}`;
    case 'upper_case':
      return `${kid}:${digest.toUpperCase()}`;
    default:
      return `${kid}:${digest}`;
  }
}

export const signingActions = {
  rotate: generator({
    weight: 5,
    choices: {
      kid: fc.nat(KIDS.length - 1),
      wrong: seldom(fc.constant(true as const), 8),
      graceMs: fc.constantFrom(0, 500, 100_000),
      onlyFirst: seldom(fc.constant(true as const), 4),
    },
    resolve(world, { kid, wrong, graceMs, onlyFirst }) {
      const newKid = KIDS[kid] as string;
      const newSecret = wrong === null ? (SECRETS[newKid] as Uint8Array) : bytesOf(33);
      return [
        {
          name: 'rotateWaitpointHmacSecret',
          args: { partition: world.partition, newKid, newSecret, graceMs, onlyFirst: onlyFirst ?? false },
        },
      ];
    },
  }),
  signal: generator<Signal>({
    weight: 9,
    choices: {
      pick: pick('suspended', 'suspended', 'suspended', 'waited', 'terminal'),
      waitpoint: fc.nat(8),
      kid: fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.nat(KIDS.length - 1) }),
      fault: fc.oneof(
        { weight: 8, arbitrary: fc.constant<Fault>('none') },
        {
          weight: 2,
          arbitrary: fc.constantFrom<Fault>(
            'empty',
            'no_colon',
            'short',
            'unknown_kid',
            'other_waitpoint',
            'upper_case',
            'wide',
            'narrow',
            'one_off',
          ),
        },
      ),
      name: fc.nat(NAMES.length - 1),
      source: fc.nat(SOURCES.length - 1),
      key: fc.nat(KEYS.length - 1),
      cap: seldom(fc.constant(1 as const), 8),
      bytes: fc.constantFrom(0, 0, 1, 40, 300),
      carries: seldom(fc.constant(true as const), 3),
      delayMs: fc.constantFrom(0, 0, 0, 0, 400),
    },
    resolve(world, choices) {
      const execution = choose(world, choices.pick);
      const waitpointId = waitpointOf(execution, choices.waitpoint);
      return [
        {
          name: 'deliverSignal',
          args: {
            executionId: chosenId(world, choices.pick),
            waitpointId: waitpointId ?? world.uuid(),
            waitpointToken: tokenOf(world, execution, waitpointId, choices),
            signalId: world.uuid(),
            signalName: NAMES[choices.name] as string,
            sourceIdentity: SOURCES[choices.source] as string,
            idempotencyKey: KEYS[choices.key] as string,
            dedupTtlMs: 500,
            maxSignalsPerExecution: choices.cap ?? undefined,
            resumeDelayMs: choices.delayMs,
            payload: bytesOf(choices.bytes),
            ...(choices.carries && {
              correlationId: 'Fall 7',
              createdAt: world.now - 7,
              targetScope: 'execution',
              payloadEncoding: 'raw',
            }),
          },
        },
      ];
    },
  }),
};

export const signingReads: Reads = (world, { executionId, index }) => {
  const waitpointId = waitpointOf(world.tables.execution.get(executionId), index);
  return [
    ['listWaitpointHmacKids', { partition: world.partition }],
    ['readWaitpointToken', { executionId, waitpointId: waitpointId ?? '00000000-0000-4000-a000-000000000000' }],
  ];
};

/** Valid arguments of each command and read. */
export const signingExamples = {
  deliverSignal: {
    executionId: example.SUSPENDED,
    waitpointId: example.uuid(301),
    waitpointToken: `k1:${example.SECRET}`,
    signalId: example.uuid(303),
    signalName: 'go',
    signalCategory: 'external',
    sourceType: 'external',
    sourceIdentity: 'web',
    idempotencyKey: example.SECRET,
    dedupTtlMs: 1_000,
    maxSignalsPerExecution: 5,
    resumeDelayMs: 5,
    correlationId: example.SECRET,
    createdAt: 7,
    targetScope: 'execution',
    payloadEncoding: 'json',
    payload: example.text(example.SECRET),
  },
  rotateWaitpointHmacSecret: {
    partition: example.PARTITION,
    newKid: 'k1',
    newSecret: example.text(example.SECRET.padEnd(32, 's')),
    graceMs: 5,
    onlyFirst: true,
  },
  readWaitpointToken: { executionId: example.RUNNING, waitpointId: example.uuid(301) },
  listWaitpointHmacKids: { partition: example.PARTITION },
} satisfies example.Examples;

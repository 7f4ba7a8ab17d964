/** How random runs create quota policies, and check and release admissions. */
import fc from 'fast-check';
import { LIMITS } from '../../model/limits.js';
import { meterSetOf, metersOf } from '../../model/metering/meters.js';
import { uuidOf } from '../../model/short-id.js';
import { LANES, seldom, unit } from './choices.js';
import { generator, type Reads } from './generator.js';
import type { World } from './world.js';
import * as example from './example.js';

const policyId = (index: number): string => `00000000-0000-4000-a000-0000000000f${index}`;

/** Limits that few steps reach. */
const SPECS = [
  { maxConcurrent: 1 },
  { windowSeconds: 1, maxRequestsPerWindow: 2, jitterMs: 10 },
  { windowSeconds: 2, maxRequestsPerWindow: 3, maxConcurrent: 2, slotTtlMs: 1_000 },
  {},
] as const;

const policy = fc.nat(2);

/** The n-th admission with a slot, or an unknown one. */
function admissionOf({ tables, uuid }: World, index: number | null): string {
  const ids = [...tables.quota_policy.values()].flatMap(({ slots }) => Object.keys(slots ?? {}));
  const id = index === null ? undefined : ids[index % Math.max(1, ids.length)];
  return id === undefined ? uuid() : uuidOf(id);
}

const waiterOf = (waits: number | null, quotaPolicyId: string) =>
  waits === null
    ? {}
    : {
        laneId: LANES[waits % 2] as string,
        workerInstanceId: `worker-${waits}`,
        meters: meterSetOf(metersOf({ quotaPolicyIds: [quotaPolicyId] })),
      };

export const quotaActions = {
  create_quota: generator({
    weight: 2,
    choices: { policy, spec: fc.nat(SPECS.length - 1) },
    resolve: (_, { policy, spec }) => [
      { name: 'createQuotaPolicy', args: { quotaPolicyId: policyId(policy), ...SPECS[spec] } },
    ],
  }),
  check_admission: generator({
    weight: 7,
    choices: {
      policy,
      known: seldom(fc.nat(3), 3),
      count: fc.integer({ min: 1, max: 3 }),
      spec: fc.option(fc.nat(SPECS.length - 1)),
      waits: fc.option(fc.nat(2), { freq: 3 }),
      waiterTtlMs: fc.constantFrom(1, 500, 5_000),
      jitter: unit,
    },
    resolve(world, { policy, known, count, spec, waits, waiterTtlMs, jitter }) {
      const quotaPolicyId = policyId(policy);
      const ids = [admissionOf(world, known), ...Array.from({ length: count - 1 }, () => world.uuid())];
      const args = {
        quotaPolicyId,
        admissionIds: ids,
        partition: world.partition,
        limits: spec === null ? undefined : { ...SPECS[spec] },
        ...waiterOf(waits, quotaPolicyId),
        waiterTtlMs,
        jitter: jitter ?? undefined,
      };
      return [{ name: 'checkAdmission', args }];
    },
  }),
  release_admission: generator({
    weight: 4,
    choices: { policy, of: seldom(fc.nat(3), 2), unused: fc.boolean() },
    resolve(world, { policy, of, unused }) {
      const admissionId = admissionOf(world, of ?? 0);
      return [
        { name: 'releaseAdmission', args: { quotaPolicyId: policyId(policy), admissionIds: [admissionId], unused } },
      ];
    },
  }),
  quota_due: generator({
    weight: 3,
    choices: { jitter: unit },
    resolve: (world) => [
      { name: 'applyDue', args: { partition: world.places[2] as string, owner: 'loop-0', limit: LIMITS.maxPageSize } },
    ],
  }),
};

export const quotaReads: Reads = () =>
  [0, 1, 2].map((index) => ['readQuotaPolicyLimits', { quotaPolicyId: policyId(index) }] as const);

/** Valid arguments of each command and read. */
export const quotaExamples = {
  createQuotaPolicy: {
    quotaPolicyId: example.uuid(500),
    windowSeconds: 1,
    maxRequestsPerWindow: 1,
    maxConcurrent: 5,
  },
  checkAdmission: {
    quotaPolicyId: example.uuid(500),
    admissionIds: [example.uuid(501)],
    partition: example.PARTITION,
    limits: { maxConcurrent: 5 },
    laneId: 'nothing',
    workerInstanceId: 'w-1',
    meters: example.METERS,
    waiterTtlMs: 50,
    jitter: 0.5,
  },
  releaseAdmission: { quotaPolicyId: example.uuid(500), admissionIds: [example.uuid(502)], unused: true },
  readQuotaPolicyLimits: { quotaPolicyId: example.uuid(500) },
} satisfies example.Examples;

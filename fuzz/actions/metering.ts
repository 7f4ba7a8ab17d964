/** How random runs meter work: meter sets of creations and claims, admissions that are voided and settled. */
import fc from 'fast-check';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { meterSetOf } from '../../model/metering/meters.js';
import { uuidOf } from '../../model/short-id.js';
import { LANES, pick, seldom } from './choices.js';
import { generator, type Reads } from './generator.js';
import { choose } from './world.js';
import * as example from './example.js';

const meterId = (index: number): string => `00000000-0000-4000-a000-0000000000f${index}`;

/** Meters of policies: one, several, each kind, and more than fit into a short field. */
export const METERS = [
  { quotaPolicyIds: [meterId(1)] },
  { quotaPolicyIds: [meterId(2), meterId(1)] },
  { budgetIds: [meterId(3)], quotaPolicyIds: [meterId(1)] },
  { keyedQuotas: [{ quotaPolicyId: meterId(7), windowSeconds: 1, maxRequestsPerWindow: 2 }] },
  { budgetIds: [meterId(5), meterId(4), meterId(5), meterId(6)] },
] as const;

/** The meter set with which an execution is claimed. */
export const meterSetFor = (execution: ReadonlyExecution | undefined): string | undefined =>
  execution === undefined || execution.meters.length === 0 ? undefined : meterSetOf(execution.meters);

const UNKNOWN = '00000000-0000-4000-a000-0000000000ff';

export const meteringActions = {
  void_admission: generator({
    weight: 2,
    choices: {
      of: pick('running', 'running', 'runnable', 'terminal'),
      known: fc.oneof({ weight: 3, arbitrary: fc.nat(5) }, { weight: 2, arbitrary: fc.constant(null) }),
    },
    resolve(world, { of, known }) {
      const admissions = [...world.tables.admission.keys()];
      const chosen = known === null ? undefined : admissions[known % Math.max(1, admissions.length)];
      const admissionId = chosen === undefined ? (choose(world, of)?.currentLeaseId ?? UNKNOWN) : uuidOf(chosen);
      return [{ name: 'voidAdmission', args: { partition: world.partition, admissionId } }];
    },
  }),
  settle_admissions: generator({
    weight: 2,
    choices: { skip: fc.nat(2), unknown: fc.boolean() },
    resolve(world, { skip, unknown }) {
      const ids = [...world.tables.admission.keys()].slice(skip, skip + 3).map((id) => uuidOf(id));
      const admissionIds = unknown || ids.length === 0 ? [...ids, UNKNOWN] : ids;
      return [
        { name: 'settleAdmissions', args: { partition: world.partition, admissionIds: [...new Set(admissionIds)] } },
      ];
    },
  }),
};

/** The meters of a creation; usually none. */
export const meters = seldom(fc.nat(METERS.length - 1), 3);

export const meteringReads: Reads = ({ partition, executions }, { index, limit }) => {
  const laneIds = index % 3 === 0 ? LANES : [LANES[index % 2] as string];
  const page = { partition, laneIds, limit: Math.max(1, Math.min(limit, 2)) };
  const metered = executions.find((it) => it.meters.length > 0);
  const cursor = metered && `${metered.laneId}\t${meterSetOf(metered.meters)}\t\t`;
  return [
    ['listMeteredHeads', page],
    ['listMeteredHeads', { ...page, limit: 100, cursor }],
  ];
};

/** Valid arguments of each command and read. */
export const meteringExamples = {
  voidAdmission: { partition: example.PARTITION, admissionId: example.uuid(401) },
  settleAdmissions: { partition: example.PARTITION, admissionIds: [example.uuid(402)] },
  listMeteredHeads: { partition: example.PARTITION, laneIds: ['nothing'], cursor: 'a', limit: 5 },
} satisfies example.Examples;

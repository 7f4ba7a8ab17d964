/** What holds for metered work and admissions. Source: spec 09, the section named Invariants (15); ruling 19. */
import { present } from '../core/present.js';
import { compareBytes, partitionOfExecution } from '../ids.js';
import type { ExecutionInvariant, Invariant } from '../specification/invariant.js';
import { isAcquisition } from '../specification/tally.js';
import type { LogRule } from '../specification/replay.js';
import { shortIdOf } from '../short-id.js';

export const meteringInvariants: readonly (Invariant | ExecutionInvariant)[] = [
  {
    name: 'meters are a set in byte order',
    holds: ({ meters }) => meters.every((token, i) => i === 0 || compareBytes(present(meters[i - 1]), token) < 0),
  },
  {
    name: 'an admission is bound if and only if metered work is owned by it: no slot outlives its holder',
    check({ state: { tables } }) {
      const [anyId] = tables.execution.keys();
      for (const { admissionId, admissionState, owner } of tables.admission.values()) {
        if (admissionState !== 'bound') continue;
        const id = anyId === undefined ? '' : `${partitionOfExecution(anyId)}:${owner}`;
        const execution = tables.execution.get(id);
        const leaseId = execution?.situation === 'running' ? execution.currentLeaseId : undefined;
        if (leaseId === undefined || shortIdOf(leaseId) !== admissionId || execution?.meters.length === 0)
          return `${admissionId} is bound, and ${id} is not owned by it`;
      }
      return undefined;
    },
  },
  {
    name: 'every admission that is not bound has due work',
    check({ state: { tables } }) {
      for (const { admissionId, admissionState, dueAt } of tables.admission.values()) {
        if ((admissionState === 'bound') === (dueAt !== undefined)) return `${admissionId} is due at ${dueAt}`;
      }
      return undefined;
    },
  },
];

export const meteringRules: readonly LogRule[] = [
  {
    name: 'an admission is good for one claim, of metered work, and for none once it was voided',
    holds({ event, before }) {
      if (!isAcquisition(event) || event.meters.length === 0) return true;
      const { meters } = before.tables.execution.get(event.executionId) ?? {};
      return (meters?.length ?? 0) > 0 && !before.tables.admission.has(shortIdOf(event.leaseId));
    },
  },
];

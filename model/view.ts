/**
 * What decisions and reads see of a partition, by domain. Each domain says what its part means by definition; the memory
 * backend answers from indexes that the same events keep. That both agree is an invariant.
 */
import { budgetsByDefinition, type BudgetView } from './budget/view.js';
import { executionsByDefinition, type ExecutionView } from './execution/view.js';
import { quotasByDefinition, type QuotaView } from './quota/view.js';
import { meteringByDefinition, type MeteringView } from './metering/view.js';
import { flowsByDefinition, type FlowView } from './flow/view.js';
import { quarantineByDefinition, type QuarantineView } from './partition/quarantine.js';
import { logByDefinition, type LogView } from './partition/view.js';
import { scheduleByDefinition, type ScheduleView } from './schedule/view.js';
import { signingByDefinition, type SigningView } from './signing/view.js';
import type { Partition } from './state.js';
import { stepsByDefinition, type StepView } from './step/view.js';
import { streamsByDefinition, type StreamView } from './stream/view.js';

import { workersByDefinition, type WorkerView } from './worker/view.js';

export interface View {
  readonly executions: ExecutionView;
  readonly schedule: ScheduleView;
  readonly streams: StreamView;
  readonly steps: StepView;
  readonly log: LogView;
  readonly signing: SigningView;
  readonly flows: FlowView;
  readonly budgets: BudgetView;
  readonly quarantine: QuarantineView;
  readonly metering: MeteringView;
  readonly workers: WorkerView;
  readonly quotas: QuotaView;
}

/** The view by definition: slow, and obviously right. What indexes are measured against. */
export function viewByDefinition(partition: Partition): View {
  return {
    executions: executionsByDefinition(partition),
    schedule: scheduleByDefinition(partition),
    streams: streamsByDefinition(partition),
    steps: stepsByDefinition(partition),
    log: logByDefinition(partition),
    signing: signingByDefinition(partition),
    flows: flowsByDefinition(partition),
    budgets: budgetsByDefinition(partition),
    quarantine: quarantineByDefinition(),
    metering: meteringByDefinition(partition),
    workers: workersByDefinition(partition),
    quotas: quotasByDefinition(partition),
  };
}

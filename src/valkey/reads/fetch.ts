/** How a read fetches its data from the server. */
import type { BudgetView } from '../../../model/budget/view.js';
import type { ExecutionView } from '../../../model/execution/view.js';
import type { MeteringView } from '../../../model/metering/view.js';
import type { FlowView } from '../../../model/flow/view.js';
import type { QuarantineView } from '../../../model/partition/quarantine.js';
import type { LogView } from '../../../model/partition/view.js';
import type { QuotaView } from '../../../model/quota/view.js';
import type { ScheduleView } from '../../../model/schedule/view.js';
import type { SigningView } from '../../../model/signing/view.js';
import type { StepView } from '../../../model/step/view.js';
import type { StreamView } from '../../../model/stream/view.js';
import type { WorkerView } from '../../../model/worker/view.js';
import type { View } from '../../../model/view.js';
import type { WireReply } from '../wire/reply.js';
import type { WireArgument } from '../wire/format.js';

/** The request to the library, and the view made of its answer. */
export interface Fetch<Args> {
  request(args: Args): readonly WireArgument[];
  /** Where the answer has a list of bytes. In place of long ones it has their size and their key; `view` gets a list of the bytes. */
  readonly bytesAt?: number;
  /** Whether the answer is a page with values, payloads or frames, which may be long: such reads take turns. Default false. */
  isPage?(args: Args): boolean;
  view(reply: WireReply, args: Args): View;
}

/** A view of the fetched parts only. */
export function viewOf(parts: {
  executions?: Partial<ExecutionView>;
  schedule?: Partial<ScheduleView>;
  streams?: Partial<StreamView>;
  steps?: Partial<StepView>;
  log?: LogView;
  signing?: Partial<SigningView>;
  budgets?: Partial<BudgetView>;
  quarantine?: QuarantineView;
  metering?: Partial<MeteringView>;
  workers?: Partial<WorkerView>;
  quotas?: QuotaView;
  flows?: Partial<FlowView>;
}): View {
  return parts as View;
}

/** A link with planned faults, on which claims of listeners are sent along with the work that they are told of. */
import { SimulatedLink, type LinkOptions } from './link.js';
import { offerToClaimers } from './offers.js';
import { FaultPlan } from './plan.js';

export type ConnectionOptions = Omit<LinkOptions, 'faultOf' | 'wakeFaultOf' | 'beforeSend'>;

export class SimulatedConnection extends SimulatedLink {
  readonly plan: FaultPlan;

  constructor(options: ConnectionOptions) {
    const plan = new FaultPlan();
    super({
      ...options,
      faultOf: (names) => plan.takeForCall(names),
      wakeFaultOf: () => plan.takeForWake(),
      beforeSend: (partition, gathered, listening) =>
        offerToClaimers(partition, gathered, listening, (error) => options.observer?.listenerThrew?.(error)),
    });
    this.plan = plan;
  }
}

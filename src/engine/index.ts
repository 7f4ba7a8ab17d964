/** `flowfabric/engine`: the loop that applies what time makes due, and the interface that it and everything else uses. */
export { startTimerLoop, type TimerLoop, type TimerLoopOptions } from './timer-loop.js';
export { runDue, type RunDueOptions } from './due.js';
export { Placer, type NewExecution } from './placer.js';
export { WorkFinder, type ClaimAnywhere, type FindOptions, type WorkFinderOptions } from '../claiming/finder.js';
export { newId } from './ids.js';
export { systemClock, type Cancel, type Clock } from './clock.js';
export type { Backend, CommandResult, CommandResults, ListLanesPage, Wake } from '../backend.js';
export type { AnswerOf, ArgsOf, Command, OperationName, OutcomeOf, QueryName } from '../../model/machine.js';
export { EngineError, type ErrorCode } from '../../model/errors.js';
export { leaseHistory, readEvents } from '../log.js';
export type { LeaseHistoryEntry } from '../../model/lease/history.js';
export type { Event, LoggedEvent } from '../../model/events.js';
export { Subscriptions, type SubscribeOptions } from '../subscribing/index.js';
export { Delivery, Subscription, type SubscriptionState } from '../subscribing/subscription.js';
export type { EventFilter, WorkFilter } from '../subscribing/filters.js';
export type { Completion, CompletionFilter, LeaseFilter, TagFilter, TagsSet } from '../subscribing/views.js';
export { handleOf, type HandleIssuer } from '../../model/handle.js';
export type { HandleArgs, OwnerOperation } from '../backend.js';

/**
 * `flowfabric/engine`: the engine interface, with readers, the timer loop, placement and claiming for programs of your
 * own.
 */
export { explain, type Explanation } from './explain.js';
export type { CallStep, UnblockStep, WaitStep } from './obstacle.js';
export type { AwaitedSignals } from '../../model/suspension/condition.js';
export { startTimerLoop, type TimerLoop, type TimerLoopOptions } from './timer-loop.js';
export { runDue, type RunDueOptions } from './due.js';
export type { DueFilter } from './due-filter.js';
export { Placer, type NewExecution } from './placer.js';
export {
  rotateWaitpointHmacSecretAll,
  seedWaitpointHmacSecret,
  type PartitionRotation,
  type RotateAllArgs,
  type RotationReport,
  type SeedReport,
} from './signing-keys.js';
export { WorkFinder, type ClaimAnywhere, type FindOptions, type WorkFinderOptions } from '../claiming/finder.js';
export { newId } from './ids.js';
export { cancelFlow, type CancelFlowOptions, type CancelFlowOutcome } from './cancel-flow.js';
export {
  resolveDependency,
  type ResolveDependencyOptions,
  type ResolveDependencyOutcome,
} from './resolve-dependency.js';
export { promoteBlockedToEligible, type PromoteOptions, type PromoteOutcome } from './promote-blocked.js';
export { ackCancelMember, type AckCancelMemberOptions, type AckCancelMemberOutcome } from './ack-cancel-member.js';
export { cascadeCompletion, type CascadeOptions, type CascadeOutcome } from './cascade-completion.js';
export { systemClock, type Cancel, type Clock } from './clock.js';
export type { Capabilities, ServerCapabilities, SupportedCall } from '../backend/capabilities.js';
export type {
  Announcement,
  AnnouncementKind,
  AnnouncementListener,
  Backend,
  CommandResult,
  CommandResults,
  OwnerQuery,
  StreamNotice,
  VerifyFinding,
  VerifyReport,
  Wake,
} from '../backend/backend.js';
export { ConnectionNotice } from '../backend/connection-notice.js';
export type { ShutdownOptions, ShutdownReport } from '../backend/gate.js';
export { PartitionMended } from '../backend/mended.js';
export type { DeploymentSettings, GivenSettings, SharedSettings } from '../backend/settings.js';
export type { ListLanesPage } from '../../model/partition/reads.js';
export type { AnswerOf, ArgsOf, Command, OperationName, OutcomeOf, QueryName } from '../../model/machine.js';
export { EngineError, type ErrorCode, type RejectionCode } from '../../model/errors.js';
export { leaseHistory, readEvents, type HistorySource } from './log.js';
export type { LogSource } from './log-search.js';
export type { LeaseHistoryEntry } from '../../model/lease/history.js';
export type { Event, EventType, LogEntry, LoggedEvent, ReadEvent, UnknownEvent } from '../../model/events.js';
export { Subscriptions, type SubscribeOptions } from '../subscribing/index.js';
export { tailStream, type TailPage, type TailStreamArgs } from '../streaming/tails.js';
export type { Frame, FrameMode } from '../../model/stream/contents.js';
export type { StreamFrames } from '../../model/stream/reads.js';
export { Delivery, Subscription, type DamageListener, type SubscriptionState } from '../subscribing/subscription.js';
export { Snapshot, type SnapshotRow } from '../subscribing/snapshot.js';
export type { SnapshotPage } from '../../model/partition/snapshot.js';
export type { EventFilter, WorkFilter } from '../subscribing/filters.js';
export type { Completion } from '../subscribing/completion.js';
export type {
  CompletionFilter,
  LeaseFilter,
  SignalFilter,
  SignalTold,
  SubscribedEffect,
  TagFilter,
  TagsSet,
} from '../subscribing/views.js';
export {
  handleOf,
  HANDLE_KINDS,
  type BackendLabel,
  type HandleIssuer,
  type HandleKind,
  type HandlePayload,
} from '../../model/handle.js';
export { claimFromGrant, claimFromResumeGrant, type GrantedWork, type GrantToken } from './grants.js';
export type { Grant } from '../../model/grant/grant.js';
export type { ClaimedExecution } from '../../model/schedule/claimed.js';
export {
  capabilitiesIn,
  liftRouteBlocks,
  livingWorkers,
  markDead,
  takersOf,
  type DeadWorker,
  type DeadWorkerReport,
  type RouteOffer,
  type Takers,
  type WantedWork,
} from './workers.js';
export { expiredLeases } from './lists.js';
export type { ExpiredLease } from '../../model/lease/expired.js';
export type { LeaseSummary } from '../../model/execution/projections.js';
export type { ReadonlyExecution } from '../../model/execution/facts.js';
export type { CancellationPolicy, ReadonlyFlow } from '../../model/flow/facts.js';
export type { Family } from '../../model/families.js';
export type { Placed } from '../../model/partition.js';
export type { SignalEffect } from '../../model/suspension/facts.js';
export type { WorkerInfo } from '../../model/worker/reads.js';
export type { HandleArgs, OwnerOperation } from '../backend/backend.js';

// The vocabulary of the contract as pure values: ids, partitions, cursors, states, capabilities, errors.
export {
  flowExecutionId,
  formatExecutionId,
  parseExecutionId,
  parseLaneId,
  soloExecutionId,
  type ExecutionIdParts,
} from '../../model/vocabulary/ids.js';
export {
  formatPartitionKey,
  parsePartitionKey,
  PARTITION_FAMILIES,
  partitionOfBudget,
  partitionOfFlow,
  partitionOfLane,
  partitionOfQuotaPolicy,
  scanStartOf,
  type PartitionFamily,
  type PartitionName,
} from '../../model/vocabulary/partitions.js';
export {
  formatStreamCursor,
  isConcrete,
  parseStreamCursor,
  STREAM_BEGINNING,
  type StreamCursor,
} from '../../model/vocabulary/stream-cursor.js';
export { derivePublicState, isConsistent, type PublicDimensions } from '../../model/vocabulary/state.js';
export type {
  AttemptState,
  EligibilityState,
  LifecyclePhase,
  OwnershipState,
  PublicState,
  StateVector,
  TerminalOutcome,
} from '../../model/execution/situation.js';
export {
  capabilityDigest,
  coversCapabilities,
  missingCapabilities,
  parseCapabilities,
} from '../../model/vocabulary/capabilities.js';
export {
  classOfError,
  CONTRACT_CODES,
  ERROR_CLASSES,
  ERROR_FAMILIES,
  meaningOfCode,
  type ContractFamily,
  type ErrorClass,
  type ErrorMeaning,
} from '../../model/vocabulary/errors.js';

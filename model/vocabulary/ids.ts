/**
 * Ids as values: making and parsing execution ids, and checking lane names. `newId` of `flowfabric/engine` mints UUIDs;
 * with a UUID of the caller's own, an id is the same on every try. Source: spec 01 section 7.
 */
import { EngineError } from '../errors.js';
import { crc16, executionIdOf, isUuid, uuidBytes } from '../ids.js';
import { LIMITS } from '../limits.js';
import { placementOf, type PartitionConfig, type Placed } from '../partition.js';
import { partitionOfFlow } from './partitions.js';

/** The parts of an execution id. */
export interface ExecutionIdParts {
  /** Index of its partition. */
  readonly partition: number;
  readonly uuid: string;
}

const invalid = (field: string, message: string): EngineError =>
  new EngineError('invalid_input', `${field}: ${message}.`, { detail: { field } });

const TAG = '{fp:';

/**
 * The parts of an execution id. The index is not checked against a deployment, because ids outlive configurations.
 * @throws EngineError `invalid_input`: missing tag, invalid partition index, or invalid uuid
 */
export function parseExecutionId(text: string): ExecutionIdParts {
  const end = text.indexOf('}:');
  if (!text.startsWith(TAG) || end < 0) throw invalid('executionId', 'missing tag "{fp:<partition>}:"');
  const digits = text.slice(TAG.length, end);
  if (!/^(0|[1-9][0-9]{0,4})$/.test(digits) || Number(digits) > LIMITS.maxPartitions) {
    throw invalid('executionId', `invalid partition index ${JSON.stringify(digits.slice(0, 40))}`);
  }
  const uuid = text.slice(end + 2);
  if (!isUuid(uuid)) throw invalid('executionId', 'invalid uuid: must be lower case with hyphens');
  return { partition: Number(digits), uuid };
}

/** The id with these parts. @throws EngineError `invalid_input` */
export function formatExecutionId({ partition, uuid }: ExecutionIdParts): string {
  const id = executionIdOf(partition, uuid);
  parseExecutionId(id);
  return id;
}

function checked(uuid: string): string {
  if (!isUuid(uuid)) throw invalid('uuid', 'must be a lower-case UUID with hyphens');
  return uuid;
}

/**
 * The id of a standalone execution: in the partition of its key or lane, otherwise in that of its UUID. The same UUID
 * always gives the same id while the deployment keeps its count of partitions.
 * @throws EngineError `invalid_input`
 */
export function soloExecutionId(
  config: Pick<PartitionConfig, 'count' | 'placement'>,
  placed: Placed,
  uuid: string,
): string {
  const anywhere = crc16(uuidBytes(checked(uuid))) % config.count;
  return executionIdOf(placementOf(config, placed) ?? anywhere, uuid);
}

/** The id of an execution of a flow: in the flow's partition. @throws EngineError `invalid_input` */
export function flowExecutionId(flowId: string, count: number, uuid: string): string {
  return executionIdOf(partitionOfFlow(flowId, count), checked(uuid));
}

const FIRST_PRINTABLE = 0x20;
const LAST_PRINTABLE = 0x7e;
/** Lane names become parts of keys and lists. */
const RESERVED = '{}:,';

/**
 * A checked lane name; the app escapes other names.
 * @throws EngineError `invalid_input`: empty, too long, or with a character that a name cannot contain, and where
 */
export function parseLaneId(text: string): string {
  if (text === '') throw invalid('laneId', 'empty');
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < FIRST_PRINTABLE || unit > LAST_PRINTABLE) throw invalid('laneId', `non printable at ${i}`);
    if (RESERVED.includes(text.charAt(i))) throw invalid('laneId', `reserved character at ${i}`);
  }
  if (text.length > LIMITS.maxLaneIdBytes) throw invalid('laneId', `too long (${text.length})`);
  return text;
}

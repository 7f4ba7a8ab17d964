/** Decodes the waits of an execution, which are stored beside its record: see `model/suspension/facts.ts`. */
import { WAITS_FIELDS } from '../../../lua/layout.js';
import { facetCodec } from '../../../model/core/codec.js';
import { EngineError } from '../../../model/errors.js';
import { waitsFacts, type Suspension, type Waiting } from '../../../model/suspension/facts.js';

const SUSPENSION = facetCodec(waitsFacts.suspension);
const CLOSING = facetCodec(waitsFacts.closing);
const WAITPOINT = facetCodec(waitsFacts.waitpoint);
const SIGNAL = facetCodec(waitsFacts.signal);
const SUSPEND_KEY = facetCodec(waitsFacts.suspendKey);

const partsOf = (text: string | undefined, separator: string): string[] =>
  text === undefined || text === '' ? [] : text.split(separator);

/** Fields with a prefix: the rest of the name, and the value. */
function under(fields: ReadonlyMap<string, string>, start: string): [string, string][] {
  return [...fields].flatMap(([name, value]): [string, string][] =>
    name.startsWith(start) ? [[name.slice(start.length), value]] : [],
  );
}

function suspensionOf(fields: ReadonlyMap<string, string>): Suspension | undefined {
  const text = fields.get(WAITS_FIELDS.suspension);
  if (text === undefined) return undefined;
  const condition = fields.get(WAITS_FIELDS.condition);
  if (condition === undefined) throw new EngineError('corruption', 'The condition of a suspension is missing.');
  const closing = fields.get(WAITS_FIELDS.closing);
  return {
    ...SUSPENSION.decode(text),
    waitpointIds: partsOf(fields.get(WAITS_FIELDS.waitpoints), ','),
    condition,
    progress: partsOf(fields.get(WAITS_FIELDS.progress), '\n'),
    satisfierSignalIds: partsOf(fields.get(WAITS_FIELDS.satisfiers), ','),
    closing: closing === undefined ? undefined : CLOSING.decode(closing),
  };
}

/** The waits of an execution; undefined if it never had any. @throws EngineError `corruption` */
export function decodeWaits(fields: ReadonlyMap<string, string>): Waiting | undefined {
  if (fields.size === 0) return undefined;
  const all = <Facts>({ decode }: { decode(text: string): Facts }, start: string): Record<string, Facts> =>
    Object.fromEntries(under(fields, start).map(([id, text]) => [id, decode(text)]));
  return {
    suspension: suspensionOf(fields),
    waitpoints: all(WAITPOINT, WAITS_FIELDS.waitpoint),
    waitpointCount: Number(fields.get(WAITS_FIELDS.waitpoint_count) ?? 0),
    pendingIds: partsOf(fields.get(WAITS_FIELDS.pending), ','),
    signals: all(SIGNAL, WAITS_FIELDS.signal),
    suspendKeys: all(SUSPEND_KEY, WAITS_FIELDS.suspend_key),
    signalKeys: Object.fromEntries(under(fields, WAITS_FIELDS.signal_key)),
    signalCount: Number(fields.get(WAITS_FIELDS.signal_count) ?? 0),
    payloadBytes: Number(fields.get(WAITS_FIELDS.payload_bytes) ?? 0),
  };
}

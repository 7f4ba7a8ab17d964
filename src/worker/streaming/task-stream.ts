/** `stream` of a handler's context. */
import { isBytes } from '../../../model/core/bytes.js';
import { present } from '../../../model/core/present.js';
import { EngineError } from '../../../model/errors.js';
import { LIMITS } from '../../../model/limits.js';
import { frameLabel } from '../../../model/core/fields.js';
import {
  JsonFault,
  MAX_LEVELS,
  MAX_OBJECT_LEVELS,
  NOT_JSON,
  OUT_OF_RANGE,
  parseObject,
  printed,
  TOO_DEEP,
} from '../../../model/stream/canonical-json.js';
import { checkDuration, checkField, refuse } from '../../shared/checks.js';
import { encode, JSON_ENCODING } from '../../shared/codec.js';
import { durationMs, type Duration } from '../../shared/duration.js';
import { InvalidDefinitionError } from '../../shared/errors.js';
import { knownOnly } from '../../shared/known-only.js';
import type { IfSendable } from '../../shared/travel.js';
import { copied } from '../../util/copied.js';
import type { HandlerPromises } from '../handler/promises.js';
import type { WrittenFrame } from './frame-writer.js';
import type { Halves } from './halves.js';

/** How long a best-effort frame is kept. */
export interface BestEffortOptions {
  /** How long it matters: 100 ms to an hour, or 0 until newer frames displace it. Default 30 s. */
  readonly ttl?: Duration | undefined;
}

export interface FrameOptions {
  /** Your label for the kind of frame, up to 256 bytes. Default `text`, `json` or `bytes`. */
  readonly type?: string | undefined;
  /**
   * Keeps the frame only for a short time; frames in quick succession displace earlier ones. Default: a durable frame.
   */
  readonly bestEffort?: boolean | BestEffortOptions | undefined;
  /** Your label for the frame, such as the part of the output that it belongs to; up to 256 bytes. */
  readonly correlationId?: string | undefined;
}

/** A value that a summary can hold: JSON. */
export type SummaryValue = string | number | boolean | null | readonly SummaryValue[] | SummaryPatch;

/** A patch of a summary: members are merged, `null` removes one, `SET_NULL` sets a null. */
export interface SummaryPatch {
  readonly [member: string]: SummaryValue | undefined;
}

/** In a patch of a summary, sets a null, where `null` itself would remove the member. */
export const SET_NULL = '__ff_null__';

/**
 * The stream of an attempt. Writes of one turn of the event loop share a call and keep their order. The promise of a
 * write resolves when there is room for more (await it to make a fast writer wait for a slow store), and rejects with
 * the error of an earlier frame. All frames are stored before the run ends; if one was refused, the run fails with the
 * category `stream_refused`.
 */
export interface TaskStream {
  /**
   * Writes text: a token, a line. Text of more than 64 KiB is split into several frames. A chunk can end within a
   * character (an emoji is two code units): its half is written with the next text that has the same options.
   */
  text(chunk: string, options?: FrameOptions): Promise<void>;
  /**
   * Writes a JSON value of up to 64 KiB.
   * @throws InvalidDefinitionError for a value that is not JSON; EngineError `retention_limit_exceeded`
   */
  json<Value>(value: Value & IfSendable<Value>, options?: FrameOptions): Promise<void>;
  /** Writes up to 64 KiB. @throws EngineError `retention_limit_exceeded` */
  write(bytes: Uint8Array, options?: FrameOptions): Promise<void>;
  /**
   * Merges a patch into the summary of the attempt, a JSON object of up to 256 KiB that readers get whole.
   * @throws InvalidDefinitionError for an invalid patch; EngineError `retention_limit_exceeded`
   * @example await stream.summary({ done: 3, plan: { draft: 'ready', outline: null } });
   */
  summary(patch: SummaryPatch): Promise<void>;
  /** Resolves when everything written is stored. */
  flush(): Promise<void>;
  /** A sink for pipes: strings and bytes become frames. Closing it flushes. @throws InvalidDefinitionError */
  writable(options?: FrameOptions): WritableStream<string | Uint8Array>;
}

/** Where frames go. */
export interface FrameSink {
  /** What texts have left for their next chunk. */
  readonly halves: Halves<WrittenFrame>;
  write(frames: readonly WrittenFrame[]): Promise<void>;
  flush(): Promise<void>;
}

const DEFAULT_TTL: Duration = '30s';
const OPTIONS = { type: true, bestEffort: true, correlationId: true } as const;
/** What is wrong with a patch, for its writer; the text that is read here was JSON. */
const PROBLEMS: ReadonlyMap<string, string> = new Map([
  [NOT_JSON, 'a text in it ends or begins within a character'],
  [OUT_OF_RANGE, 'a number in it is too large to be stored exactly: pass it as a text'],
  [
    TOO_DEEP,
    `it has more than ${MAX_OBJECT_LEVELS - 1} objects, or ${MAX_LEVELS - 1} objects and lists, within each other`,
  ],
]);
const UTF8 = new TextEncoder();
const fromUtf8 = new TextDecoder();

export class StreamOfTask implements TaskStream {
  /** How messages begin. */
  private readonly where: string;

  constructor(
    taskName: string,
    private readonly sink: FrameSink,
    private readonly promises: Pick<HandlerPromises, 'call'>,
  ) {
    this.where = `Task "${taskName}": stream`;
  }

  text(chunk: string, options?: FrameOptions): Promise<void> {
    return this.put('text', () => {
      if (typeof chunk !== 'string') throw this.refuse('text', 'a string', chunk);
      const labels = this.labelsOf('text', 'utf8', options);
      const frameOf = (payload: Uint8Array): WrittenFrame => ({
        args: { ...labels, payload },
        bytes: payload.byteLength,
      });
      const whole = this.sink.halves.joined(JSON.stringify(labels), chunk, (half) => frameOf(UTF8.encode(half)));
      return whole === '' && chunk !== '' ? [] : partsOf(UTF8.encode(whole)).map(frameOf);
    });
  }

  json(value: unknown, options?: FrameOptions): Promise<void> {
    return this.put('json', () => {
      const payload = this.jsonOf('json', value);
      checkSize('json', payload);
      return [{ args: { ...this.labelsOf('json', 'json', options), payload }, bytes: payload.byteLength }];
    });
  }

  write(bytes: Uint8Array, options?: FrameOptions): Promise<void> {
    return this.put('write', () => {
      if (!isBytes(bytes)) throw this.refuse('write', 'a Uint8Array', bytes);
      checkSize('write', bytes);
      // A copy, because the handler may change its bytes after the call.
      const payload = Uint8Array.from(bytes);
      return [{ args: { ...this.labelsOf('bytes', 'binary', options), payload }, bytes: payload.byteLength }];
    });
  }

  summary(patch: SummaryPatch): Promise<void> {
    return this.put('summary', () => {
      const text = this.canonical(patch);
      const payload = UTF8.encode(text);
      checkSize('summary', payload);
      return [{ args: { patch: text, frameType: 'summary', encoding: 'json' }, bytes: payload.byteLength }];
    });
  }

  flush(): Promise<void> {
    return this.promises.call('stream.flush', this.sink.flush());
  }

  writable(options?: FrameOptions): WritableStream<string | Uint8Array> {
    this.labelsOf('text', 'utf8', options);
    const kept = copied(options);
    return new WritableStream<string | Uint8Array>({
      write: (chunk) => (typeof chunk === 'string' ? this.text(chunk, kept) : this.write(chunk, kept)),
      close: () => this.flush(),
    });
  }

  private put(what: string, frames: () => readonly WrittenFrame[]): Promise<void> {
    return this.promises.call(`stream.${what}`, (async () => this.sink.write(frames()))());
  }

  private labelsOf(defaultType: string, encoding: string, options: FrameOptions = {}) {
    knownOnly<FrameOptions>(this.where, options, OPTIONS);
    const { type = defaultType, correlationId } = options;
    for (const [name, label] of Object.entries({ type, correlationId }))
      checkField(this.where, name, frameLabel, label);
    return { frameType: type, encoding, correlationId, bestEffort: this.bestEffortOf(options.bestEffort) };
  }

  private bestEffortOf(wanted: FrameOptions['bestEffort'] = false): { readonly ttlMs: number } | undefined {
    if (wanted === false) return undefined;
    const { where } = this;
    const options = wanted === true ? {} : wanted;
    knownOnly<BestEffortOptions>(`${where}, bestEffort`, options, { ttl: true });
    const { ttl = DEFAULT_TTL } = options;
    checkDuration(where, 'bestEffort.ttl', ttl, 0, LIMITS.maxBestEffortTtlMs);
    const ttlMs = durationMs(ttl);
    if (ttlMs > 0) checkDuration(where, 'bestEffort.ttl', ttl, LIMITS.minBestEffortTtlMs, LIMITS.maxBestEffortTtlMs);
    return { ttlMs };
  }

  /** @throws InvalidDefinitionError for a value that is not JSON; EngineError `retention_limit_exceeded` */
  private jsonOf(what: 'json' | 'summary', value: unknown): Uint8Array {
    const { bytes, encoding } = encode(value, (problem, isTooLarge) =>
      isTooLarge
        ? new EngineError('retention_limit_exceeded', `stream.${what}: ${problem}`)
        : new InvalidDefinitionError(`${this.where}.${what}: ${problem}`),
    );
    if (bytes === undefined || encoding !== JSON_ENCODING) throw this.refuse(what, 'a JSON value', value);
    return bytes;
  }

  private canonical(patch: SummaryPatch): string {
    try {
      return printed(parseObject(fromUtf8.decode(this.jsonOf('summary', patch))));
    } catch (error) {
      if (!(error instanceof JsonFault)) throw error;
      throw new InvalidDefinitionError(`${this.where}.summary: ${PROBLEMS.get(error.message) ?? error.message}`);
    }
  }

  private refuse(what: string, rule: string, value: unknown): Error {
    return refuse(this.where, what, rule, value);
  }
}

/** @throws EngineError `retention_limit_exceeded` */
function checkSize(what: string, { byteLength }: Uint8Array): void {
  if (byteLength <= LIMITS.maxFrameBytes) return;
  throw new EngineError(
    'retention_limit_exceeded',
    `stream.${what}: ${byteLength} bytes are more than the ${LIMITS.maxFrameBytes} of a frame.`,
    { detail: { limit: String(LIMITS.maxFrameBytes) } },
  );
}

/** Splits a text between characters into parts that fit a frame. An empty text is one empty frame. */
function partsOf(bytes: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let from = 0;
  do {
    let to = Math.min(bytes.length, from + LIMITS.maxFrameBytes);
    // Bytes of the form 10xxxxxx continue a character.
    while (to < bytes.length && (present(bytes[to]) & 0xc0) === 0x80) to--;
    parts.push(bytes.subarray(from, to));
    from = to;
  } while (from < bytes.length);
  return parts;
}

import type { Payload } from './adapter.js';

/** The payload size of most scenarios, in bytes. */
export const LARGE_PAYLOAD_BYTES = 4096;

/** Length of the number that every payload starts with: a tiny payload is nothing else. */
export const TINY_PAYLOAD_BYTES = 8;

/** One payload from a text of one-byte characters. */
export function payloadOf(text: string): Payload {
  return { bytes: Buffer.from(text, 'latin1'), text };
}

/**
 * Payloads that differ in the number they start with. The rest is filler from a linear congruential generator. The
 * bytes are printable, so that engines that carry JSON need no escapes and carry the same length.
 */
export function numberedPayloads(count: number, bytes: number): Payload[] {
  const filler = fillerText(bytes - TINY_PAYLOAD_BYTES);
  return Array.from({ length: count }, (_, index) =>
    // Through bytes, so that the text is one piece and its first reader need not join it.
    payloadOf(Buffer.from(numberText(index) + filler, 'latin1').toString('latin1')),
  );
}

function numberText(index: number): string {
  return String(index).padStart(TINY_PAYLOAD_BYTES, '0');
}

function fillerText(length: number): string {
  const printable = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  let state = 20_240_229;
  let text = '';
  for (let index = 0; index < length; index += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    text += printable.charAt(state >>> 26);
  }
  return text;
}

/** Checks that every payload is delivered whole, and exactly once. */
export class Receipts {
  private readonly seen: Uint8Array;
  private count = 0;
  private fault: string | undefined;

  constructor(
    private readonly engine: string,
    private readonly payloads: readonly Payload[],
  ) {
    this.seen = new Uint8Array(payloads.length);
  }

  /** Notes one delivery. It never throws: an engine would take that for a failed job, and run it again. */
  note(delivered: Uint8Array | string): void {
    const number =
      typeof delivered === 'string'
        ? Number(delivered.slice(0, TINY_PAYLOAD_BYTES))
        : Number(Buffer.from(delivered.buffer, delivered.byteOffset, TINY_PAYLOAD_BYTES).toString('latin1'));
    const sent = this.payloads[number];
    const whole = typeof delivered === 'string' ? delivered === sent?.text : sent?.bytes.equals(delivered) === true;
    if (!whole) this.fault ??= `${this.engine} delivered something that is not payload ${number}.`;
    else if (this.seen[number] === 1) this.fault ??= `${this.engine} ran job ${number} twice.`;
    this.seen[number] = 1;
    this.count += 1;
  }

  /** @throws Error when a payload was not delivered, was delivered twice, or was not the same byte by byte. */
  assertOnceEach(): void {
    if (this.fault !== undefined) throw new Error(this.fault);
    if (this.count === this.payloads.length) return;
    throw new Error(`${this.engine} ran ${this.count} of ${this.payloads.length} jobs.`);
  }
}

/** A generator of whole numbers in `[0, bound)` that gives the same sequence for the same seed. */
export function seededIntegers(seed: number): (bound: number) => number {
  let state = seed >>> 0;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    // The low bits of such a generator have short periods: only the high ones are used.
    return (state >>> 8) % bound;
  };
}

/** Arguments that only streams have. */
import { z } from 'zod';
import { isBytes } from '../core/bytes.js';
import { integer } from '../core/fields.js';
import { withWireForm } from '../core/wire-form.js';
import { LIMITS } from '../limits.js';
import { JsonFault, parseObject, printed } from './canonical-json.js';
import { cursorFault, isConcreteCursor } from './cursor.js';
import type { BestEffort } from './retention.js';

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(patch: string | Uint8Array): string {
  if (typeof patch === 'string') return patch;
  try {
    return UTF8.decode(patch);
  } catch {
    throw new JsonFault('patch payload is not valid JSON');
  }
}

/** A JSON merge patch, as text or bytes; validated into its canonical text. */
export const mergePatch = withWireForm(
  z
    .custom<string | Uint8Array>(
      (value) =>
        (typeof value === 'string' ? value.length : isBytes(value) ? value.byteLength : Infinity) <=
        LIMITS.maxPayloadBytes,
      { error: 'must be a JSON text, or its bytes' },
    )
    .transform((patch, context) => {
      try {
        return printed(parseObject(textOf(patch)));
      } catch (error) {
        context.addIssue(error instanceof JsonFault ? error.message : 'patch payload is not valid JSON');
        return z.NEVER;
      }
    }),
  { encode: (value) => [(value as string | undefined) ?? ''] },
);

/** How a best-effort frame is kept. */
export const bestEffort = withWireForm(
  z
    .strictObject({
      /** How long a frame is kept, ms; 0: until newer ones displace it. */
      ttlMs: integer(0, LIMITS.maxBestEffortTtlMs).refine((ms) => ms === 0 || ms >= LIMITS.minBestEffortTtlMs, {
        error: `must be 0, or ${LIMITS.minBestEffortTtlMs} to ${LIMITS.maxBestEffortTtlMs}`,
      }),
      maxlenFloor: integer(1, LIMITS.maxBestEffortFrames).default(64),
      maxlenCeiling: integer(1, LIMITS.maxBestEffortFrames).default(16_384),
      /** Weight of the newest interval in the estimated rate. */
      emaAlpha: z
        .number()
        .refine((alpha) => alpha > 0 && alpha <= 1, { error: 'must be above 0 and at most 1' })
        .transform((alpha) => Number(alpha.toFixed(6)) || 1e-6)
        .default(0.2),
    })
    .refine(({ maxlenFloor, maxlenCeiling }) => maxlenFloor <= maxlenCeiling, {
      error: 'maxlenFloor must not be above maxlenCeiling',
      path: ['maxlenFloor'],
    }),
  {
    encode(value) {
      if (value === undefined) return [''];
      const { ttlMs, maxlenFloor, maxlenCeiling, emaAlpha } = value as BestEffort;
      return [`${ttlMs}\t${maxlenFloor}\t${maxlenCeiling}\t${emaAlpha}`];
    },
  },
);

/** A position in a stream. */
export const streamCursor = z.string().superRefine((text, context) => {
  const fault = cursorFault(text);
  if (fault !== undefined) context.addIssue(fault);
});

/** The position of a frame, after which a reader continues. */
export const framePosition = streamCursor.refine((text) => cursorFault(text) !== undefined || isConcreteCursor(text), {
  error: "must be the id of a frame, '<ms>' or '<ms>-<seq>'; '0-0' stands before every frame",
});

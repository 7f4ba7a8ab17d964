/**
 * How an event is declared: a past-tense name and the facts it carries. Facts are texts, integers, lists of tokens
 * and flat maps only, so that a log entry is a list of field/value pairs that a person can read.
 */
import { z } from 'zod';
import { executionId, timestampMs } from './fields.js';

export interface EventDeclaration<Type extends string = string, Body extends z.ZodRawShape = z.ZodRawShape> {
  readonly type: Type;
  readonly schema: z.ZodObject<{ executionId: typeof executionId; at: typeof timestampMs } & Body>;
}

/** Declares an event. Every event names its execution and the time at which it happened. */
export function event<Type extends string, Body extends z.ZodRawShape>(
  type: Type,
  body: Body,
): EventDeclaration<Type, Body> {
  return {
    type,
    schema: z.object({ executionId, at: timestampMs, ...body }) as EventDeclaration<Type, Body>['schema'],
  };
}

/** An event as an object: its type and its facts. */
export type EventOf<D> =
  D extends EventDeclaration<infer Type, infer Body>
    ? { readonly type: Type } & Readonly<
        z.output<z.ZodObject<{ executionId: typeof executionId; at: typeof timestampMs } & Body>>
      >
    : never;

/** Child runs as a handler describes them. */
import type { ArgsOf } from '../../../model/machine.js';
import { brand } from '../../util/brand.js';

declare const OUTPUT: unique symbol;

/** A run of a task that a handler will wait for: described by `child`, started by `children`. */
export class Child<Output> {
  static {
    brand(Child, 'child');
  }

  /** Exists only in the type. */
  declare readonly [OUTPUT]: Output;

  /** @param task the name of its task */
  constructor(
    readonly task: string,
    readonly input: unknown,
    readonly options: unknown,
  ) {}
}

/** The result type of a child. */
export type OutputOf<Of> = Of extends Child<infer Output> ? Output : never;

type Row = ArgsOf<'spawnChildren'>['children'][number];

/** A child in the form of the engine, without its ids. */
export type ChildRow = Omit<Row, 'executionId' | 'edgeId' | 'dataPassingRef'>;

/**
 * Makes the row of a child; `now` is the time of the engine, ms since the epoch.
 * @throws InvalidInputError, InvalidDefinitionError
 */
export type ChildRowOf = (child: Child<unknown>, now: number) => Promise<ChildRow>;

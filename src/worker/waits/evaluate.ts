/**
 * Decides whether signals satisfy a wait. Signals are offered in the order of their acceptance. The signals that a wait
 * takes belong to it, and no other wait gets them. Where senders are counted, the handler gets one signal of each: the
 * newest, because a sender that sends again corrects its earlier signal.
 */
import type { AwaitedSignals } from '../../../model/suspension/condition.js';
import type { WaitCondition } from './conditions.js';

/** The parts of a signal that conditions read. */
export interface EvaluatedSignal {
  readonly id: string;
  /** The name by which waits select it. */
  readonly name: string;
  /** Type and identity of its sender. */
  readonly source: string;
  /** The decision, for signals of an approval. */
  readonly approved: boolean | undefined;
}

/** The progress of one part of a condition. */
interface Part<Signal extends EvaluatedSignal> {
  /** Takes a signal, or ignores it. */
  take(signal: Signal): void;
  isSatisfied(): boolean;
  /** How many signals have come, by part. */
  awaited(): readonly AwaitedSignals[];
  /** The signals that it took, including repetitions of the same sender. */
  taken(): readonly Signal[];
  /** Those of them that the handler gets. */
  given(): readonly Signal[];
}

/** The signals that satisfy a wait, in the order of the offers. */
export interface Satisfaction<Signal> {
  /** The signals that belong to the wait. */
  readonly taken: readonly Signal[];
  /** The signals that the handler gets. Its last signal is also the last one of `taken`. */
  readonly given: readonly Signal[];
}

/** The newest signal of each key. */
const newestOfEach = <Signal>(signals: readonly Signal[], keyOf: (signal: Signal) => string): Signal[] => [
  ...new Map(signals.map((signal) => [keyOf(signal), signal])).values(),
];

function named<Signal extends EvaluatedSignal>(name: string): Part<Signal> {
  let first: Signal | undefined;
  const taken = (): readonly Signal[] => (first === undefined ? [] : [first]);
  return {
    take: (signal) => {
      if (signal.name === name) first ??= signal;
    },
    isSatisfied: () => first !== undefined,
    awaited: () => [{ names: [name], received: taken().length, needed: 1 }],
    taken,
    given: taken,
  };
}

function several<Signal extends EvaluatedSignal>(parts: readonly Part<Signal>[], needsAll: boolean): Part<Signal> {
  const satisfied = (): Part<Signal>[] => parts.filter((part) => part.isSatisfied());
  const chosen = (): readonly Part<Signal>[] => (needsAll ? parts : satisfied().slice(0, 1));
  return {
    take: (signal) => {
      for (const part of parts) if (!part.isSatisfied()) part.take(signal);
    },
    isSatisfied: () => (needsAll ? satisfied().length === parts.length : satisfied().length > 0),
    awaited: () => {
      const awaited = parts.flatMap((part) => part.awaited());
      if (needsAll) return awaited;
      return [{ names: [...new Set(awaited.flatMap(({ names }) => names))], received: 0, needed: 1 }];
    },
    taken: () => chosen().flatMap((part) => part.taken()),
    given: () => chosen().flatMap((part) => part.given()),
  };
}

function counted<Signal extends EvaluatedSignal>(
  { n, names }: { readonly n: number; readonly names: readonly string[] },
  takes: (signal: Signal) => boolean,
  keyOf: (signal: Signal) => string,
): Part<Signal> {
  const keys = new Set<string>();
  const signals: Signal[] = [];
  return {
    take: (signal) => {
      if (!takes(signal)) return;
      keys.add(keyOf(signal));
      signals.push(signal);
    },
    isSatisfied: () => keys.size >= n,
    awaited: () => [{ names, received: keys.size, needed: n }],
    taken: () => signals,
    given: () => newestOfEach(signals, keyOf),
  };
}

function partOf<Signal extends EvaluatedSignal>(condition: WaitCondition): Part<Signal> {
  switch (condition.type) {
    case 'name':
      return named(condition.name);
    case 'all':
    case 'any':
      return several(
        condition.of.map((part) => partOf<Signal>(part)),
        condition.type === 'all',
      );
    case 'count': {
      const { names, distinct } = condition;
      return counted(
        condition,
        ({ name }) => names.includes(name),
        ({ id, source }) => (distinct === 'source' ? source : id),
      );
    }
    case 'approval': {
      const { n, name } = condition;
      const decided = (approved: boolean) => (signal: Signal) => signal.name === name && signal.approved === approved;
      const approvals = counted<Signal>({ n, names: [name] }, decided(true), ({ source }) => source);
      const rejection = counted<Signal>({ n: 1, names: [name] }, decided(false), ({ id }) => id);
      const taken = (): readonly Signal[] => [...approvals.taken(), ...rejection.taken()];
      return {
        take: (signal) => {
          approvals.take(signal);
          rejection.take(signal);
        },
        awaited: approvals.awaited,
        isSatisfied: () => approvals.isSatisfied() || rejection.isSatisfied(),
        taken,
        given: () => newestOfEach(taken(), ({ source }) => source),
      };
    }
  }
}

/** The signals that satisfy a condition; undefined when it is not satisfied. */
export function satisfiedBy<Signal extends EvaluatedSignal>(
  condition: WaitCondition,
  signals: readonly Signal[],
): Satisfaction<Signal> | undefined {
  const whole = partOf<Signal>(condition);
  for (const signal of signals) {
    whole.take(signal);
    if (!whole.isSatisfied()) continue;
    const [taken, given] = [new Set(whole.taken()), new Set(whole.given())];
    return { taken: signals.filter((each) => taken.has(each)), given: signals.filter((each) => given.has(each)) };
  }
  return undefined;
}

/** How many signals a condition that is not satisfied has received, by part. */
export function awaitedOf(condition: WaitCondition, signals: readonly EvaluatedSignal[]): readonly AwaitedSignals[] {
  const whole = partOf(condition);
  for (const signal of signals) whole.take(signal);
  return whole.awaited();
}

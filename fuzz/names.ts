/**
 * Replaces the names that a run has drawn by names that are easily confused, as far as the declaration of their field
 * allows: prefixes, other cases, separators, patterns, escapes, UTF-8 of two to four bytes, the longest. Names are
 * replaced after the draw, so stored runs keep their meaning.
 */
import type { z } from 'zod';
import * as field from '../model/core/fields.js';
import { LIMITS } from '../model/limits.js';
import { seededRandom } from '../src/testing/simulation/index.js';

/**
 * Names that could be confused with a part of a key, a list, a pattern or another name. Similar names are neighbours.
 */
const COLLIDING = [
  ...[
    'a',
    'A',
    'aa',
    'a-',
    'a-a',
    'a.',
    'a.a',
    'a a',
    ' a',
    'a ',
    'a_',
    'a%',
    '%a',
    '%s',
    'a%20a',
    'a%3Aa',
    '%',
    '-',
    '.',
  ],
  ...[
    'a:',
    ':a',
    'a:a',
    ':',
    'a,',
    ',a',
    'a,a',
    '{a}',
    '{fp:0}',
    '{b:0}:a',
    'a|',
    'a#|a',
    '|',
    '#',
    '*',
    '?',
    '[a]',
    '\\a',
  ],
  ...[
    '"a"',
    "'",
    '\\',
    '/',
    '//',
    '0',
    '00',
    '1',
    '-1',
    '1e3',
    'w',
    'l',
    'nil',
    'null',
    'timers',
    'queue',
    'execution',
  ],
  // Members of every object, and a name in the form of a short id.
  ...['__proto__', 'constructor', 'notification_send_bulk'],
  ...['é', 'e\u0301', 'É', 'ß', 'ss', 'ﬁ', 'fi', '€', '😀', '😀a', '\u{10ffff}', '\ue000', 'İ', 'i'],
] as const;

/** No declaration allows more. */
const MOST_BYTES = 4_096;
/** See `deliverApprovalSignal`. */
const MAX_SUFFIX_BYTES = 64;

/** Characters of one to four bytes, of which the longest names are made. */
const FILLERS = ['a', 'é', '€', '😀'] as const;

/** The longest legal names: several that differ only at their ends. */
function longest(isLegal: (text: string) => boolean): string[] {
  return FILLERS.flatMap((filler) => {
    if (!isLegal(filler)) return [];
    const bytes = Buffer.byteLength(filler);
    let count = 1;
    while (count * bytes < MOST_BYTES && isLegal(filler.repeat(count + 1))) count++;
    const short = filler.repeat(count - 1);
    return [filler.repeat(count), short, `${short}b`].filter(isLegal);
  });
}

type Legal = (text: string) => boolean;

/** Whether a text passes every declaration. */
const by =
  (...declarations: readonly z.ZodType[]): Legal =>
  (text) =>
    declarations.every((declaration) => declaration.safeParse(text).success);

/** Of a list of capabilities, several must fit. */
const isCapability: Legal = (token) =>
  field.capabilities.safeParse([token]).success && Buffer.byteLength(token) <= LIMITS.maxCapabilityListBytes / 8;

const FIELDS = {
  lane: by(field.laneId),
  kind: by(field.executionKind),
  namespace: by(field.namespace),
  capability: isCapability,
  key: by(field.idempotencyKey, field.looseLabel),
  category: by(field.category),
  reader: by(field.readerId),
  worker: by(field.workerId),
  instance: by(field.workerInstanceId),
  signal: by(field.signalName),
  source: by(field.looseLabel),
  suffix: by(field.label(MAX_SUFFIX_BYTES)),
  step: by(field.stepName),
  scope: by(field.label(LIMITS.maxScopeIdBytes)),
  tag: by(field.creatorIdentity),
} as const satisfies Record<string, Legal>;
type Field = keyof typeof FIELDS;

function poolOf(isAllowed: Legal): readonly string[] {
  const isLegal: Legal = (text) => text !== '' && isAllowed(text);
  return [...new Set([...COLLIDING.filter(isLegal), ...longest(isLegal)])];
}

const POOLS = new Map<Field, readonly string[]>();
const pool = (name: Field): readonly string[] => {
  const known = POOLS.get(name) ?? poolOf(FIELDS[name]);
  POOLS.set(name, known);
  return known;
};

/** The field of an argument, or of the texts in a list under its name. */
const FIELD_OF: Readonly<Record<string, Field>> = {
  laneId: 'lane',
  executionKind: 'kind',
  kinds: 'kind',
  namespace: 'namespace',
  workerCapabilities: 'capability',
  requiredCapabilities: 'capability',
  idempotencyKey: 'key',
  dedupKey: 'key',
  failureCategory: 'category',
  retryableCategories: 'category',
  readerId: 'reader',
  workerId: 'worker',
  workerInstanceId: 'instance',
  signalName: 'signal',
  waitpointKey: 'signal',
  waitpoints: 'signal',
  byName: 'signal',
  stepName: 'step',
  sourceIdentity: 'source',
  idempotencySuffix: 'suffix',
  scopeId: 'scope',
  tagValue: 'tag',
};

/** Words with a meaning, and the namespace that names the partition of workers. */
const KEPT: ReadonlySet<string> = new Set(['', 'approved', 'rejected', 'n', 'transient', 'timeout']);

/** Every lane that names can put in place of another. */
export const collidingLanes = (): readonly string[] => pool('lane');

/** Namespaces of one run: executions are spread over them by their ids. */
const NAMESPACES = 3;

/** How many names of a pool the next one is drawn from. */
const NEIGHBOURS = 4;

/** The names of one run: each name that was drawn has another one, the same wherever it occurs. */
export class Names {
  private readonly random: () => number;
  private readonly given = new Map<Field, Map<string, string>>();
  private readonly left = new Map<Field, string[]>();
  /** Where the names begin in every pool, so that names of different fields resemble each other too. */
  private readonly start: number;

  constructor(seed: number) {
    this.random = seededRandom(seed);
    this.start = this.random() < 1 / 2 ? 0 : this.random();
  }

  /** Arguments with the names of this run. Those that have them already are not changed. */
  of<Args>(args: Args): Args {
    return this.within(args, '', ownerOf(args)) as Args;
  }

  private within(value: unknown, key: string, owner: string): unknown {
    if (typeof value === 'string') return this.nameOf(value, key, owner);
    if (Array.isArray(value)) return value.map((member) => this.within(member, key, ownerOf(member) || owner));
    if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
    const isByName = (value as { type?: unknown }).type === 'by_name';
    return Object.fromEntries(
      Object.entries(value).map(([name, member]) => {
        const field = key === 'tags' ? 'tagValue' : isByName && name === 'name' ? 'byName' : name;
        return [name, this.within(member, field, owner)];
      }),
    );
  }

  private nameOf(word: string, key: string, owner: string): string {
    const field = FIELD_OF[key];
    if (field === undefined || KEPT.has(word)) return word;
    // Executions of several namespaces meet in one lane.
    const drawn = field === 'namespace' ? `${word} ${hashOf(owner) % NAMESPACES}` : word;
    const given = this.given.get(field) ?? new Map<string, string>();
    this.given.set(field, given);
    if ([...given.values()].includes(word)) return word;
    const known = given.get(drawn);
    if (known !== undefined) return known;
    const next = this.nextOf(field) ?? word;
    given.set(drawn, next);
    return next;
  }

  /** A name of the pool that is left: one of the next, because neighbours in the pool resemble each other. */
  private nextOf(field: Field): string | undefined {
    const names = this.left.get(field) ?? rotated(pool(field), this.start);
    this.left.set(field, names);
    const [name] = names.splice(Math.floor(this.random() * Math.min(NEIGHBOURS, names.length)), 1);
    return name;
  }
}

/** The texts from a place on, given as a part of the whole, then those before it. */
function rotated(names: readonly string[], start: number): string[] {
  const from = Math.floor(start * names.length);
  return [...names.slice(from), ...names.slice(0, from)];
}

/** The execution or flow to which arguments belong; empty for none. */
function ownerOf(args: unknown): string {
  const { flowId, executionId } = (args ?? {}) as { flowId?: unknown; executionId?: unknown };
  const owner = flowId ?? executionId;
  return typeof owner === 'string' ? owner : '';
}

const hashOf = (text: string): number =>
  [...text].reduce((sum, each) => (sum * 31 + each.charCodeAt(0)) % 1_000_003, 0);

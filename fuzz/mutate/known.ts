/** Verdicts of earlier runs, so that an interrupted run continues where it stopped. */
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Mutant } from './mutants.js';
import { filesUnder, ROOT } from './tree.js';
import type { Verdict } from './verdict.js';

const FILE = `${ROOT}node_modules/.cache/mutants.jsonl`;

interface Entry {
  readonly mutant: string;
  /** The tests that gave the verdict. */
  readonly tests: string;
  readonly verdict: Verdict;
}

/**
 * A killed mutant stays killed for the same text of the file, because tests are rarely removed. A survivor is judged
 * again when a test has changed.
 */
export class Known {
  private readonly entries = new Map<string, Entry>();
  private readonly tests = testsDigest();

  /** @param fresh ignores earlier verdicts */
  constructor(fresh: boolean) {
    if (fresh || !existsSync(FILE)) return;
    for (const line of readFileSync(FILE, 'utf8').split('\n')) {
      if (line === '') continue;
      const entry = JSON.parse(line) as Entry;
      this.entries.set(entry.mutant, entry);
    }
  }

  verdictOf(mutant: Mutant): Verdict | undefined {
    const entry = this.entries.get(keyOf(mutant));
    return entry?.verdict.kind !== 'survived' || entry.tests === this.tests ? entry?.verdict : undefined;
  }

  add(mutant: Mutant, verdict: Verdict): void {
    const entry: Entry = { mutant: keyOf(mutant), tests: this.tests, verdict };
    this.entries.set(entry.mutant, entry);
    mkdirSync(dirname(FILE), { recursive: true });
    appendFileSync(FILE, `${JSON.stringify(entry)}\n`);
  }
}

const keyOf = ({ file, source }: Mutant): string =>
  createHash('sha256').update(file).update('\0').update(source).digest('base64url');

function testsDigest(): string {
  const hash = createHash('sha256');
  for (const file of [...filesUnder('test/'), ...filesUnder('fuzz/')].sort()) hash.update(readFileSync(ROOT + file));
  return hash.digest('base64url');
}

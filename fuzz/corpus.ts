/** Runs that once found a defect, or that reach rare states: replayed before new ones are drawn. */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Action } from './actions/index.js';

const FOLDER = fileURLToPath(new URL('./corpus/', import.meta.url));

export interface CorpusEntry {
  readonly name: string;
  /** The defect, or the state, in a sentence. */
  readonly why: string;
  readonly actions: readonly Action[];
}

/** Every entry, by name. */
export function corpus(): CorpusEntry[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => ({
      name: file.slice(0, -'.json'.length),
      ...(JSON.parse(readFileSync(FOLDER + file, 'utf8')) as Omit<CorpusEntry, 'name'>),
    }));
}

/** Saves a run under a name that follows from its actions. Returns the file, relative to the repository. */
export function keep(why: string, actions: readonly Action[]): string {
  const text = JSON.stringify({ why, actions }, undefined, 2);
  const name = `${createHash('sha256').update(JSON.stringify(actions)).digest('hex').slice(0, 12)}.json`;
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(FOLDER + name, `${text}\n`);
  return `fuzz/corpus/${name}`;
}

/** Programs that once broke an invariant, played before new ones are drawn. */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Program } from './program.js';

const FOLDER = fileURLToPath(new URL('./corpus/', import.meta.url));

export interface CorpusEntry {
  readonly name: string;
  /** The defect, in a sentence. */
  readonly why: string;
  readonly program: Program;
}

/** Every entry, by name. */
export function corpus(): CorpusEntry[] {
  mkdirSync(FOLDER, { recursive: true });
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => ({
      name: file.slice(0, -'.json'.length),
      ...(JSON.parse(readFileSync(FOLDER + file, 'utf8')) as Omit<CorpusEntry, 'name'>),
    }));
}

/** Saves a program under a name that follows from it. Returns the file, relative to the repository. */
export function keep(why: string, program: Program): string {
  const text = JSON.stringify({ why, program }, undefined, 2);
  const name = `${createHash('sha256').update(JSON.stringify(program)).digest('hex').slice(0, 12)}.json`;
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(FOLDER + name, `${text}\n`);
  return `fuzz/worker/corpus/${name}`;
}

import { existsSync } from 'node:fs';
import { extname } from 'node:path';
import type { SubjectModule } from '../adapter.js';

/** The adapter, compiled or not like this file; loaded by name so that the floor and the peers can be measured without it. */
const ADAPTER = new URL(`./flowfabric${extname(import.meta.url)}`, import.meta.url);

/**
 * The adapter of this project's own engine, or undefined when there is none yet.
 *
 * @throws whatever a broken adapter throws: only an absent one is no error.
 */
export async function loadSubject(): Promise<SubjectModule | undefined> {
  if (!existsSync(ADAPTER)) return undefined;
  return (await import(ADAPTER.href)) as SubjectModule;
}

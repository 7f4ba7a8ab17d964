/** Checks the arguments of backend methods with a listener; shared by all backends. */
import { EngineError } from '../../model/errors.js';
import type { AnnouncementKind } from './backend.js';

const KINDS: Readonly<Record<AnnouncementKind, true>> = { appended: true, ended: true };

const refused = (method: string, field: string, rule: string): EngineError =>
  new EngineError('invalid_input', `${method}: ${field}: ${rule}.`, { detail: { field } });

const areTexts = (value: unknown): boolean => Array.isArray(value) && value.every((item) => typeof item === 'string');

/** @throws EngineError `invalid_input` for anything but a function */
export function checkListener(method: string, listener: unknown): void {
  if (typeof listener !== 'function') throw refused(method, 'listener', 'must be a function');
}

/** @throws EngineError `invalid_input` that names the argument */
export function checkWakeArguments(lanes: unknown, listener: unknown, capabilities?: unknown): void {
  if (!areTexts(lanes)) throw refused('onWake', 'lanes', 'must be a list of lanes');
  checkListener('onWake', listener);
  if (capabilities !== undefined && !areTexts(capabilities))
    throw refused('onWake', 'capabilities', 'must be a list of texts');
}

/** @throws EngineError `invalid_input` that names the argument */
export function checkAnnouncementArguments(kind: unknown, listener: unknown): void {
  if (typeof kind !== 'string' || !Object.hasOwn(KINDS, kind))
    throw refused('onAnnouncement', 'kind', `must be one of ${Object.keys(KINDS).join(', ')}`);
  checkListener('onAnnouncement', listener);
}

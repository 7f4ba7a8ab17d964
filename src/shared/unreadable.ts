/** Reads of several records, of which damaged ones must not end the whole. */
import { EngineError } from '../../model/errors.js';

/** What `read` answers, or what `otherwise` answers when the record is damaged. */
export async function unlessUnreadable<Found, Other>(
  read: () => Promise<Found>,
  otherwise: (message: string) => Other,
): Promise<Found | Other> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof EngineError && error.code === 'corruption') return otherwise(error.message);
    throw error;
  }
}

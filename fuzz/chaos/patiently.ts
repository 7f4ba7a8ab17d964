import { EngineError } from '../../model/errors.js';

/** Tries until the store answers. @throws every permanent error */
export async function patiently<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof EngineError) || !error.retryable) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** A promise that never settles. Each caller gets its own: one that is shared would keep all that wait for it. */
export const never = (): Promise<never> => new Promise(() => undefined);

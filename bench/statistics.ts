/** The middle value (the mean of the two middle ones for an even count); NaN when empty. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  return upper === undefined || lower === undefined ? Number.NaN : (lower + upper) / 2;
}

/** The smallest value that `percent` per cent of the values do not exceed; NaN when empty. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const rank = Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1);
  return sorted[rank] ?? Number.NaN;
}

/** Three to four significant digits, in groups of three for large numbers. */
export function formatNumber(value: number): string {
  if (Number.isNaN(value)) return 'n/a';
  const size = Math.abs(value);
  if (size >= 1000)
    return Math.round(value)
      .toString()
      .replace(/\B(?=(\d{3})+$)/g, ' ');
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  if (size >= 1 || size === 0) return value.toFixed(2);
  return value.toFixed(3);
}

/** `median [min–max]`, or the one value when there is only one. */
export function formatSpread(values: readonly number[]): string {
  const middle = formatNumber(median(values));
  if (values.length < 2) return middle;
  return `${middle} [${formatNumber(Math.min(...values))}–${formatNumber(Math.max(...values))}]`;
}

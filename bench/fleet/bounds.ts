import type { Bounds, Figures, Yardsticks } from './row.ts';

/** What a row must reach, in words. */
export function boundsText(bounds: Bounds): string {
  const words = [
    bounds.k !== undefined && `k ≤ ${bounds.k}`,
    bounds.t !== undefined && `T ≤ ${bounds.t} T₁`,
    bounds.over !== undefined && `T ≤ T₁ + ${bounds.over} s`,
    bounds.first !== undefined && `first byte ≤ ${bounds.first} ms later`,
    bounds.ofCache !== undefined &&
      (bounds.ofCache < 1 ? `T ≤ ${bounds.ofCache} of the warm cache’s` : 'T below the warm cache’s'),
    bounds.shutOut === true && 'liars shut out',
    bounds.ofStream !== undefined && `≥ ${bounds.ofStream * 100}% of a plain stream`,
  ].filter((word) => word !== false && word !== undefined);
  return ['all succeed', ...words].join(', ');
}

/** What one attempt missed; empty where it reached all. */
export function missed(bounds: Bounds, figures: Figures, yardsticks: Yardsticks): string[] {
  const { k, t, over, first, ofCache, ofStream, shutOut } = bounds;
  const failures = [
    figures.good < figures.pulls && 'pulls',
    figures.falseBlobs > 0 && 'false blobs',
    k !== undefined && !(figures.k <= k) && 'k',
    t !== undefined && !(figures.ratio <= t) && 'T',
    over !== undefined && !(figures.t <= yardsticks.t1 + over) && 'T',
    first !== undefined && !(figures.firstLater <= first) && 'first byte',
    shutOut === true && !(figures.shutOut?.trusted === 0) && 'a liar is trusted',
    // Without the rival in the same run nothing is shown.
    ofCache !== undefined && !(cacheShare(figures, yardsticks) < ofCache) && 'T',
    ofStream !== undefined && !(streamShare(figures, yardsticks) >= ofStream) && 'rate',
  ];
  return failures.filter((failure) => typeof failure === 'string');
}

/** Of the warm cache's time. */
export function cacheShare({ t }: Figures, { cache }: Yardsticks): number {
  return t / (cache?.t ?? Number.NaN);
}

/** Of what a plain TCP stream reaches. */
export function streamShare({ t }: Figures, { size, stream }: Yardsticks): number {
  return size / t / (stream ?? Number.NaN);
}

const UNITS = {
  B: 1,
  kB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
} as const;

const SIZE = /^([0-9]{1,12}(?:\.[0-9]{1,3})?)(B|kB|MB|GB|KiB|MiB|GiB)?$/;

/** Bytes of `10MiB`, `1250kB`, `1.5MB` or `65536`; undefined where `text` is none of that. */
export function parseSize(text: string): number | undefined {
  const [whole, number, unit = 'B'] = SIZE.exec(text) ?? [];
  // `$` also matches before a final newline, hence the comparison.
  if (whole !== text) return undefined;
  return Math.round(Number(number) * UNITS[unit as keyof typeof UNITS]);
}
